"""Labelled images in memory, dealt out into splits and fingerprinted."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from suite.experiment.errors import UsageError

Size = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Images:
    """Images [N, C, H, W] and labels [N] (int64)."""

    images: Tensor
    labels: Tensor

    def to(self, device: str) -> "Images":
        """The same images on a device."""
        return Images(self.images.to(device), self.labels.to(device))

    def rows(self, rows: Tensor) -> "Images":
        """The images of some row numbers."""
        return Images(self.images[rows], self.labels[rows])


Splits = Mapping[str, Images]
"""Images by the name of the split: `train`, `validation`, `test`."""


def fingerprint(pixels: Images, dealt: Mapping[str, object]) -> str:
    """SHA-256 over pixels, labels and what decides the splits, in hex."""
    hasher = sha256(pixels.images.numpy().tobytes())
    hasher.update(pixels.labels.numpy().tobytes())
    hasher.update(repr(sorted(dealt.items())).encode())
    return hasher.hexdigest()


def dealt_by_class(labels: Tensor, sizes: Mapping[str, int], classes: int) -> dict[str, list[Tensor]]:
    """Row numbers of each split, class by class: disjoint, and equally many of every class, in the data's order.

    Sizes are counted from the front for training and validation and from the back for the test set, so that the test
    set is the same at every scale. Raises UsageError when there are too few images.
    """
    by_class = [(labels == c).nonzero().flatten() for c in range(classes)]
    train, validation, test = (sizes[name] // classes for name in ("train", "validation", "test"))
    if train + validation + test > min(len(rows) for rows in by_class):
        raise UsageError(f"splits of {dict(sizes)} do not fit into {len(labels)} images")
    return {
        "train": [rows[:train] for rows in by_class],
        "validation": [rows[train : train + validation] for rows in by_class],
        "test": [rows[len(rows) - test :] for rows in by_class],
    }


def every_other(rows: Tensor, half: str) -> Tensor:
    """Half `a` has the rows of even place (0, 2, …), half `b` those of odd place."""
    return rows[{"a": 0, "b": 1}[half] :: 2]


def concatenated(pixels: Images, rows_by_class: list[Tensor]) -> Images:
    """The images of a split, class after class."""
    return pixels.rows(torch.cat(rows_by_class))
