"""One curve against another over all densities that both have, and density by density: arms of an entry, or entries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from suite.leaderboard.ranking import ROUNDING, Contender, differ, in_pairs, nearest
from suite.results.area import heights, pruned
from suite.results.curve import CurvePoint
from suite.results.judge import AreaVerdict, DensityVerdict, Row, area_verdict, density_verdicts
from suite.results.stats import LEAST_REPLICATES, Difference, paired

Differ = Callable[[Sequence[float | None], Sequence[float | None]], Difference]


@dataclass(frozen=True)
class Between:
    """The verdict over all densities, and those of every density."""

    area: AreaVerdict
    densities: tuple[DensityVerdict, ...]


def entries(a: Contender, b: Contender, densest: float = 1.0, sparsest: float = 0.0) -> Between:
    """The ranked arms of two entries: paired by replicate where their dense runs agree bit for bit, else Welch's.

    Points meet by level where both methods prune at one rate, for tickets of several sources may cover other tensors;
    else by density.
    """
    margin = a.curves.spec.metric.margin
    found = _between(b.name, shared_points(a, b), lambda x, y: differ(a, b, x, y), margin, densest, sparsest)
    few = len(in_pairs(a, b)) or min(len(a.curves.replicates), len(b.curves.replicates))
    return _preliminary(found, few)


def shared_points(a: Contender, b: Contender) -> list[tuple[CurvePoint, CurvePoint]]:
    """The points of both ranked arms that are compared."""
    one_rate = a.curves.method.rate == b.curves.method.rate
    theirs = {point.level: point for point in b.points}
    met = [
        (point, theirs.get(point.level) if one_rate else nearest(b.points, point.density)) for point in pruned(a.points)
    ]
    return [(mine, other) for mine, other in met if other is not None and 0 < other.density < 1]


def arms(of: Contender, ours: str, theirs: str, densest: float = 1.0, sparsest: float = 0.0) -> Between:
    """Two arms of one entry, paired by replicate."""
    curves = of.curves
    dense = theirs == "dense"
    others = {point.level: point for point in curves.arms.get(theirs, ())}
    points = [
        (point, curves.dense if dense else others[point.level])
        for point in pruned(curves.arms.get(ours, ()))
        if dense or point.level in others
    ]
    better = curves.spec.metric.higher_is_better

    def difference(x: Sequence[float | None], y: Sequence[float | None]) -> Difference:
        both = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
        return paired([a for a, _ in both], [b for _, b in both], better)

    found = _between(theirs, points, difference, curves.spec.metric.margin, densest, sparsest)
    return _preliminary(found, len(curves.replicates))


def _between(
    against: str, points: Sequence[tuple[CurvePoint, CurvePoint]], difference: Differ, margin: float, densest: float,
    sparsest: float,
) -> Between:  # fmt: skip
    within = [
        (a, b) for a, b in points if sparsest * (1 - ROUNDING) <= a.density <= densest * (1 + ROUNDING)
    ]  # fmt: skip
    mine, theirs = [a for a, _ in within], [b for _, b in within]
    broken = [_broken(a, b) for a, b in within]
    area = difference(heights(mine), heights(theirs))
    rows: list[Row] = [(a, difference(a.values, b.values), why) for (a, b), why in zip(within, broken, strict=True)]
    return Between(
        area_verdict(against, mine, theirs, area, next((why for why in broken if why is not None), None), margin),
        tuple(density_verdicts(against, rows, margin)),
    )


def _broken(a: CurvePoint, b: CurvePoint) -> str | None:
    """Why there is no verdict: leaving a diverged replicate out would compare only those that survived."""
    lost = sorted({i for point in (a, b) for i, value in enumerate(point.values) if value is None})
    return f"replicate {', '.join(map(str, lost))} diverged, here or before" if lost else None


def _preliminary(found: Between, replicates: int) -> Between:
    if found.area.reason is not None or replicates >= LEAST_REPLICATES:
        return found
    few = f"{replicates} replicates: a verdict takes {LEAST_REPLICATES}"
    return Between(replace(found.area, reason=few), found.densities)
