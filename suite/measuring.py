"""Tasks whose steps are timed on this machine before they are planned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import digest
from suite.experiment.runtime import Runtime
from suite.experiment.task import TaskSpec
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

    A task that cannot be measured keeps its own figure, and its sentence says why. What is the same work, such as a
    step on another Atari game, is timed once.
    """
    found: dict[str, tuple[str, float | None, str]] = {}
    notes: dict[tuple[str, str], str] = {}
    timed: list[Task] = []
    for task in tasks:
        spec = task.spec
        if not (spec.scale == MEASURED_SCALE if wanted is None else wanted):
            timed.append(task)
            if spec.changed:
                notes[spec.id, spec.hash] = (
                    f"{spec.id}: time and FLOPs of a step are the task's own, before what --set changed; "
                    "--measure takes the time here"
                )
            continue
        work = _work(spec)
        if work not in found:
            found[work] = spec.id, *_seconds(spec, task.options.runtime)
        first, seconds, how = found[work]
        same = f" (that of {first}, whose step is the same work)" if first != spec.id and seconds else ""
        notes[spec.id, spec.hash] = f"{spec.id}: time {how}{same}"
        cost = spec.cost if seconds is None else spec.cost.model_copy(update={"seconds_per_step": seconds})
        timed.append(replace(task, spec=spec.model_copy(update={"cost": cost})))
    return Timed(tuple(timed), tuple(notes.values()))


def _work(spec: TaskSpec) -> str:
    """What the time of a step depends on: by whom, of which network, how, and how much there is to compute."""
    return digest([spec.learner, spec.model, spec.training.model_dump(mode="json"), spec.cost.flops_per_step])


def _seconds(spec: TaskSpec, runtime: Runtime) -> tuple[float | None, str]:
    """Seconds of a step, or None where it cannot be measured, and how that was found."""
    from suite.experiment.measure import step_time

    try:
        check_device(runtime.device)
        time = step_time(spec, runtime)
    except (RunError, UsageError) as error:
        return None, f"the task's own figure, since it could not be measured: {error}"
    return time.seconds, f"measured here on {runtime.device}: {time.how}"
