"""What the protocol says: the registry's own task, the cells of its plan, how many weights survive at each level."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.experiment.options import RunOptions
from suite.experiment.plan import DENSE, Plan
from suite.experiment.plugins import code_of
from suite.experiment.registry import Registry
from suite.experiment.runner import make_plan
from suite.experiment.taskfile import Task
from suite.leaderboard.schema import Measured, TaskRef
from suite.tickets.arms import ARMS
from suite.tickets.scores import CRITERIA
from suite.tickets.select import survivors

Place = tuple[str, int, int]
"""(arm, level, replicate)."""


def registered(registry: Registry, ref: TaskRef) -> Task:
    """The registry's task of an id and scale; raises UsageError where version or hash are others."""
    if ref.id not in registry.ids:
        raise UsageError(f"unknown task {ref.id!r}: if it is of a plugin, name its file with --plugin")
    task = registry.find(ref.id).at(ref.scale)
    if (task.spec.version, task.spec.hash) != (ref.version, ref.hash):
        raise UsageError(
            f"{ref.id} {ref.version} at {ref.scale} with hash {ref.hash[:12]} is not the protocol: the registry has "
            f"{task.spec.version} with {task.spec.hash[:12]} (numbers changed by --set, or another version)"
        )
    return task


def plan(entry: Measured, task: Task, replicates: int) -> Plan:
    """The plan that an entry was run by, of its first `replicates`; by a criterion not known here nothing is pruned."""
    settings = entry.method.settings
    known = settings if settings.criterion in CRITERIA else settings.model_copy(update={"criterion": "magnitude"})
    options = RunOptions(**entry.protocol.model_dump() | {"replicates": replicates})
    made = make_plan(Task(task.spec, known, options, task.code))
    if known is settings:
        return made
    return Plan(made.task, tuple(replace(cell, method=settings, prunes=()) for cell in made))


def code(task: Task) -> str:
    """Digests of third parties' code in a run: its task's, its criterion's, its arms'; empty for the suite's own."""
    arms = [ARMS[name] for name in task.options.arms]
    parts = (part for arm in arms for part in (arm.change, arm.inherit) if part is not None)
    functions = (CRITERIA[task.method.criterion].score, *parts)
    return " ".join(dict.fromkeys(found for found in (task.code, *map(code_of, functions)) if found))


def levels(plan: Plan) -> dict[str, tuple[int, ...]]:
    """The levels of every arm asked for, the dense one first."""
    found = {arm: {0} for arm in plan.task.options.arms}
    for cell in plan:
        if cell.arm in found:
            found[cell.arm].add(cell.level)
    return {arm: tuple(sorted(own)) for arm, own in found.items()}


def trained(entry: Measured) -> set[Place]:
    """The cells that an entry has: all but those whose ladder diverged before; level 0 is the arm `dense`."""
    return {
        (DENSE if point.level == 0 else arm, point.level, replicate)
        for arm, points in entry.curves.items()
        for point in points
        for replicate, weights in enumerate(point.weights)
        if weights is not None
    }


def pruned_from_dense(level: int, method: Method) -> bool:
    """Whether a ticket's mask was pruned from the dense run: that of level 1, and every one of a one-shot method."""
    return level == 1 or method.schedule == "one-shot"


def density(method: Method, sizes: Sequence[int], level: int) -> float:
    """Survivors / prunable weights after `level` prunings of tensors of these sizes: exact counts, as pruning makes."""
    if method.scope == "global":
        return _after(sum(sizes), method.rate, level) / sum(sizes)
    floor = Fraction(str(method.floor))
    kept = sum(max(_after(size, method.rate, level), math.ceil(floor * size)) for size in sizes)
    return kept / sum(sizes)


def uneven(method: Method, survivors: Mapping[str, tuple[int, int]], level: int) -> Iterator[str]:
    """Tensors whose (survivors, weights) scope and floor of a method do not allow after `level` prunings.

    Layerwise every tensor has an exact count; globally none has fewer than its floor.
    """
    floor = Fraction(str(method.floor))
    for name, (kept, size) in survivors.items():
        least = math.ceil(floor * size)
        if method.scope == "layerwise" and kept != (exact := max(_after(size, method.rate, level), least)):
            yield f"keeps {kept} of the {size} weights of {name}, level {level} layerwise exactly {exact}"
        elif kept < least:
            yield f"keeps {kept} of the {size} weights of {name}, its floor of {method.floor:g} is {least}"


def _after(size: int, rate: float, level: int) -> int:
    for _ in range(level):
        size = survivors(size, rate)
    return size
