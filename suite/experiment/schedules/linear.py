"""The schedule `linear`."""

from typing import ClassVar

from suite.experiment.schedules import Schedule


class Linear(Schedule):
    """Falls to 0 at the last step along a straight line."""

    name: ClassVar[str] = "linear"

    def shape(self, step: int, total_steps: int) -> float:
        """1 after the warm-up, 0 at the end."""
        return 1 - self.progress(step, total_steps)
