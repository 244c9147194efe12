"""The barrier on a line between two runs, and the error that it is measured in. Pure, no torch."""

from collections.abc import Sequence
from typing import Final

from suite.experiment.errors import UsageError
from suite.experiment.task import Metric, TaskMetric

POINTS: Final = 11
"""Points on the line, both ends among them."""


def check_error(metric: TaskMetric, task: str) -> None:
    """Raise UsageError for a metric that says nothing of errors in percent: it is a share of 1 only between 0 and 1."""
    if (metric.lowest, metric.highest) != (0.0, 1.0):
        raise UsageError(
            f"{task} is measured by {metric.name!r}, which is no share between 0 and 1, so that it has no error in "
            "percentage points: choose a task in accuracy, or if it is such a share, state metric.lowest = 0.0 and "
            "metric.highest = 1.0 in its file"
        )


def error_of(metric: Metric, score: float) -> float:
    """The error behind a score between 0 and 1: 1 - score where higher is better, such as of accuracy."""
    return 1 - score if metric.higher_is_better else score


def barrier(errors: Sequence[float]) -> float:
    """The largest error on a path less the mean of its ends' (Frankle et al. 2020, section 2)."""
    return max(errors) - (errors[0] + errors[-1]) / 2
