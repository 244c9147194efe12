"""Learning-rate schedules as functions of the step, so that a run rewound to step k finds its rate without history."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from suite.experiment.component import Component
from suite.experiment.learner import Span

Factor = Callable[[int], float]


class Schedule(Component):
    """A learning-rate schedule: a linear warm-up from near 0 to 1, times a `shape`."""

    table: ClassVar[str] = "training.schedule"

    warmup: Annotated[float, Field(ge=0)] = Field(
        default=0, description="steps over which the rate rises linearly to its full value"
    )

    def factor(self, step: int, total_steps: int) -> float:
        """Factor on the base learning rate at a step of a run of `total_steps`."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warm * self.shape(step, total_steps)

    @abstractmethod
    def shape(self, step: int, total_steps: int) -> float:
        """The factor without the warm-up."""

    def progress(self, step: int, total_steps: int) -> float:
        """How much of the run after the warm-up is done at a step, from 0 to 1."""
        return min(1.0, max(0, step - self.warmup) / max(1, total_steps - self.warmup))


def learning_rate(settings: Mapping[str, object], span: Span, total_steps: int) -> Factor:
    """Factor on the base learning rate at each step of a span; raises UsageError for what no schedule has."""
    schedule = Schedule.of(settings)
    return lambda step: schedule.factor(span.schedule_step(step), total_steps)
