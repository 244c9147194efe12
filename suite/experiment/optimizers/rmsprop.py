"""The optimizer `rmsprop`."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field

from suite.experiment.optimizers import NotNegative, Optimizer


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012) as torch has it."""

    name: ClassVar[str] = "rmsprop"

    lr: NotNegative = Field(default=1e-2, description="base learning rate; the schedule's factor is on it")
    alpha: NotNegative = Field(default=0.99, description="decay of the squared gradient's mean")
    eps: NotNegative = Field(default=1e-8, description="added to the root of the squared gradient's mean")
    momentum: NotNegative = Field(default=0.0, description="share of the last update in the next")
    centered: bool = Field(default=False, description="divide by the gradient's standard deviation instead")
    foreach: bool | None = Field(default=None, description="update all tensors in one call; torch chooses by itself")

    @property
    def torch_class(self) -> Callable[..., torch.optim.Optimizer]:
        """torch.optim.RMSprop."""
        return torch.optim.RMSprop
