"""Datasets that are too large for memory: image files of any size, read anew whenever they are needed."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Self, cast

import torch
from pydantic import Field, model_validator

from domains.vision.batches import Reading
from domains.vision.data import Size
from domains.vision.inputs import Inputs
from domains.vision.published import Published
from domains.vision.streaming import Pictures, StreamedBatches, View
from suite.experiment.datafiles import cache
from suite.experiment.frozen import digest
from suite.experiment.task import Data

Part = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]


class Streamed(Published):
    """Colour images of any size in files of their own, with a published validation set, which is the test set here.

    In training a part of an image, of random area and shape, is resized to a square (Szegedy et al. 2015,
    arXiv 1409.4842, section 6); in evaluation the shorter side is resized and the centre cut out. Both are
    torchvision's (`transforms.v2`), bilinear and antialiased; images are decoded by Pillow.
    """

    published_classes: ClassVar[int]
    test_images: ClassVar[int]

    resolution: Size = Field(description="pixels of a side, as a network sees an image")
    resize: Size = Field(description="pixels of the shorter side in evaluation, before the centre is cut out")
    crop_area: tuple[Part, Part] = Field(
        default=(0.08, 1.0), description="least and greatest part of an image that is cut out in training"
    )
    crop_ratio: tuple[Ratio, Ratio] = Field(
        default=(3 / 4, 4 / 3), description="least and greatest width of that part against its height"
    )
    first_classes: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="only so many classes, the first ones; unset: all"
    )

    @model_validator(mode="after")
    def _settings_that_go_together(self) -> Self:
        if self.resize < self.resolution:
            raise ValueError(f"resize = {self.resize}: at least the resolution, {self.resolution}, is needed")
        for key, (least, greatest) in {"crop_area": self.crop_area, "crop_ratio": self.crop_ratio}.items():
            if least > greatest:
                raise ValueError(f"{key} = {[least, greatest]}: the least comes first")
        if self.first_classes is not None and (self.first_classes > self.published_classes or self.train is None):
            raise ValueError(
                f"first_classes = {self.first_classes}: at most {self.published_classes}, and train has to be set"
            )
        return self

    @classmethod
    @abstractmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of the published archives and lists, by name."""

    @abstractmethod
    def listed(self, root: Path | None) -> tuple[Pictures, Pictures]:
        """All files of the training set and of the published validation set.

        Raises RunError that says what is missing, or names what is not as published.
        """

    @property
    def classes(self) -> int:  # type: ignore[override]  # hangs on a setting, where other datasets have a constant
        """The classes that are told apart."""
        return self.first_classes or self.published_classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Three channels and the resolution."""
        return (3, self.resolution, self.resolution)

    @property
    def published_fingerprint(self) -> str:
        """The fingerprint, which is known without the data; what it covers is said by each dataset."""
        numbers = {"training": self.training_images, "test": self.test_images, "classes": self.classes}
        return digest({"images": numbers, "data": self.fingerprint(self.published())})

    def batches(self, data: Data, reading: Reading) -> StreamedBatches:
        """The batches of a run; files are listed once a process."""
        data.check(self.published_fingerprint)
        training, test = (pictures.of_first(self.classes) for pictures in _listed(self, reading.runtime.data))
        splits = {name: training.rows(rows) for name, rows in self.dealt(training.labels).items()}
        splits["test"] = test.rows(self.tested(test.labels))
        inputs = Inputs(*self.scale(torch.device(reading.runtime.device)))
        return StreamedBatches(splits, (self.in_training(), self.in_evaluation()), inputs, self.shape, reading)

    def in_training(self) -> View:
        """A random part of an image, mirrored or not."""
        from torchvision.transforms import v2

        part = v2.RandomResizedCrop(self.shape[1:], self.crop_area, self.crop_ratio, antialias=True)
        return cast(View, v2.Compose([part, v2.RandomHorizontalFlip()]) if self.flip else part)

    def in_evaluation(self) -> View:
        """The centre of an image."""
        from torchvision.transforms import v2

        return cast(View, v2.Compose([v2.Resize(self.resize, antialias=True), v2.CenterCrop(self.shape[1:])]))


@lru_cache(maxsize=4)
def _listed(dataset: Streamed, root: Path | None) -> tuple[Pictures, Pictures]:
    return dataset.listed(root)


def folder_of(root: Path | None, name: str, marks: tuple[str, ...]) -> Path:
    """The folder `name` in the folder of datasets, or that folder itself if a file that marks the dataset is in it."""
    base = cache() if root is None else root
    return base if any((base / mark).exists() for mark in marks) else base / name
