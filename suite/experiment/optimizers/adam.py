"""The optimizer `adam`."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field

from suite.experiment.optimizers import Fraction, NotNegative, Optimizer


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); `weight_decay` is added to the gradient."""

    name: ClassVar[str] = "adam"

    betas: tuple[Fraction, Fraction] = Field(default=(0.9, 0.999), description="decay of the two moments")
    eps: NotNegative = Field(default=1e-8, description="added to the root of the second moment")
    amsgrad: bool = Field(default=False, description="use the largest second moment so far (Reddi et al. 2018)")
    fused: bool | None = Field(default=None, description="one pass over the weights; torch chooses by itself")
    foreach: bool | None = Field(default=None, description="update all tensors in one call; torch chooses by itself")

    @property
    def torch_class(self) -> Callable[..., torch.optim.Optimizer]:
        """torch.optim.Adam."""
        return torch.optim.Adam
