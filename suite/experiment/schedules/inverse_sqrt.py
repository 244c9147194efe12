"""The schedule `inverse-sqrt`."""

import math
from typing import ClassVar

from suite.experiment.schedules import Schedule


class InverseSqrt(Schedule):
    """Falls with the square root of the step once warmed up (Vaswani et al. 2017, section 5.3)."""

    name: ClassVar[str] = "inverse-sqrt"

    def shape(self, step: int, total_steps: int) -> float:
        """1 up to the end of the warm-up, then sqrt(warmup / step)."""
        return math.sqrt(max(1, self.warmup) / max(step + 1, self.warmup, 1))
