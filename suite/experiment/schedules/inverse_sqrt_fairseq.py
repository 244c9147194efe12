"""The schedule `inverse-sqrt-fairseq`."""

import math
from typing import Annotated, ClassVar

from pydantic import Field

from suite.experiment.schedules import Schedule


class InverseSqrtFairseq(Schedule):
    """fairseq's `inverse_sqrt`, step for step: it counts the updates before a step, `inverse-sqrt` this one too.

    The rate rises from `start` by equal amounts to its full value at update `warmup`, then falls with the square root.
    """

    name: ClassVar[str] = "inverse-sqrt-fairseq"

    start: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="rate of the first step, as a part of the full one (`--warmup-init-lr` over `--lr`)"
    )

    def factor(self, step: int, total_steps: int) -> float:
        """Factor on the base learning rate of the step behind `step` updates."""
        if step < self.warmup:
            return self.start + step * (1 - self.start) / self.warmup
        return self.shape(step, total_steps)

    def shape(self, step: int, total_steps: int) -> float:
        """sqrt(warmup / step) once warmed up."""
        return math.sqrt(max(1, self.warmup) / max(1, step, self.warmup))
