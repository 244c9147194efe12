"""What a training run reads: the batches of its steps, and those of its evaluations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from suite.experiment.learner import Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams

Batch = tuple[Tensor, Tensor]
"""Images as a network sees them (float32 [N, C, H, W]) and labels (int64 [N]), both on the run's device."""

EVALUATION_BATCH = 1000
EVALUATION_PIXELS = 2_000_000
"""Most pixels of an evaluation's batch: 39 images of 224 x 224; a layer's 64 channels of them take half a gigabyte."""


class Batches(Protocol):
    """The batches of one training run, which depend on the step and on the run's streams alone."""

    def of_step(self, step: int) -> Batch:
        """Training images of a step, augmented; a step may be asked for again, and in any order."""

    def of_split(self, split: Split) -> Iterator[Batch]:
        """All images of a split once, in its order, not augmented."""


@dataclass(frozen=True)
class Reading:
    """What a run asks of its data: `batch` images a step, up to step `last`, drawn from its streams."""

    batch: int
    last: int
    streams: Streams
    runtime: Runtime

    def generator(self, *index: int) -> torch.Generator:
        """The random numbers of an epoch's order (its number), or of a step's augmentation (0, step)."""
        return torch.Generator().manual_seed(self.streams.seed("data", *index))


def at_once(shape: tuple[int, int, int]) -> int:
    """How many images [C, H, W] an evaluation takes at a time."""
    _, height, width = shape
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // (height * width)))
