"""Datasets that fit in memory: batches are sliced from a tensor and augmented as a whole."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch

from domains.vision.batches import Batch, Reading, at_once
from domains.vision.data import Splits
from domains.vision.datasets import Dataset
from domains.vision.inputs import Inputs
from suite.experiment.learner import Split
from suite.experiment.supervised import Order
from suite.experiment.task import Data


class InMemory(Dataset):
    """A dataset whose splits are read whole."""

    @abstractmethod
    def load(self, root: Path | None) -> tuple[Splits, str]:
        """The splits, and the fingerprint of what they are made of, from the folder of datasets if one is named."""

    def inputs(self, device: torch.device) -> Inputs:
        """What turns images of the splits into a network's input; by default they are it."""
        return Inputs()

    def check_files(self, root: Path | None) -> None:
        """Raise RunError that names a file which is not the published one; by default there is none to compare."""

    def batches(self, data: Data, reading: Reading) -> "MemoryBatches":
        """The batches of a run; the splits are read once a process."""
        device = torch.device(reading.runtime.device)
        return MemoryBatches(load(data, reading.runtime.data), self.inputs(device), reading)


class MemoryBatches:
    """Batches of splits in memory; see `domains.vision.batches.Batches`."""

    def __init__(self, splits: Splits, inputs: Inputs, reading: Reading) -> None:
        self._splits = {name: split.to(reading.runtime.device) for name, split in splits.items()}
        self._inputs, self._generator = inputs, reading.generator
        self._order = Order(len(self._splits["train"].labels), reading.batch, reading.generator)

    def of_step(self, step: int) -> Batch:
        """Training images of a step, augmented."""
        train = self._splits["train"]
        rows = self._order.rows(step).to(train.labels.device)
        images = train.images.index_select(0, rows)
        if self._inputs.draws:  # from the step alone; an epoch's order has a seed with one index, a step's has two
            images = self._inputs.augmented(images, self._generator(0, step))
        return self._inputs.scaled(images), train.labels.index_select(0, rows)

    def of_split(self, split: Split) -> Iterator[Batch]:
        """All images of a split once."""
        part = self._splits[split]
        channels, height, width = part.images.shape[1:]
        size = at_once((channels, height, width))
        for images, labels in zip(torch.split(part.images, size), torch.split(part.labels, size), strict=True):
            yield self._inputs.scaled(images), labels


def load(data: Data, root: Path | None = None) -> Splits:
    """The data of a task, once a process; raises RunError when it is not what the task was defined on."""
    dataset = InMemory.of_data(data.name, data.settings)
    splits, found = _load(dataset, root)
    if found != data.fingerprint:
        dataset.check_files(root)
    data.check(found)
    return splits


@lru_cache(maxsize=4)
def _load(dataset: InMemory, root: Path | None) -> tuple[Splits, str]:
    return dataset.load(root)
