"""What the protocol says: the registry's own task, the cells of its plan, how many weights survive at each level."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from statistics import fmean

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.experiment.options import Carry, RunOptions
from suite.experiment.plan import DENSE, LADDER, RANDOM, Cell, Plan
from suite.experiment.plugins import code_of
from suite.experiment.registry import Registry
from suite.experiment.runner import make_plan
from suite.experiment.task import Metric
from suite.experiment.taskfile import Source, Task
from suite.leaderboard.schema import OWN, SOURCE, EntryPoint, Measured, TaskRef
from suite.tickets.arms import ARMS
from suite.tickets.scores import CRITERIA
from suite.tickets.select import survivors

Place = tuple[str, int, int]
"""(arm, level, replicate); the cells that found a transfer's tickets have SOURCE or OWN in the arm's place."""


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


def task_of(entry: Measured, registry: Registry) -> Task:
    """The registry's task of an entry, and with it that of its source; raises UsageError as `registered` does."""
    task, source = registered(registry, entry.task), entry.source
    if source is None:
        return task
    found = replace(registered(registry, source.task), method=source.method)
    return replace(task, source=Source(found, source.carry, source.covered))


def plan(entry: Measured, task: Task, replicates: int) -> Plan:
    """The plan that an entry was run by, of its first `replicates`; by a criterion not known here nothing is pruned.

    `task` is that of `task_of`.
    """
    settings, source = entry.method.settings, task.source
    options = RunOptions(**entry.protocol.model_dump() | {"replicates": replicates})
    if source is not None:
        source = replace(source, task=replace(source.task, method=_known(source.task.method)))
    made = make_plan(replace(task, method=_known(settings), options=options, source=source))
    if settings.criterion in CRITERIA:
        return made
    criterion = {"criterion": settings.criterion}
    cells = (replace(cell, method=cell.method.model_copy(update=criterion), prunes=()) for cell in made)
    return Plan(made.task, tuple(cells), made.support)


def _known(method: Method) -> Method:
    """A method whose criterion is known here."""
    return method if method.criterion in CRITERIA else method.model_copy(update={"criterion": "magnitude"})


def cells(plan: Plan) -> dict[Place, Cell]:
    """The cells of a plan by place, those that found a transfer's tickets included.

    A transfer of a task to itself has its dense runs twice: as the target's, and as the source's.
    """
    found = {(cell.arm, cell.level, cell.replicate): cell for cell in plan.shown}
    source = plan.task.source
    if source is None:
        return found
    for cell in plan:
        if cell.arm == DENSE and cell.spec == source.task.spec:
            found[SOURCE, 0, cell.replicate] = cell
        elif cell.key in plan.support and cell.level > 0:
            found[OWN if source.carry == "weights" else SOURCE, cell.level, cell.replicate] = cell
    return found


def code(task: Task) -> str:
    """Digests of third parties' code in a run: of its task and source, criterion, arms; empty for the suite's own."""
    arms = [ARMS[name] for name in task.options.arms]
    parts = (part for arm in arms for part in (arm.change, arm.inherit) if part is not None)
    functions = (CRITERIA[task.method.criterion].score, *parts)
    codes = (task.code, *(() if task.source is None else (task.source.task.code,)))
    return " ".join(dict.fromkeys(found for found in (*codes, *map(code_of, functions)) if found))


def apart(cells: Mapping[Place, Cell]) -> tuple[dict[Place, Cell], dict[Place, Cell]]:
    """The cells that an entry's cost is of, and those of a transfer's ladders, each cell in one of them."""
    mine = {place: cell for place, cell in cells.items() if place[0] not in (SOURCE, OWN)}
    keys = {cell.key for cell in mine.values()}  # of a transfer to itself, the dense runs are the target's
    return mine, {place: cell for place, cell in cells.items() if place not in mine and cell.key not in keys}


def levels(plan: Plan) -> dict[str, tuple[int, ...]]:
    """The levels of every arm asked for, the dense one first, and those of a transfer's ladders."""
    found = {arm: {0} for arm in plan.task.options.arms}
    for arm, level, _ in cells(plan):
        if arm in (SOURCE, OWN):
            found.setdefault(arm, set()).add(level)
        elif arm in found:
            found[arm].add(level)
    return {arm: tuple(sorted(own)) for arm, own in found.items()}


def trained(entry: Measured) -> set[Place]:
    """The cells that an entry has: all but those whose ladder diverged before; level 0 is the arm `dense`."""
    return {
        (DENSE if point.level == 0 and arm != SOURCE else arm, point.level, replicate)
        for arm, points in entry.all_curves.items()
        for point in points
        for replicate, weights in enumerate(point.weights)
        if weights is not None
    }


def points_of(entry: Measured, arm: str) -> tuple[EntryPoint, ...]:
    """What an entry claims of a cell's arm; the dense one begins every curve."""
    return entry.all_curves[LADDER if arm == DENSE else arm]


def metric_of(entry: Measured, arm: str) -> Metric:
    """The metric of an arm's cells."""
    return entry.source.metric if entry.source is not None and arm == SOURCE else entry.metric


def ladder_of(entry: Measured, arm: str) -> tuple[EntryPoint, ...]:
    """The runs that the masks of an arm are pruned from, level 0 first; none where no ticket takes part."""
    source = entry.source
    if source is None:
        return entry.curves.get(LADDER, ())
    if arm == SOURCE or (source.carry != "weights" and arm != RANDOM):
        return source.ladder
    return () if arm == RANDOM else (*next(iter(entry.curves.values()))[:1], *source.own_ladder)


def ended(entry: Measured, arm: str, level: int, replicate: int) -> list[int]:
    """The levels at which the ladder that an arm's mask of a level is pruned from diverged before; else none."""
    method = entry.method.settings
    return [
        point.level
        for point in ladder_of(entry, arm)
        if point.level < level
        and (method.schedule == "iterative" or (point.level == 0 and method.score_at == "end"))
        and (replicate >= len(point.values) or point.values[replicate] is None)
    ]


def prunes(carry: Carry | None, arm: str) -> bool:
    """Whether masks of a run are pruned from cells of an arm, if from any; `carry` is that of a transfer."""
    if carry is None:
        return True
    return arm in (DENSE, OWN) if carry == "weights" else arm == SOURCE


def maker(entry: Measured, place: Place) -> Place | None:
    """The cell that the mask of another one was pruned from; None where it has no ticket."""
    arm, level, replicate = place
    if level == 0 or (entry.source is not None and arm == RANDOM):
        return None
    above = 0 if pruned_from_dense(level, entry.method.settings) else level - 1
    if entry.source is None:
        return (DENSE if above == 0 else LADDER), above, replicate
    if entry.source.carry == "weights":
        return (DENSE if above == 0 else OWN), above, replicate
    return SOURCE, above, replicate


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


def mean_density(densities: Sequence[float]) -> float:
    """The mean density of some cells, 0 without any; no last digit is lost where all are equal."""
    if len(set(densities)) == 1:
        return densities[0]
    return fmean(densities) if densities else 0.0


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
