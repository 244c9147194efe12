"""Datasets that come as a training set and a test set, in files of their own."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from domains.vision.data import Images, Size, Splits, every_other
from domains.vision.inputs import Inputs
from domains.vision.memory import InMemory
from suite.experiment.datafiles import Files
from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import digest

Means = tuple[Annotated[float, Field(ge=0, le=1)], ...]
Spreads = tuple[Annotated[float, Field(gt=0)], ...]
AT_ONCE = 1000
"""Images resized at a time."""


class Published(InMemory):
    """Square images (uint8) with a test set of their own; validation images are held out of the training set.

    The training images are dealt out class by class in an order drawn from `split_seed`, the same in every replicate:
    first into halves if one is asked for, then the validation set, then training images. So a half's validation set
    is part of that half, smaller training sets are parts of larger ones, and two halves share no image. The test set
    is the published one, or the first images of each class in it.
    """

    stored_shape: ClassVar[tuple[int, int, int]]
    training_images: ClassVar[int]

    train: Size | None = Field(
        default=None, description="training images, equally many of each class; unset: all that are not held out"
    )
    validation: Size = Field(description="images held out of the training set, equally many of each class")
    test: Size | None = Field(
        default=None, description="test images, the first of each class, equally many of each; unset: all"
    )
    half: Literal["a", "b"] | None = Field(
        default=None,
        description="use one of two halves of the training set, equal in every class, from which the validation set is "
        "held out as well; unset: the whole",
    )
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=0, description="seed of the order in which each class's training images are dealt out"
    )
    resolution: Size | None = Field(
        default=None, description="pixels of a side, by antialiased bilinear resizing; unset: as stored"
    )
    mean: Means = Field(default=(0.0,), description="subtracted from pixels of [0, 1]: one number, or one a channel")
    std: Spreads = Field(default=(1.0,), description="what pixels are divided by then: one number, or one a channel")
    flip: bool = Field(default=False, description="mirror half of the images in training")
    pad: Annotated[int, Field(ge=0)] = Field(
        default=0, description="black pixels added on each side in training, before a cut of the former size; 0: no cut"
    )

    @model_validator(mode="after")
    def _fits_the_channels(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, self.shape[0]}:
                raise ValueError(f"{key} = {list(values)}: one number, or one for each of {self.shape[0]} channels")
        return self

    @abstractmethod
    def stored(self, root: Path | None) -> tuple[Images, Images, Files]:
        """Training and test set as they are stored, and the files that they were read from."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a network sees it."""
        side = self.resolution or self.stored_shape[1]
        return (self.stored_shape[0], side, side)

    @property
    def examples(self) -> int:
        """Training images, known without reading them."""
        if self.train is not None:
            return self._each("train") * self.classes
        whole = self.training_images
        part = {None: whole, "a": whole - whole // 2, "b": whole // 2}[self.half]
        return part - self._each("validation") * self.classes

    def load(self, root: Path | None) -> tuple[Splits, str]:
        """The splits (uint8), and the fingerprint: the manifest of the files and the settings that choose the splits.

        Raises RunError for files that are missing, damaged, or fewer than published, UsageError for splits that do not
        fit.
        """
        training, test, files = self.stored(root)
        dealt = self._dealt(training.labels)
        if len(dealt["train"]) != self.examples:
            raise RunError(
                f"{self.name} has {len(training.labels)} training images in {files.root}, not the published "
                f"{self.training_images}: fetch it again, or say data.settings.train"
            )
        splits = {name: self._seen(training.rows(rows)) for name, rows in dealt.items()}
        splits["test"] = self._seen(test.rows(self._tested(test.labels)))
        return splits, self.fingerprint(files.manifest)

    def inputs(self, device: torch.device) -> Inputs:
        """Augmentation and scale of the images, with their numbers on a device."""
        mean, std = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (self.mean, self.std))
        return Inputs(mean, std, self.flip, self.pad)

    def fingerprint(self, manifest: Mapping[str, str]) -> str:
        """The digest of the files, by name and digest, and of the settings that choose the splits."""
        choosing = self.model_dump(mode="json", include={"train", "validation", "test", "half", "split_seed"})
        return digest({"files": dict(manifest), "splits": choosing})

    def _dealt(self, labels: Tensor) -> Mapping[str, Tensor]:
        """Row numbers of training and validation set, class after class."""
        drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(self.split_seed))
        rows = drawn[labels[drawn].argsort(stable=True)]
        if self.half:
            rows = every_other(rows, self.half)
        by_class = [rows[labels[rows] == c] for c in range(self.classes)]
        held_out, smallest = self._each("validation"), min(map(len, by_class))
        wanted = self._each("train") if self.train is not None else 1
        if held_out + wanted > smallest:
            raise UsageError(
                f"data.settings: {held_out} validation and {wanted} training images of a class do not fit into its "
                f"{smallest} in {self.name}{f', half {self.half}' if self.half else ''}: lower train or validation"
            )
        last = None if self.train is None else held_out + wanted
        return {
            "train": torch.cat([rows[held_out:last] for rows in by_class]),
            "validation": torch.cat([rows[:held_out] for rows in by_class]),
        }

    def _tested(self, labels: Tensor) -> Tensor:
        if self.test is None:
            return torch.arange(len(labels))
        by_class = [(labels == c).nonzero().flatten() for c in range(self.classes)]
        each, smallest = self._each("test"), min(map(len, by_class))
        if each > smallest:
            raise UsageError(
                f"data.settings.test = {self.test}: of some class of {self.name} there are only {smallest} test images"
            )
        return torch.cat([rows[:each] for rows in by_class])

    def _each(self, split: Literal["train", "validation", "test"]) -> int:
        """Images of a class in a split whose size is set."""
        size = getattr(self, split)
        if size < self.classes:
            raise UsageError(
                f"data.settings.{split} = {size}: at least one of each of {self.classes} classes is needed"
            )
        return int(size // self.classes)

    def _seen(self, images: Images) -> Images:
        """Images of a split in a network's resolution and channels."""
        channels, side, _ = self.shape
        pixels = images.images
        if side != pixels.shape[2]:
            resized = [
                F.interpolate(part, (side, side), mode="bilinear", antialias=True)
                for part in torch.split(pixels, AT_ONCE)
            ]
            pixels = torch.cat(resized)
        if channels != pixels.shape[1]:
            pixels = pixels.repeat(1, channels, 1, 1)
        return Images(pixels, images.labels)


def labelled(images: Tensor, labels: Tensor, shape: tuple[int, int, int], classes: int) -> Images:
    """Images and labels of one file; raises ValueError unless they are as many, of a shape, and of so many classes."""
    if images.dtype is not torch.uint8 or images.shape[1:] != shape:
        raise ValueError(f"images of shape {list(images.shape[1:])} and type {images.dtype}, not {list(shape)} bytes")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{len(images)} images and labels of shape {list(labels.shape)}")
    if not len(labels) or int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise ValueError(f"no labels, or not all from 0 to {classes - 1}")
    return Images(images, labels.long())


def joined(parts: list[Images]) -> Images:
    """The images of several files, in their order."""
    return Images(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))
