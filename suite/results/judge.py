"""From curves to what may be said: one verdict per comparison, and in detail one per density; the critical density."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from suite.printing import count
from suite.results.area import Area, heights, learnt, normalised, pruned
from suite.results.curve import CurvePoint, TaskCurves
from suite.results.stats import (
    LEAST_REPLICATES,
    Difference,
    Interval,
    Outcome,
    critical_density,
    holm,
    outcome,
    paired,
    replicates_needed,
)


@dataclass(frozen=True)
class AreaVerdict:
    """The verdict of one comparison: the winning ticket against another arm over all tested densities below 1.

    One test, of the differences in area under the curve over log-density, paired by replicate; `difference` is that of
    the mean scores over log-density, in the metric's unit, positive where the winning ticket is better. `densities` are
    those that both arms have; at the sparsest their means are `ours` and `theirs`. `reason` says why a verdict is
    undecided, that it is preliminary, or that nothing differs; `replicates_needed` is set only where it is undecided
    and can be estimated.
    """

    against: str
    densities: tuple[float, ...]
    ours: float | None
    theirs: float | None
    n: int
    difference: float | None
    ci95: Interval | None
    p: float | None
    verdict: Outcome
    reason: str | None
    replicates_needed: int | None


@dataclass(frozen=True)
class DensityVerdict:
    """The same comparison at one density; `p_adjusted` is Holm's over the densities of the comparison."""

    against: str
    level: int
    density: float
    n: int
    difference: float | None
    ci95: Interval | None
    p: float | None
    p_adjusted: float | None
    verdict: Outcome
    reason: str | None
    replicates_needed: int | None


V = TypeVar("V", AreaVerdict, DensityVerdict)

Row = tuple[CurvePoint, Difference, str | None]
"""What a verdict of a density is given on: a point, its difference, and why it gets none (None: it gets one)."""


@dataclass(frozen=True)
class Judgement:
    """What one task's curves say: `primary` has one verdict per comparison, `verdicts` those of every density.

    Areas are taken over `area_densities`, those below 1 that all arms share, with this run's dense mean as 1.
    """

    curves: TaskCurves
    primary: tuple[AreaVerdict, ...]
    verdicts: tuple[DensityVerdict, ...]
    critical_density: float | None
    area: Mapping[str, Area]
    area_densities: tuple[float, ...]

    def against(self, arm: str) -> tuple[DensityVerdict, ...]:
        """The verdicts by density of one comparison, from dense to sparse."""
        return tuple(verdict for verdict in self.verdicts if verdict.against == arm)


def judge(curves: TaskCurves) -> Judgement:
    """Compare the winning arm with every other one and with dense; see `suite.results.stats`."""
    rivals: tuple[str, ...] = ()
    if "winning" in curves.arms:
        rivals = (*(name for name in curves.arms if name != "winning"), "dense")
    found = [verdict for arm in rivals for verdict in _by_density(curves, arm)]
    dense = [verdict for verdict in found if verdict.against == "dense"]
    lower = [None if v.ci95 is None or v.n < LEAST_REPLICATES or _diverged(curves, v) else v.ci95[0] for v in dense]
    shared = {arm: _at(points, _common_levels(curves)) for arm, points in curves.arms.items()}
    return Judgement(
        curves=curves,
        primary=tuple(over_all(curves, arm) for arm in rivals),
        verdicts=tuple(found),
        critical_density=critical_density([v.density for v in dense], lower, curves.spec.metric.margin),
        area={arm: _area(curves, points) for arm, points in shared.items()},
        area_densities=tuple(point.density for points in list(shared.values())[:1] for point in points),
    )


def over_all(curves: TaskCurves, arm: str, densest: float = 1.0, sparsest: float = 0.0) -> AreaVerdict:
    """The verdict of winning against an arm, over its tested densities below 1 from `densest` to `sparsest`."""
    metric = curves.spec.metric
    mine, theirs = _pairs(curves, arm, densest, sparsest)
    difference = paired_areas(mine, theirs, metric.higher_is_better)
    hindered = (reason for point in mine if (reason := hindrance(curves, arm, point.level)) is not None)
    found = area_verdict(arm, mine, theirs, difference, next(hindered, None), metric.margin)
    return _unfinished(found, len(curves.replicates))


def paired_areas(
    mine: Sequence[CurvePoint], theirs: Sequence[CurvePoint], higher_is_better: bool
) -> Difference:  # fmt: skip
    """Paired difference of the areas of two curves whose replicates stand in one order."""
    both = [
        (a, b)
        for a, b in zip(heights(mine), heights(theirs), strict=True)
        if a is not None and b is not None
    ]  # fmt: skip
    return paired([a for a, _ in both], [b for _, b in both], higher_is_better)


def area_verdict(
    against: str, mine: Sequence[CurvePoint], theirs: Sequence[CurvePoint], difference: Difference, broken: str | None,
    margin: float,
) -> AreaVerdict:  # fmt: skip
    """The verdict on a difference of areas; `broken` says why there is none."""
    p = difference.p if broken is None else None
    found = outcome(difference, p, margin)
    undecided = found == "undecided" and broken is None
    apart = None if mine else "no density below 1 that both have"
    sparsest = min(range(len(mine)), key=lambda i: mine[i].density, default=None)
    return AreaVerdict(
        against=against,
        densities=tuple(point.density for point in mine),
        ours=None if sparsest is None else mine[sparsest].mean,
        theirs=None if sparsest is None else theirs[sparsest].mean,
        n=difference.n,
        difference=difference.value,
        ci95=difference.interval,
        p=p,
        verdict=found,
        reason=broken or apart or _no_spread(difference, undecided),
        replicates_needed=replicates_needed(difference, margin) if undecided else None,
    )


def density_verdicts(against: str, rows: Sequence[Row], margin: float) -> list[DensityVerdict]:
    """One verdict a row, with Holm's correction over all rows that are tested.

    A density with a diverged replicate gets no verdict, so it is no test in Holm's family either.
    """
    family = {i: d.p for i, (_, d, broken) in enumerate(rows) if d.p is not None and broken is None}
    adjusted = dict(zip(family, holm(list(family.values())), strict=True))
    return [_density_verdict(against, row, adjusted.get(i), len(family), margin) for i, row in enumerate(rows)]


def _density_verdict(against: str, row: Row, p_adjusted: float | None, tests: int, margin: float) -> DensityVerdict:
    point, difference, broken = row
    found = outcome(difference, p_adjusted, margin)
    undecided = found == "undecided" and broken is None
    return DensityVerdict(
        against=against,
        level=point.level,
        density=point.density,
        n=difference.n,
        difference=difference.value,
        ci95=difference.interval,
        p=difference.p,
        p_adjusted=p_adjusted,
        verdict=found,
        reason=broken or _no_spread(difference, undecided),
        replicates_needed=replicates_needed(difference, margin, tests) if undecided else None,
    )


def _no_spread(difference: Difference, undecided: bool) -> str | None:
    """What a difference without spread says: that nothing differs, or why it is undecided."""
    if difference.sd != 0 or difference.n < LEAST_REPLICATES:
        return None
    if difference.value == 0:
        return "all values are equal on both sides"
    if not undecided:
        return None
    if difference.paired:
        return f"the same difference in all {difference.n} replicates: no spread to test against, only signs"
    return "all replicates of the run are equal, and all of the entry: no spread to test against, only their number"


def _by_density(curves: TaskCurves, arm: str) -> list[DensityVerdict]:
    metric = curves.spec.metric
    rows: list[Row] = []
    for mine, theirs in zip(*_pairs(curves, arm, None, 0.0), strict=True):
        both = [(a, b) for a, b in zip(mine.values, theirs.values, strict=True) if a is not None and b is not None]
        difference = paired([a for a, _ in both], [b for _, b in both], metric.higher_is_better)
        rows.append((mine, difference, hindrance(curves, arm, mine.level)))
    return [_unfinished(verdict, len(curves.replicates)) for verdict in density_verdicts(arm, rows, metric.margin)]


def _pairs(
    curves: TaskCurves, arm: str, densest: float | None, sparsest: float
) -> tuple[list[CurvePoint], list[CurvePoint]]:
    """The pruned points of winning that another arm has too, and that arm's; for an area (`densest`) tested ones."""
    own = {point.level: point for point in curves.arms.get(arm, ())}
    points: Iterable[CurvePoint] = (point for point in curves.arms["winning"] if point.level > 0)
    if densest is not None:
        points = (point for point in pruned(points) if sparsest <= point.density <= densest)
    mine = [point for point in points if arm == "dense" or point.level in own]
    return mine, [curves.dense if arm == "dense" else own[point.level] for point in mine]


def _unfinished(verdict: V, planned: int) -> V:
    """Says so where replicates are still to come, or are too few for any verdict."""
    if verdict.reason is not None or verdict.n == planned >= LEAST_REPLICATES:
        return verdict
    if verdict.n == 0:
        reason = "no replicate finished in both arms yet"
    elif verdict.n < planned:
        reason = f"preliminary: {verdict.n} of {planned} replicates finished"
    else:
        reason = f"{count(planned, 'replicate')}: a verdict takes {LEAST_REPLICATES}"
    return replace(verdict, reason=reason)


def hindrance(curves: TaskCurves, arm: str, level: int) -> str | None:
    """Why a density gets no verdict: a replicate diverged here, or what its ticket is pruned from did.

    Leaving the replicate out would compare only those that survived.
    """
    for name in ("winning", arm):
        point = curves.dense if name == "dense" else curves.point(name, level)
        if point is not None and point.diverged:
            return f"replicate {_list(point.diverged)} of {name} diverged"
    method = curves.method
    if curves.transferred:
        return None
    if method.schedule == "iterative":
        for before in curves.arms["winning"]:
            if before.level < level and before.diverged:
                return f"the ladder of replicate {_list(before.diverged)} diverged at level {before.level}"
    elif method.score_at == "end" and curves.dense.diverged:
        return f"the dense run of replicate {_list(curves.dense.diverged)} diverged and left no ticket"
    return None


def _diverged(curves: TaskCurves, verdict: DensityVerdict) -> bool:
    return hindrance(curves, verdict.against, verdict.level) is not None


def _common_levels(curves: TaskCurves) -> frozenset[int]:
    """Levels that every arm has: areas over different densities would not compare."""
    levels = [frozenset(point.level for point in pruned(points)) for points in curves.arms.values()]
    return frozenset.intersection(*levels) if levels else frozenset()


def _at(points: Sequence[CurvePoint], levels: frozenset[int]) -> list[CurvePoint]:
    return [point for point in points if point.level in levels]


def _area(curves: TaskCurves, points: Sequence[CurvePoint]) -> Area:
    """Areas of every replicate; none when the dense network is no better than chance, for then there is no scale."""
    metric, dense = curves.spec.metric, curves.dense.mean
    none = (None,) * len(curves.replicates)
    if dense is None or not learnt(dense, metric.chance, metric.higher_is_better):
        return normalised(none, 0.0, 1.0)
    return normalised(heights(points) or none, metric.chance, dense)


def _list(replicates: Sequence[int]) -> str:
    return ", ".join(map(str, replicates))
