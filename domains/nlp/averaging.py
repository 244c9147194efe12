"""The mean of a run's last checkpoints, which becomes its result (Vaswani et al. 2017, section 6.1)."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from suite.experiment.learner import Span

PREFIX: Final = "average."


class CheckpointAverage:
    """Sums the parameters of `count` checkpoints, `every` steps apart, of which the last is the end of the span.

    Those that would lie at its beginning or before are none, and a mean of one is left as it is. Parameters are summed
    and divided at the end, as fairseq's `average_checkpoints.py` does.
    """

    def __init__(self, model: nn.Module, count: int, every: int, span: Span) -> None:
        self._model, self._last = model, span.last
        steps = {step for i in range(count) if (step := span.last - i * every) > span.first}
        self._steps = steps if len(steps) > 1 else set()
        self._sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def after(self, step: int) -> None:
        """To be told after each step how many are taken; after the last one the model has the mean."""
        if step not in self._steps:
            return
        for name, parameter in self._model.named_parameters():
            if name in self._sums:
                self._sums[name] += parameter
            else:
                self._sums[name] = parameter.detach().clone()
        if step == self._last:
            for name, parameter in self._model.named_parameters():
                parameter.copy_(self._sums[name] / len(self._steps))
            self._sums.clear()

    def tensors(self) -> dict[str, Tensor]:
        """Copies of the sums so far, under names of a snapshot."""
        return {f"{PREFIX}{name}": value.clone() for name, value in self._sums.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the sums of a snapshot."""
        own = dict(self._model.named_parameters())
        self._sums = {
            name: tensors[f"{PREFIX}{name}"].to(parameter.device, copy=True)
            for name, parameter in own.items()
            if f"{PREFIX}{name}" in tensors
        }
