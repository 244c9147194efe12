"""The optimizer that stable-baselines3 adds to those of the suite."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

from suite.experiment.optimizers import NotNegative, Optimizer

__all__ = ["Optimizer", "RMSpropTF"]


class RMSpropTF(Optimizer):
    """RMSprop as TensorFlow has it: `eps` under the root, the squared gradient's mean starting from 1."""

    name: ClassVar[str] = "rmsprop-tf"

    lr: NotNegative = Field(default=1e-2, description="base learning rate; the schedule's factor is on it")
    alpha: NotNegative = Field(default=0.99, description="decay of the squared gradient's mean")
    eps: NotNegative = Field(default=1e-8, description="added to the squared gradient's mean, under the root")
    momentum: NotNegative = Field(default=0.0, description="share of the last update in the next")
    centered: bool = Field(default=False, description="divide by the gradient's standard deviation instead")

    @property
    def torch_class(self) -> Callable[..., torch.optim.Optimizer]:
        """stable-baselines3's RMSpropTFLike."""
        return RMSpropTFLike
