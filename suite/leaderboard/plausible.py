"""Whether an entry's values and cost can be what they are said to be: one line for every problem found."""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from suite.experiment.plan import DENSE, LADDER, Plan
from suite.experiment.task import TaskMetric
from suite.leaderboard.protocol import Place, trained
from suite.leaderboard.schema import EntryCost, EntryPoint, Measured

FLOPS_FACTOR = 5.0
"""How far the counted FLOPs of a step may be from the task's own estimate, which is one of a typical step."""

TELLING = 6
"""Fewer values than these may be equal in two replicates by chance."""

FASTEST_CORE = 1e13
"""FLOP/s that no core reaches: matrix units of 2026 give about 4e12 in bfloat16, vector units 2e11 in float32."""

FASTEST_GPU = 1e17
"""FLOP/s that no accelerator reaches: those of 2026 give about 1e16 in 8 bits."""


def values(entry: Measured, metric: TaskMetric) -> Iterator[str]:
    """Values outside the bounds of the task's metric."""
    low = -math.inf if metric.lowest is None else metric.lowest
    high = math.inf if metric.highest is None else metric.highest
    for arm, points in entry.curves.items():
        for point in points:
            for replicate, value in enumerate(point.values):
                if value is not None and not low <= value <= high:
                    yield (
                        f"{arm} level {point.level} replicate {replicate} has {entry.metric.name} {value}, "
                        f"outside [{low:g}, {high:g}]"
                    )


def replicates(entry: Measured) -> Iterator[str]:
    """Replicates that are missing, and scores that go on after their ladder ended."""
    n = entry.protocol.replicates
    if n < 2:
        yield "one replicate has no interval: an entry has 2 or more"
    for arm, points in entry.curves.items():
        for point in points:
            if not len(point.values) == len(point.weights) == n:
                yield (
                    f"{arm} level {point.level} has {len(point.values)} values and {len(point.weights)} weights "
                    f"digests for {n} replicates: all of 0 to {n - 1} are needed"
                )
                continue
            for replicate in range(n):
                yield from _ended(entry, arm, point, replicate)
    for replicate in range(n):
        if all(_at(point.values, replicate) is None for points in entry.curves.values() for point in points):
            yield f"replicate {replicate} has no value at all: a replicate may diverge on its way, not in every cell"


def _ended(entry: Measured, arm: str, point: EntryPoint, replicate: int) -> Iterator[str]:
    where = f"{arm} level {point.level} replicate {replicate}"
    has_weights, score = point.weights[replicate] is not None, point.values[replicate]
    if score is not None and not has_weights:
        yield f"{where} has a score and no digest of its weights"
    before = [p for p in entry.curves.get(LADDER, ()) if p.level < point.level and _source(entry, p)]
    ended = [p.level for p in before if _at(p.values, replicate) is None]
    if has_weights and ended:
        yield f"{where} was trained, but its ladder diverged at level {ended[0]}"
    if not has_weights and not ended:
        yield f"{where} is missing: no level before it diverged"


def _source(entry: Measured, point: EntryPoint) -> bool:
    """Whether masks of later levels are pruned from this point of the ladder."""
    method = entry.method.settings
    return method.schedule == "iterative" or (point.level == 0 and method.score_at == "end")


def _at(values: Sequence[object], replicate: int) -> object:
    return values[replicate] if replicate < len(values) else None


def reused(entry: Measured) -> Iterator[str]:
    """Two replicates with one curve, two cells with one set of trained weights: a seed that was used again."""
    seen: dict[str, tuple[Place, float]] = {}
    for arm, points in entry.curves.items():
        for point in points:
            for replicate, weights in enumerate(point.weights):
                if weights is None or _at(point.values, replicate) is None:
                    continue
                place = (DENSE if point.level == 0 else arm, point.level, replicate)
                other, density = seen.setdefault(weights, (place, point.density))
                # A mask so small that it stays as it is gives the same training at the next level: no seed is reused.
                unpruned = (other[0], other[2], density) == (place[0], place[2], point.density)
                if other != place and not unpruned:
                    yield f"{_name(place)} has the very weights of {_name(other)}"
    vectors: dict[tuple[object, ...], int] = {}
    for replicate in range(entry.protocol.replicates):
        vector = tuple(_at(p.values, replicate) for points in entry.curves.values() for p in points if p.level)
        telling = len(vector) >= TELLING and len(set(vector)) > 1
        if telling and vector in vectors:
            yield (
                f"replicates {vectors[vector]} and {replicate} have the same value everywhere below the dense network: "
                "a seed was used twice"
            )
        vectors.setdefault(vector, replicate)


def _name(place: Place) -> str:
    return f"{place[0]} level {place[1]} replicate {place[2]}"


def cost(entry: Measured, plan: Plan) -> Iterator[str]:
    """Cost that does not fit the steps of the plan, the task, or any machine."""
    spent, spec, device = entry.cost, plan.task.spec, entry.protocol.device.split(":")[0]
    places = trained(entry)
    cells = [cell for cell in plan if (cell.arm, cell.level, cell.replicate) in places]
    steps = sum(cell.steps for cell in cells)
    if spent.steps != steps:
        yield f"{spent.steps} steps, the plan has {steps}"
    level_zero = sum(cell.steps for cell in cells if cell.level == 0) / max(1, steps)
    yield from _flops(spent, spec.cost.flops_per_step * steps, level_zero)
    hours, fastest = (spent.cpu_hours, FASTEST_CORE) if device == "cpu" else (spent.gpu_hours, FASTEST_GPU)
    flops = spent.flops_sparse or 0.0
    least = flops / fastest / 3600
    if hours < least or hours == 0:
        yield f"{hours:.4g} {device} hours for {flops:.4g} FLOPs: no machine takes less than {least:.4g}"
    if device == "cpu" and spent.gpu_hours > 0:
        yield f"{spent.gpu_hours:.4g} gpu_hours of a run on the CPU"


def _flops(spent: EntryCost, expected: float, level_zero: float) -> Iterator[str]:
    """FLOPs that contradict each other or the task's estimate; `level_zero` is the dense runs' share of the steps."""
    dense, sparse = spent.flops_dense, spent.flops_sparse
    if dense is None or sparse is None:
        if (dense is None) != (sparse is None):
            yield "FLOPs are counted dense and by density, or neither"
        return
    if sparse > dense * (1 + 1e-9):
        yield f"{sparse:.4g} sparse FLOPs are more than the {dense:.4g} dense ones"
    if sparse < dense * level_zero * (1 - 1e-9):
        yield f"{sparse:.4g} sparse FLOPs are less than the dense runs alone take ({dense * level_zero:.4g})"
    if expected and not expected / FLOPS_FACTOR <= dense <= expected * FLOPS_FACTOR:
        yield f"{dense:.4g} dense FLOPs, by the task's own estimate about {expected:.4g}"


def remarkable(entry: Measured) -> Iterator[str]:
    """What a reader should look at twice: better than its own dense network beyond reason, diverged replicates."""
    metric = entry.metric
    sign = 1 if metric.higher_is_better else -1
    for arm, points in entry.curves.items():
        dense = [value for point in points[:1] for value in point.values if value is not None]
        for point in points[1:]:
            found = [value for value in point.values if value is not None]
            spread = stdev(dense) if len(dense) > 1 else 0.0
            gain = sign * (fmean(found) - fmean(dense)) if found and dense else 0.0
            if gain > max(2 * metric.margin, 3 * spread):
                yield f"{arm} level {point.level} is better than its own dense network by {gain:.4g}, beyond reason"
            lost = [str(r) for r, value in enumerate(point.values) if value is None]
            if lost:
                yield f"{arm} level {point.level}: replicate {', '.join(lost)} diverged, here or before"
