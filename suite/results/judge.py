"""From curves to what may be said: a verdict per density and comparison, the critical density, areas."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from suite.results.curve import Point, TaskCurves, statistic_of
from suite.results.stats import (
    Difference,
    Estimate,
    Interval,
    Outcome,
    area,
    critical_density,
    estimate,
    holm,
    outcome,
    paired,
    replicates_needed,
)


@dataclass(frozen=True)
class Verdict:
    """The winning ticket against another arm at one density, paired by replicate; a positive difference is better.

    `p_adjusted` is Holm's over the densities of this comparison. `reason` says why a verdict is undecided, or that it
    is preliminary; `replicates_needed` is set only where it is undecided and can be estimated.
    """

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


Row = tuple[Point, Difference, str | None]
"""What a verdict is given on: a point, its difference, and why it gets none (None: it gets one)."""


@dataclass(frozen=True)
class Area:
    """Normalised area under an arm's curve: every replicate's value (None: a cell is missing or diverged)."""

    values: tuple[float | None, ...]
    estimate: Estimate


@dataclass(frozen=True)
class Judgement:
    """What one task's curves say. Areas are taken over `area_densities`, those that all arms share."""

    curves: TaskCurves
    verdicts: tuple[Verdict, ...]
    critical_density: float | None
    area: Mapping[str, Area]
    area_densities: tuple[float, ...]

    def against(self, arm: str) -> tuple[Verdict, ...]:
        """The verdicts of one comparison, from dense to sparse."""
        return tuple(verdict for verdict in self.verdicts if verdict.against == arm)


def judge(curves: TaskCurves) -> Judgement:
    """Compare the winning arm with every other one and with dense at each density; see `suite.results.stats`."""
    found: list[Verdict] = []
    if "winning" in curves.arms:
        for arm in (*(name for name in curves.arms if name != "winning"), "dense"):
            found += _against(curves, arm)
    dense = [verdict for verdict in found if verdict.against == "dense"]
    lower = [None if v.ci95 is None or _diverged(curves, v) else v.ci95[0] for v in dense]
    critical = critical_density([v.density for v in dense], lower, curves.spec.metric.margin)
    levels = _common_levels(curves)
    return Judgement(
        curves=curves,
        verdicts=tuple(found),
        critical_density=critical,
        area={arm: _area(curves, points, levels) for arm, points in curves.arms.items()},
        area_densities=tuple(p.density for points in list(curves.arms.values())[:1] for p in _at(points, levels)),
    )


def verdicts(against: str, rows: Sequence[Row], margin: float) -> list[Verdict]:
    """One verdict a row, with Holm's correction over all rows that are tested.

    A density with a diverged replicate gets no verdict, so it is no test in Holm's family either.
    """
    tested = {i: d.p for i, (_, d, broken) in enumerate(rows) if d.p is not None and broken is None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [_verdict(against, row, adjusted.get(i), len(tested), margin) for i, row in enumerate(rows)]


def _verdict(against: str, row: Row, p_adjusted: float | None, tests: int, margin: float) -> Verdict:
    point, difference, broken = row
    found = outcome(difference, p_adjusted, margin)
    undecided = found == "undecided" and broken is None
    return Verdict(
        against=against,
        level=point.level,
        density=point.density,
        n=difference.n,
        difference=difference.value,
        ci95=difference.interval,
        p=difference.p,
        p_adjusted=p_adjusted,
        verdict=found,
        reason=_no_spread(difference) if undecided and difference.sd == 0 else broken,
        replicates_needed=replicates_needed(difference, margin, tests) if undecided else None,
    )


def _no_spread(difference: Difference) -> str:
    """Why a difference without spread is undecided."""
    if difference.paired:
        return f"the same difference in all {difference.n} replicates: no spread to test against, only signs"
    return "all replicates of the run are equal, and all of the entry: no spread to test against, only their number"


def _against(curves: TaskCurves, arm: str) -> list[Verdict]:
    metric, statistic = curves.spec.metric, statistic_of(curves.spec.metric)
    rows: list[Row] = []
    for point in curves.arms["winning"]:
        if point.level == 0 or (arm != "dense" and curves.point(arm, point.level) is None):
            continue
        pairs = [
            (mine, other)
            for r in curves.replicates
            if (mine := curves.value("winning", point.level, r)) is not None
            and (other := curves.value(arm, point.level, r)) is not None
        ]
        difference = paired([a for a, _ in pairs], [b for _, b in pairs], metric.higher_is_better, statistic)
        rows.append((point, difference, _hindrance(curves, arm, point.level)))
    return [_unfinished(verdict, len(curves.replicates)) for verdict in verdicts(arm, rows, metric.margin)]


def _unfinished(verdict: Verdict, planned: int) -> Verdict:
    """Says so where replicates are still to come."""
    if verdict.reason is not None or verdict.n == planned > 1:
        return verdict
    few = {0: "no replicate finished in both arms yet", 1: "one replicate: no interval"}
    return replace(verdict, reason=few.get(verdict.n, f"preliminary: {verdict.n} of {planned} replicates finished"))


def _hindrance(curves: TaskCurves, arm: str, level: int) -> str | None:
    """Why a density gets no verdict: a replicate diverged here, or what its ticket is pruned from did.

    Leaving the replicate out would compare only those that survived.
    """
    for name in ("winning", arm):
        point = curves.dense if name == "dense" else curves.point(name, level)
        if point is not None and point.diverged:
            return f"replicate {_list(point.diverged)} of {name} diverged"
    method = curves.method
    if method.schedule == "iterative":
        for before in curves.arms["winning"]:
            if before.level < level and before.diverged:
                return f"the ladder of replicate {_list(before.diverged)} diverged at level {before.level}"
    elif method.score_at == "end" and curves.dense.diverged:
        return f"the dense run of replicate {_list(curves.dense.diverged)} diverged and left no ticket"
    return None


def _diverged(curves: TaskCurves, verdict: Verdict) -> bool:
    return _hindrance(curves, verdict.against, verdict.level) is not None


def _common_levels(curves: TaskCurves) -> frozenset[int]:
    """Levels that every arm has: areas over different densities would not compare."""
    levels = [frozenset(point.level for point in points) for points in curves.arms.values()]
    return frozenset.intersection(*levels) if levels else frozenset()


def _at(points: Sequence[Point], levels: frozenset[int]) -> list[Point]:
    return [point for point in points if point.level in levels]


def _area(curves: TaskCurves, points: Sequence[Point], levels: frozenset[int]) -> Area:
    """Areas of every replicate; none when the dense network is no better than chance, for then there is no scale."""
    metric, dense, shared = curves.spec.metric, curves.dense.mean, _at(points, levels)
    at_chance = dense is None or math.isclose(dense, metric.chance, rel_tol=1e-9, abs_tol=1e-12)
    learnt = dense is not None and not at_chance and (dense > metric.chance) == metric.higher_is_better

    def of(replicate: int) -> float | None:
        values = [point.values[replicate] for point in shared]
        known = [value for value in values if value is not None]
        if not learnt or dense is None or len(known) < len(values):
            return None
        return area([point.density for point in shared], known, metric.chance, dense)

    values = tuple(of(i) for i in range(len(curves.replicates)))
    return Area(values, estimate([value for value in values if value is not None]))


def _list(replicates: Sequence[int]) -> str:
    return ", ".join(map(str, replicates))
