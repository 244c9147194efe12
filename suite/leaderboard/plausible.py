"""Whether an entry's values and cost can be what they are said to be: one line for every problem found."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import fmean, stdev

from suite.experiment.plan import DENSE, LADDER, Cell, Plan
from suite.experiment.task import TaskMetric
from suite.leaderboard.protocol import Place, apart, cells, ended, trained
from suite.leaderboard.schema import OWN, SOURCE, EntryCost, EntryPoint, Measured

FLOPS_FACTOR = 5.0
"""How far the counted FLOPs of a step may be from the task's own estimate, which is one of a typical step."""

TELLING = 6
"""Fewer values than these may be equal in two replicates by chance."""

FASTEST_CORE = 1e13
"""FLOP/s that no core reaches: matrix units of 2026 give about 4e12 in bfloat16, vector units 2e11 in float32."""

FASTEST_GPU = 1e17
"""FLOP/s that no accelerator reaches: those of 2026 give about 1e16 in 8 bits."""


def values(points_by_arm: Mapping[str, Sequence[EntryPoint]], metric: TaskMetric) -> Iterator[str]:
    """Values outside the bounds of their task's metric."""
    low, high = metric.bounds
    for arm, points in points_by_arm.items():
        for point in points:
            for replicate, value in enumerate(point.values):
                if not metric.admits(value):
                    yield (
                        f"{arm} level {point.level} replicate {replicate} has {metric.name} {value}, "
                        f"outside [{low:g}, {high:g}]"
                    )


def replicates(entry: Measured) -> Iterator[str]:
    """Replicates that are missing, and scores that go on after their ladder ended."""
    n = entry.protocol.replicates
    if n < 2:
        yield "one replicate has no interval: an entry has 2 or more"
    for arm, points in entry.all_curves.items():
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
    before = ended(entry, arm, point.level, replicate)
    if has_weights and before:
        yield f"{where} was trained, but its ladder diverged at level {before[0]}"
    if not has_weights and not before:
        yield f"{where} is missing: no level before it diverged"


def _at(values: Sequence[object], replicate: int) -> object:
    return values[replicate] if replicate < len(values) else None


def reused(entry: Measured) -> Iterator[str]:
    """Two replicates with one curve, two cells with one set of trained weights: a seed that was used again."""
    seen: dict[str, tuple[Place, float]] = {}
    to_itself = entry.source is not None and entry.source.task == entry.task
    for arm, points in entry.all_curves.items():
        for point in points:
            for replicate, weights in enumerate(point.weights):
                if weights is None or _at(point.values, replicate) is None:
                    continue
                dense = point.level == 0 and (arm != SOURCE or to_itself)  # of a transfer to itself, one dense run
                place = (DENSE if dense else arm, point.level, replicate)
                other, density = seen.setdefault(weights, (place, point.density))
                # A mask so small that it stays as it is gives the same training at the next level: no seed is reused.
                unpruned = (other[0], other[2], density) == (place[0], place[2], point.density)
                # Rewound to step 0, a ticket that is transferred to its own task is trained as on its ladder.
                ladder = to_itself and other[1:] == place[1:] and {other[0], place[0]} <= {LADDER, SOURCE, OWN}
                if other != place and not (unpruned or ladder):
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
    """Cost that does not fit the steps of the plan, the task, or any machine; that of a transfer's ladders too."""
    mine, ladders = costed(entry, plan)
    yield from _cost(entry.cost, entry.protocol.device, list(mine.values()))
    if entry.source is not None:
        for line in _cost(entry.source.cost, entry.protocol.device, list(ladders.values())):
            yield f"of the ladders: {line}"


def costed(entry: Measured, plan: Plan) -> tuple[dict[Place, Cell], dict[Place, Cell]]:
    """The cells that an entry's cost is of, and those of a transfer's ladders."""
    places = trained(entry)
    return apart({place: cell for place, cell in cells(plan).items() if place in places})


def _cost(spent: EntryCost, device: str, own: Collection[Cell]) -> Iterator[str]:
    device = device.split(":", maxsplit=1)[0]
    steps = sum(cell.steps for cell in own)
    if spent.steps != steps:
        yield f"{spent.steps} steps, the plan has {steps}"
    if not steps:
        return
    level_zero = sum(cell.steps for cell in own if cell.level == 0) / steps
    yield from _flops(spent, sum(cell.steps * cell.spec.cost.flops_per_step for cell in own), level_zero)
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
    """What a reader should look at twice: far better than its own dense network, diverged replicates."""
    metric = entry.metric
    sign = 1 if metric.higher_is_better else -1
    for arm, points in entry.curves.items():
        dense = [value for point in points[:1] for value in point.values if value is not None]
        for point in points[1:]:
            found = [value for value in point.values if value is not None]
            spread = stdev(dense) if len(dense) > 1 else 0.0
            gain = sign * (fmean(found) - fmean(dense)) if found and dense else 0.0
            if gain > max(2 * metric.margin, 3 * spread):
                yield (
                    f"{arm} level {point.level} is better than its own dense network by {gain:.4g}, more "
                    f"than twice the margin and three of its standard deviations: was it trained to its end?"
                )
            lost = [str(r) for r, value in enumerate(point.values) if value is None]
            if lost:
                yield f"{arm} level {point.level}: replicate {', '.join(lost)} diverged, here or before"
