"""MNIST's file format (IDX), as torchvision lays its datasets out: `<folder>/raw/train-images-idx3-ubyte` and so on."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from domains.vision.data import Images
from domains.vision.stored import labelled
from domains.vision.torchvision_files import TorchvisionDataset
from suite.experiment.datafiles import Files, reading

UNSIGNED_BYTE = 0x08


class IdxDataset(TorchvisionDataset):
    """Grey images of 28 by 28 pixels in four files, packed by gzip or not; read where they lie, nothing is written."""

    stored_shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    classes: ClassVar[int] = 10
    training_images: ClassVar[int] = 60_000
    folder: ClassVar[Literal["MNIST", "FashionMNIST"]]
    digests: ClassVar[Mapping[str, str]]
    """MD5 of the unpacked files, in the order of training and test images and labels."""

    channels: Literal[1, 3] = Field(default=1, description="1: grey; 3: the grey image three times")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a network sees it."""
        return (self.channels, *super().shape[1:])

    def stored(self, root: Path | None) -> tuple[Images, Images, Files]:
        """Both sets (uint8 [N, 1, 28, 28])."""
        files = self.files(root)
        return self._set(files, "train"), self._set(files, "t10k"), files

    @classmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of the four unpacked files."""
        return {f"{cls.folder}/raw/{name}": md5 for name, md5 in cls.digests.items()}

    def fetch(self, root: Path) -> None:
        """Download the files into a folder of datasets."""
        import torchvision

        getattr(torchvision.datasets, self.folder)(root, download=True)

    def _set(self, files: Files, part: str) -> Images:
        images, labels = (f"{self.folder}/raw/{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
        pixels, numbers = _array(files, images), _array(files, labels)
        with reading(files.find(labels) or files.root):
            return labelled(pixels.unsqueeze(1), numbers, self.stored_shape, self.classes)


def _array(files: Files, name: str) -> Tensor:
    """The array of bytes in a file: two zeros, its type, its dimensions, the length of each (big-endian), the bytes."""
    content = files.read(name)
    with reading(files.find(name) or files.root):
        dimensions = content[3] if len(content) > 3 else 0
        begin = 4 + 4 * dimensions
        if content[:3] != bytes((0, 0, UNSIGNED_BYTE)) or not dimensions or len(content) < begin:
            raise ValueError("no IDX file of unsigned bytes")
        lengths = np.frombuffer(content, ">u4", dimensions, offset=4).astype(np.int64)
        expected = begin + int(lengths.prod())
        if len(content) != expected:
            raise EOFError(f"{len(content)} bytes, its head says {expected}")
        return torch.from_numpy(np.frombuffer(content, np.uint8, offset=begin).reshape(lengths).copy())
