"""The schedule `constant`."""

from typing import ClassVar

from suite.experiment.schedules import Schedule


class Constant(Schedule):
    """The base rate at every step."""

    name: ClassVar[str] = "constant"

    def shape(self, step: int, total_steps: int) -> float:
        """1 at every step."""
        return 1.0
