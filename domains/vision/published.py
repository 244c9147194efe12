"""What datasets with a published test set have in common: how their images are dealt out, mirrored and scaled."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from domains.vision.data import Size, every_other
from domains.vision.datasets import Dataset
from suite.experiment.errors import UsageError
from suite.experiment.frozen import digest

Means = tuple[Annotated[float, Field(ge=0, le=1)], ...]
Spreads = tuple[Annotated[float, Field(gt=0)], ...]


class Published(Dataset):
    """Images with a test set of their own; validation images are held out of the training set.

    The training images are dealt out class by class in an order drawn from `split_seed`, the same in every replicate:
    first into halves if one is asked for, then the validation set, then training images. So a half's validation set
    is part of that half, smaller training sets are parts of larger ones, and two halves share no image. The test set
    is the published one, or the first images of each class in it.
    """

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
    mean: Means = Field(default=(0.0,), description="subtracted from pixels of [0, 1]: one number, or one a channel")
    std: Spreads = Field(default=(1.0,), description="what pixels are divided by then: one number, or one a channel")
    flip: bool = Field(default=False, description="mirror half of the images in training")

    @model_validator(mode="after")
    def _fits_the_channels(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, self.shape[0]}:
                raise ValueError(f"{key} = {list(values)}: one number, or one for each of {self.shape[0]} channels")
        return self

    @property
    def examples(self) -> int:
        """Training images, known without reading them."""
        if self.train is not None:
            return self._each("train") * self.classes
        whole = self.training_images
        part = {None: whole, "a": whole - whole // 2, "b": whole // 2}[self.half]
        return part - self._each("validation") * self.classes

    def scale(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of pixels of [0, 1], [C, 1, 1] each, on a device."""
        mean, std = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (self.mean, self.std))
        return mean, std

    def fingerprint(self, manifest: Mapping[str, str]) -> str:
        """The digest of the files, by name and digest, and of the settings that choose the splits."""
        choosing = self.model_dump(mode="json", include={"train", "validation", "test", "half", "split_seed"})
        return digest({"files": dict(manifest), "splits": choosing})

    def dealt(self, labels: Tensor) -> Mapping[str, Tensor]:
        """Row numbers of training and validation set, class after class."""
        drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(self.split_seed))
        rows = drawn[labels[drawn].argsort(stable=True)]
        if self.half:
            rows = every_other(rows, self.half)
        by_class = torch.split(rows, labels[rows].bincount(minlength=self.classes).tolist())
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

    def tested(self, labels: Tensor) -> Tensor:
        """Row numbers of the test set."""
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
