"""What the protocol says: the registry's own task, the cells of its plan, how many weights survive at each level."""

import math
from collections.abc import Sequence
from fractions import Fraction

from suite.experiment.plan import DENSE, Cell, Plan
from suite.experiment.registry import Registry, Task
from suite.experiment.task import Method, UsageError
from suite.leaderboard.schema import Measured, TaskRef
from suite.tickets.select import survivors

Place = tuple[str, int, int]
"""(arm, level, replicate)."""


def registered(registry: Registry, ref: TaskRef) -> Task:
    """The registry's task of an id and scale; raises UsageError where version or hash are others."""
    task = registry.find(ref.id).at(ref.scale)
    if (task.spec.version, task.spec.hash) != (ref.version, ref.hash):
        raise UsageError(
            f"{ref.id} {ref.version} at {ref.scale} with hash {ref.hash[:12]} is not the protocol: the registry has "
            f"{task.spec.version} with {task.spec.hash[:12]} (numbers changed by --set, or another version)"
        )
    return task


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


def pruned_from_dense(cell: Cell) -> bool:
    """Whether a ticket's mask was pruned from the dense run: that of level 1, and every one of a one-shot method."""
    return cell.level == 1 or cell.method.schedule == "one-shot"


def density(method: Method, sizes: Sequence[int], level: int) -> float:
    """Survivors / prunable weights after `level` prunings of tensors of these sizes: exact counts, as pruning makes."""
    if method.scope == "global":
        return _after(sum(sizes), method.rate, level) / sum(sizes)
    floor = Fraction(str(method.floor))
    kept = sum(max(_after(size, method.rate, level), math.ceil(floor * size)) for size in sizes)
    return kept / sum(sizes)


def _after(size: int, rate: float, level: int) -> int:
    for _ in range(level):
        size = survivors(size, rate)
    return size
