"""The dataset `svhn`."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from domains.vision.data import Images
from domains.vision.stored import labelled
from domains.vision.torchvision_files import TorchvisionDataset
from suite.experiment.datafiles import Files, reading

FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


class Svhn(TorchvisionDataset):
    """SVHN: 73,257 and 26,032 digits of house numbers, cropped (Netzer et al. 2011); without its set `extra`.

    Classes are of unequal size. `*_32x32.mat` lie in the folder of datasets itself, as torchvision has them.
    """

    name: ClassVar[str] = "svhn"
    classes: ClassVar[int] = 10
    stored_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    training_images: ClassVar[int] = 73_257

    def stored(self, root: Path | None) -> tuple[Images, Images, Files]:
        """Both sets (uint8 [N, 3, 32, 32]); the digit 0, whose label is 10 in the files, has label 0."""
        files = self.files(root)
        return self._set(files, FILES["train"]), self._set(files, FILES["test"]), files

    @classmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of both files."""
        import torchvision

        known = torchvision.datasets.SVHN.split_list
        return {name: known[part][2] for part, name in FILES.items()}

    def fetch(self, root: Path) -> None:
        """Download the files into a folder of datasets."""
        import torchvision

        for part in FILES:
            torchvision.datasets.SVHN(root, part, download=True)

    def _set(self, files: Files, name: str) -> Images:
        from scipy.io import loadmat

        content = files.read(name)
        with reading(files.find(name) or files.root):
            arrays = loadmat(io.BytesIO(content), variable_names=["X", "y"])
            if missing := {"X", "y"} - set(arrays):
                raise ValueError(f"no array {min(missing)}")
            pixels = torch.from_numpy(np.ascontiguousarray(arrays["X"].transpose(3, 2, 0, 1)))
            digits = torch.from_numpy(arrays["y"].astype(np.int64)).flatten()
            return labelled(pixels, torch.where(digits == 10, 0, digits), self.stored_shape, self.classes)
