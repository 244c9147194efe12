"""The schedule `step`."""

from typing import Annotated, ClassVar

from pydantic import Field

from suite.experiment.schedules import Schedule


class Step(Schedule):
    """Multiplies the rate by `gamma` at each milestone."""

    name: ClassVar[str] = "step"

    milestones: tuple[Annotated[int, Field(ge=0)], ...] = Field(description="steps at which the rate is multiplied")
    gamma: float = Field(default=0.1, description="factor on the rate at each milestone")

    def shape(self, step: int, total_steps: int) -> float:
        """`gamma` to the power of the milestones passed."""
        return float(self.gamma) ** sum(step >= milestone for milestone in self.milestones)
