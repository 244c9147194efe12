"""Images that are made up: a network can be timed, and its FLOPs counted, where its data are not."""

from collections.abc import Iterator

import torch

from domains.vision.batches import Batch
from suite.experiment.learner import Split
from suite.experiment.runtime import Runtime


class MadeUp:
    """Random images and labels, `size` in every batch; see `domains.vision.batches.Batches`."""

    def __init__(self, shape: tuple[int, int, int], classes: int, size: int, runtime: Runtime) -> None:
        self._shape, self._classes, self._size, self._device = shape, classes, size, runtime.device

    def of_step(self, step: int) -> Batch:
        """A batch of the step's own."""
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(self._size, *self._shape, generator=generator)
        labels = torch.randint(self._classes, (self._size,), generator=generator)
        return images.to(self._device), labels.to(self._device)

    def of_split(self, split: Split) -> Iterator[Batch]:
        """One batch."""
        yield self.of_step(0)
