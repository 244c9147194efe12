"""The schedule `cosine`."""

import math
from typing import ClassVar

from suite.experiment.schedules import Schedule


class Cosine(Schedule):
    """Falls to 0 at the last step along half a cosine (Loshchilov and Hutter 2017, equation 5, without restarts)."""

    name: ClassVar[str] = "cosine"

    def shape(self, step: int, total_steps: int) -> float:
        """1 after the warm-up, 0 at the end."""
        return 0.5 * (1 + math.cos(math.pi * self.progress(step, total_steps)))
