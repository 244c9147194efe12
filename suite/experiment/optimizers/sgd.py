"""The optimizer `sgd`."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field

from suite.experiment.optimizers import NotNegative, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    name: ClassVar[str] = "sgd"

    momentum: NotNegative = Field(default=0.0, description="share of the last update in the next")
    dampening: float = Field(default=0.0, description="share of the gradient that momentum leaves out")
    nesterov: bool = Field(default=False, description="Nesterov's momentum (Sutskever et al. 2013)")
    fused: bool | None = Field(default=None, description="one pass over the weights; torch chooses by itself")
    foreach: bool | None = Field(default=None, description="update all tensors in one call; torch chooses by itself")

    @property
    def torch_class(self) -> Callable[..., torch.optim.Optimizer]:
        """torch.optim.SGD."""
        return torch.optim.SGD
