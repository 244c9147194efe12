"""Datasets that are stored as images of one size: read whole, and kept in memory as bytes."""

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from domains.vision.data import Images, Size, Splits
from domains.vision.inputs import Inputs
from domains.vision.memory import InMemory
from domains.vision.published import Published
from suite.experiment.datafiles import Files
from suite.experiment.errors import RunError

AT_ONCE = 1000
"""Images resized at a time."""


class Stored(Published, InMemory):
    """Square images (uint8) in files that are read whole."""

    stored_shape: ClassVar[tuple[int, int, int]]

    resolution: Size | None = Field(
        default=None, description="pixels of a side, by antialiased bilinear resizing; unset: as stored"
    )
    pad: Annotated[int, Field(ge=0)] = Field(
        default=0, description="black pixels added on each side in training, before a cut of the former size; 0: no cut"
    )

    @abstractmethod
    def stored(self, root: Path | None) -> tuple[Images, Images, Files]:
        """Training and test set as they are stored, and the files that they were read from."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a network sees it."""
        side = self.resolution or self.stored_shape[1]
        return (self.stored_shape[0], side, side)

    def load(self, root: Path | None) -> tuple[Splits, str]:
        """The splits (uint8), and the fingerprint: the manifest of the files and the settings that choose the splits.

        Raises RunError for files that are missing, damaged, or fewer than published, UsageError for splits that do not
        fit.
        """
        training, test, files = self.stored(root)
        dealt = self.dealt(training.labels)
        if len(dealt["train"]) != self.examples:
            raise RunError(
                f"{self.name} has {len(training.labels)} training images in {files.root}, not the published "
                f"{self.training_images}: fetch it again, or say data.settings.train"
            )
        splits = {name: self._seen(training.rows(rows)) for name, rows in dealt.items()}
        splits["test"] = self._seen(test.rows(self.tested(test.labels)))
        return splits, self.fingerprint(files.manifest)

    def inputs(self, device: torch.device) -> Inputs:
        """Augmentation and scale of the images, with their numbers on a device."""
        return Inputs(*self.scale(device), self.flip, self.pad)

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
