"""The texts and sentence pairs that a task may name, one class a file."""

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from domains.nlp.data import Corpus, Pairs, windows
from suite.experiment.component import Component
from suite.experiment.errors import UsageError
from suite.experiment.task import Data


class TextDataset(Component):
    """Running text for a language model."""

    table: ClassVar[str] = "data.settings"

    @property
    @abstractmethod
    def training_length(self) -> int:
        """Tokens of the training text; known without reading it where the text is one that must be had first."""

    @abstractmethod
    def load(self, root: Path | None) -> Corpus:
        """The text, read and cut into tokens, from the folder of datasets if one is named."""

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training text: `bptt` tokens of each of `batch` columns a step."""
        return windows(self.training_length, batch, settings.bptt)


class PairDataset(Component):
    """Sentence pairs for a translation."""

    table: ClassVar[str] = "data.settings"

    @property
    @abstractmethod
    def examples(self) -> int:
        """Training pairs, known without reading them; fewer where some are left out."""

    @abstractmethod
    def load(self, root: Path | None) -> Pairs:
        """The pairs, cut into tokens, from the folder of datasets if one is named."""

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training pairs; a remainder is left out.

        Raises UsageError for batches by tokens, whose number is known with the pairs alone.
        """
        if settings.max_tokens:
            raise UsageError(
                f"training.settings.max_tokens = {settings.max_tokens}: how many such batches there are is known with "
                "the pairs alone: give total_steps, rewind_step, … in steps"
            )
        return self.examples // batch


def corpus(data: Data, root: Path | None = None) -> Corpus:
    """The text of a task, once a process; raises RunError when it is not what the task was defined on."""
    loaded = read_corpus(TextDataset.of_data(data.name, data.settings), root)
    data.check(loaded.fingerprint)
    return loaded


def pairs(data: Data, root: Path | None = None) -> Pairs:
    """The pairs of a task, once a process; raises RunError when they are not what the task was defined on."""
    loaded = _pairs(PairDataset.of_data(data.name, data.settings), root)
    data.check(loaded.fingerprint)
    return loaded


@lru_cache(maxsize=4)
def read_corpus(dataset: TextDataset, root: Path | None) -> Corpus:
    """A text, once a process, whatever a task says of it."""
    return dataset.load(root)


@lru_cache(maxsize=4)
def _pairs(dataset: PairDataset, root: Path | None) -> Pairs:
    return dataset.load(root)
