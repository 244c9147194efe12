"""The optimizer `adamw`."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field

from suite.experiment.optimizers import Fraction, NotNegative, Optimizer


class AdamW(Optimizer):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019)."""

    name: ClassVar[str] = "adamw"

    weight_decay: NotNegative = Field(default=0.01, description="times the rate: share of the weights taken off a step")
    betas: tuple[Fraction, Fraction] = Field(default=(0.9, 0.999), description="decay of the two moments")
    eps: NotNegative = Field(default=1e-8, description="added to the root of the second moment")
    amsgrad: bool = Field(default=False, description="use the largest second moment so far (Reddi et al. 2018)")
    fused: bool | None = Field(default=None, description="one pass over the weights; torch chooses by itself")
    foreach: bool | None = Field(default=None, description="update all tensors in one call; torch chooses by itself")

    @property
    def torch_class(self) -> Callable[..., torch.optim.Optimizer]:
        """torch.optim.AdamW."""
        return torch.optim.AdamW
