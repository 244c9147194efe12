"""A sweep over rewind steps: one task by one method, whose tickets are tested for stability at each step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from suite.choose import choose
from suite.experiment.errors import UsageError
from suite.experiment.explain import refusal
from suite.experiment.options import Connected
from suite.experiment.plan import LADDER
from suite.experiment.taskfile import Task


def choose_sweep(
    name: str, scale: str | None, methods: Sequence[str], rewind_steps: Sequence[int] | None,
    at: Sequence[int] | None, measured: Mapping[str, Any], options: Mapping[str, Any], changes: Sequence[str],
    plugins: Sequence[Path],
) -> list[Task]:  # fmt: skip
    """The task at every rewind step, the smallest first; tickets of the levels `at` are tested for connectivity.

    `measured` are fields of `Connected` beside its levels. The winning ticket, which is what is tested, is among the
    arms whichever are named, and levels end with the last that is tested. Raises UsageError for whatever is wrong.
    """
    ending = {"levels": max(at)} if at else {}
    arms = (LADDER, *options.get("arms", ()))
    found = choose([name], scale, methods, {**ending, **options, "arms": arms}, changes, plugins)
    if len(found) > 1:
        which = ", ".join(f"{task.spec.id} by {task.method.name}" for task in found)
        raise UsageError(f"{name}: stability takes one task and one method at a time, this names {which}")
    (task,) = found
    if any(change.partition("=")[0] in ("rewind_step", "rewind_epoch") for change in changes):
        raise UsageError("--set rewind_step: name the steps with --rewind-steps, such as --rewind-steps 0,100,400")
    levels = tuple(dict.fromkeys(at)) if at else spread_levels(task)
    try:
        connected = Connected(levels=levels, **measured)
    except ValidationError as error:
        raise refusal(error, Connected, {"levels": levels, **measured}) from error
    own = task.options.model_copy(update={"connected": connected, "at": tuple(n for n in levels if n > 0)})
    return [_at_step(replace(task, options=own), k) for k in sorted(set(rewind_steps or spread_steps(task)))]


def spread_levels(task: Task) -> tuple[int, ...]:
    """Levels to test where none are named: the dense network, and the task's own choice of levels or their thirds."""
    levels = task.options.levels
    own = task.options.at or (ceil(levels / 3), ceil(2 * levels / 3), levels)
    return (0, *dict.fromkeys(level for level in own if level > 0))


def spread_steps(task: Task) -> tuple[int, ...]:
    """Rewind steps to test where none are named: 0, the task's own (or a twentieth of the run), and four times that."""
    steps = task.spec.training.total_steps
    own = task.method.rewind_step or ceil(steps / 20)
    return tuple(k for k in (0, own, 4 * own) if k < steps)


def _at_step(task: Task, k: int) -> Task:
    name = f"{task.method.name} k={k}"
    return replace(task, method=task.method.model_copy(update={"rewind_step": k, "name": name}))
