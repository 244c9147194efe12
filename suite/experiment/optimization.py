"""What a training loop does with any optimizer: rates of its groups, gradients dropped, kinds it cannot drive."""

import inspect

import torch

from suite.experiment.errors import UsageError


class BaseRates:
    """The learning rate that each parameter group starts from, and that a schedule scales.

    Groups may be exchanged after construction, or added in the middle of training: a group's rate is the one it has
    when it is first seen. A group without a rate is left alone.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer, self._rates = optimizer, _rates(optimizer, 0)

    def scale(self, optimizer: torch.optim.Optimizer, factor: float) -> None:
        """Set every group's rate to its base rate times a factor."""
        groups = optimizer.param_groups
        if optimizer is not self._optimizer:
            self._optimizer, self._rates = optimizer, []
        if len(groups) > len(self._rates):
            self._rates += _rates(optimizer, len(self._rates))
        for group, rate in zip(groups, self._rates, strict=False):
            if rate is not None:
                group["lr"] = rate * factor


def _rates(optimizer: torch.optim.Optimizer, first: int) -> list[float | None]:
    return [float(group["lr"]) if "lr" in group else None for group in optimizer.param_groups[first:]]


def drop_gradients(optimizer: torch.optim.Optimizer) -> None:
    """`optimizer.zero_grad(set_to_none=True)`, which for torch's own takes a hundredth of a small step."""
    if type(optimizer).zero_grad is not torch.optim.Optimizer.zero_grad:
        optimizer.zero_grad(set_to_none=True)
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def refuse_closures(optimizer: torch.optim.Optimizer) -> None:
    """Raise UsageError for an optimizer that evaluates the loss itself, several times a step (torch's LBFGS)."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise UsageError(
            f"optimizer {type(optimizer).__name__} needs a closure that evaluates the loss, and a step here evaluates "
            "it once: choose another optimizer, or write a Learner with a loop of its own"
        )
