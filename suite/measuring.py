"""Tasks whose steps are timed on this machine before they are planned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.experiment.errors import RunError, UsageError
from suite.experiment.taskfile import Task
from suite.run import check_device

MEASURED_SCALE = "paper"
"""The scale whose time is measured unless that is declined: such a run takes days, and a measurement seconds."""


@dataclass(frozen=True)
class Timed:
    """Tasks with the cost of a step as it was measured, and a sentence on each for people."""

    tasks: tuple[Task, ...]
    notes: tuple[str, ...]


def measured(tasks: Sequence[Task], wanted: bool | None) -> Timed:
    """Tasks with seconds of a step as this machine takes them: all if `wanted`, those at `paper` if it is None.

    A task that cannot be measured keeps its own figure, and its sentence says why.
    """
    from suite.experiment.measure import step_time

    found: dict[tuple[str, str], tuple[float | None, str]] = {}
    timed: list[Task] = []
    for task in tasks:
        spec, runtime = task.spec, task.options.runtime
        if not (spec.scale == MEASURED_SCALE if wanted is None else wanted):
            timed.append(task)
            continue
        if (spec.id, spec.hash) not in found:
            try:
                check_device(runtime.device)
                time = step_time(spec, runtime)
                found[spec.id, spec.hash] = time.seconds, f"measured here on {runtime.device}: {time.how}"
            except (RunError, UsageError) as error:
                found[spec.id, spec.hash] = None, f"the task's own figure, since it could not be measured: {error}"
        seconds, _ = found[spec.id, spec.hash]
        cost = spec.cost if seconds is None else spec.cost.model_copy(update={"seconds_per_step": seconds})
        timed.append(replace(task, spec=spec.model_copy(update={"cost": cost})))
    return Timed(tuple(timed), tuple(f"{task_id}: time {how}" for (task_id, _), (_, how) in found.items()))
