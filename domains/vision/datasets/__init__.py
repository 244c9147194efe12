"""The image datasets that a task may name, one class a file."""

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch

from domains.vision.data import Splits
from domains.vision.inputs import Inputs
from suite.experiment.component import Component
from suite.experiment.task import Data


class Dataset(Component):
    """Labelled images of `classes` classes, in three splits: `train`, `validation`, `test`."""

    table: ClassVar[str] = "data.settings"
    classes: ClassVar[int]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a network sees it."""

    @property
    @abstractmethod
    def examples(self) -> int:
        """Training images, known without reading them."""

    @abstractmethod
    def load(self, root: Path | None) -> tuple[Splits, str]:
        """The splits, and the fingerprint of what they are made of, from the folder of datasets if one is named."""

    def inputs(self, device: torch.device) -> Inputs:
        """What turns images of the splits into a network's input; by default they are it."""
        return Inputs()

    def check_files(self, root: Path | None) -> None:
        """Raise RunError that names a file which is not the published one; by default there is none to compare."""

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training images; a remainder is left out."""
        return self.examples // batch


def load(data: Data, root: Path | None = None) -> Splits:
    """The data of a task, once a process; raises RunError when it is not what the task was defined on."""
    dataset = Dataset.of_data(data.name, data.settings)
    splits, found = _load(dataset, root)
    if found != data.fingerprint:
        dataset.check_files(root)
    data.check(found)
    return splits


@lru_cache(maxsize=4)
def _load(dataset: Dataset, root: Path | None) -> tuple[Splits, str]:
    return dataset.load(root)
