"""CIFAR's file format: python batches, as torchvision lays them out (Krizhevsky 2009).

A batch is a pickle, and a pickle can run any program: here it is read by an unpickler that admits numpy's arrays and
nothing else, which is all that the published files hold.
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct

from domains.vision.data import Images
from domains.vision.stored import joined, labelled
from domains.vision.torchvision_files import TorchvisionDataset
from suite.experiment.datafiles import Files, reading


class CifarDataset(TorchvisionDataset):
    """Colour images of 32 by 32 pixels in python batches."""

    stored_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    training_images: ClassVar[int] = 50_000
    source: ClassVar[Literal["CIFAR10", "CIFAR100"]]
    """The class of torchvision that knows where to fetch the files, and their MD5."""
    folder: ClassVar[str]
    training_files: ClassVar[Sequence[str]]
    test_files: ClassVar[Sequence[str]]
    labels: ClassVar[str]
    """The entry of a batch that holds the labels."""

    def stored(self, root: Path | None) -> tuple[Images, Images, Files]:
        """Both sets (uint8 [N, 3, 32, 32])."""
        files = self.files(root)
        training, test = (
            joined([self._batch(files, name) for name in names]) for names in (self.training_files, self.test_files)
        )
        return training, test, files

    @classmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of the batches."""
        import torchvision

        known = getattr(torchvision.datasets, cls.source)
        return {f"{cls.folder}/{name}": md5 for name, md5 in (*known.train_list, *known.test_list)}

    def fetch(self, root: Path) -> None:
        """Download the files into a folder of datasets."""
        import torchvision

        getattr(torchvision.datasets, self.source)(root, download=True)

    def _batch(self, files: Files, name: str) -> Images:
        content = files.read(f"{self.folder}/{name}")
        with reading(files.find(f"{self.folder}/{name}") or files.root):
            batch = unpickled(content)
            if not isinstance(batch, Mapping) or not isinstance(batch.get("data"), np.ndarray):
                raise ValueError("no table with an array `data`")
            if self.labels not in batch:
                raise ValueError(f"no `{self.labels}`")
            pixels = torch.from_numpy(batch["data"]).reshape(-1, *self.stored_shape)
            return labelled(pixels, torch.tensor(batch[self.labels]), self.stored_shape, self.classes)


ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""What a batch may name, under the names that python 2 wrote."""


class _Arrays(pickle.Unpickler):
    """Reads tables, lists, words, numbers and numpy's arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle names; raises UnpicklingError for all but numpy's arrays."""
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no batch of CIFAR does")
        return ADMITTED[module, name]


def unpickled(content: bytes) -> object:
    """What a pickle holds; raises UnpicklingError for one that holds more than tables of numpy's arrays."""
    return _Arrays(io.BytesIO(content), encoding="latin1").load()
