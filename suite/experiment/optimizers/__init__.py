"""The optimizers that a task may name: the settings that a task gives go to torch, the others are torch's defaults."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from suite.experiment.component import Component
from suite.experiment.errors import UsageError

NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Component):
    """An optimizer of torch."""

    table: ClassVar[str] = "training.optimizer"

    lr: NotNegative = Field(default=1e-3, description="base learning rate; the schedule's factor is on it")
    weight_decay: NotNegative = Field(default=0.0, description="factor of the weights' own share in each update")

    @property
    @abstractmethod
    def torch_class(self) -> Callable[..., torch.optim.Optimizer]:
        """The class of torch that this component sets up."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings that the task gives, as arguments of `torch_class`; the others are left to torch."""
        return self.model_dump(exclude_unset=True)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of some parameters; raises UsageError for settings that torch refuses together or here."""
        try:
            return self.torch_class(parameters, **self.arguments)
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            raise UsageError(f"{self.table}: {self.name} refuses {self.arguments}: {error}") from error
