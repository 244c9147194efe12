"""The texts and sentence pairs that a task may name, one class a file."""

from abc import abstractmethod
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import Field

from domains.nlp.data import Corpus, Pairs, windows
from suite.experiment.component import Component
from suite.experiment.task import Data

Size = Annotated[int, Field(ge=1)]


class TextDataset(Component):
    """Running text for a language model."""

    table: ClassVar[str] = "data.settings"

    @abstractmethod
    def load(self) -> Corpus:
        """The text, read and cut into tokens."""

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training text: `bptt` tokens of each of `batch` columns a step."""
        return windows(len(_corpus(self).tokens["train"]), batch, settings.bptt)


class PairDataset(Component):
    """Sentence pairs for a translation."""

    table: ClassVar[str] = "data.settings"

    train: Size = Field(description="training pairs")
    validation: Size = Field(description="pairs of the validation set")
    test: Size = Field(description="pairs of the test set")

    @abstractmethod
    def load(self) -> Pairs:
        """The pairs, cut into tokens."""

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training pairs; a remainder is left out."""
        return self.train // batch


def corpus(data: Data) -> Corpus:
    """The text of a task, once a process; raises RunError when it is not what the task was defined on."""
    loaded = _corpus(TextDataset.of_data(data.name, data.settings))
    data.check(loaded.fingerprint)
    return loaded


def pairs(data: Data) -> Pairs:
    """The pairs of a task, once a process; raises RunError when they are not what the task was defined on."""
    loaded = _pairs(PairDataset.of_data(data.name, data.settings))
    data.check(loaded.fingerprint)
    return loaded


@lru_cache(maxsize=4)
def _corpus(dataset: TextDataset) -> Corpus:
    return dataset.load()


@lru_cache(maxsize=4)
def _pairs(dataset: PairDataset) -> Pairs:
    return dataset.load()
