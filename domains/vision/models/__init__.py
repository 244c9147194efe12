"""The image classifiers that a task may name, one family a file."""

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from suite.experiment.component import Component


class Model(Component):
    """An image classifier."""

    table: ClassVar[str] = "model"

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network for images of `shape` (C, H, W), [N, C, H, W] -> logits [N, classes].

        Weights are drawn from torch's default generator; on the meta device only shapes and names are made.
        """
