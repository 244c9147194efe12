"""The image datasets that a task may name, one class a file."""

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from domains.vision.data import Images, Splits, concatenated, dealt_by_class, every_other, fingerprint
from suite.experiment.component import Component
from suite.experiment.task import Data

Size = Annotated[int, Field(ge=1)]


class Dataset(Component):
    """Labelled images of one `shape` (C, H, W), split by class in the order in which they are stored."""

    table: ClassVar[str] = "data.settings"
    shape: ClassVar[tuple[int, int, int]]
    classes: ClassVar[int]

    train: Size = Field(description="images dealt out for training, equally many of each class, from the front")
    validation: Size = Field(description="images of the validation set, those that follow")
    test: Size = Field(
        description="images of the test set, from the back, so that smaller ones are parts of larger ones"
    )
    half: Literal["a", "b"] | None = Field(
        default=None,
        description="train on every other of each class's training images: a from the first on, b from the second; "
        "unset: on all. Validation and test set are the same",
    )

    @abstractmethod
    def stored(self, root: Path | None) -> Images:
        """All images as they are stored (uint8) with their labels, from the folder of data sets if one is named."""

    @abstractmethod
    def scaled(self, pixels: Tensor) -> Tensor:
        """What a network sees of stored pixels (float32)."""

    def load(self, root: Path | None) -> tuple[Splits, str]:
        """The splits, and the fingerprint of what they are made of."""
        stored = self.stored(root)
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        found = fingerprint(stored, {**sizes, **({"half": self.half} if self.half else {})})
        dealt = dealt_by_class(stored.labels, sizes, self.classes)
        if self.half:
            dealt["train"] = [every_other(rows, self.half) for rows in dealt["train"]]
        scaled = Images(self.scaled(stored.images), stored.labels)
        return {name: concatenated(scaled, rows) for name, rows in dealt.items()}, found

    @property
    def examples(self) -> int:
        """Training images, known without reading them."""
        each = self.train // self.classes
        return self.classes * {None: each, "a": each - each // 2, "b": each // 2}[self.half]

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training images; a remainder is left out."""
        return self.examples // batch


def load(data: Data, root: Path | None = None) -> Splits:
    """The data of a task, once a process; raises RunError when it is not what the task was defined on."""
    splits, found = _load(Dataset.of_data(data.name, data.settings), root)
    data.check(found)
    return splits


@lru_cache(maxsize=4)
def _load(dataset: Dataset, root: Path | None) -> tuple[Splits, str]:
    return dataset.load(root)
