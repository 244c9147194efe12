"""Ranks: one plus the number of entries that are significantly better, tested pair by pair on the area.

An entry that beats nobody changes nobody's rank. The tests are not adjusted for their number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from suite.experiment.method import ALL
from suite.leaderboard.reference import Reference
from suite.results.area import Area, heights, normalised
from suite.results.curve import CurvePoint, TaskCurves
from suite.results.judge import hindrance
from suite.results.stats import ALPHA, Difference, paired, welch

RANKED: Final = "winning"
"""The arm that is ranked."""
CONTROLS: Final = ("reinit", "random")
"""The arms without which a winning ticket proves nothing."""
LEAST_RANKED: Final = 5
"""An entry of fewer replicates is shown and not ranked."""
ROUNDING: Final = 0.005
"""Densities within half a percent of one another are one density: exact counts round differently per tensor."""


@dataclass(frozen=True)
class Contender:
    """What is ranked: the curves of an entry or of a run, and the digests of its dense runs' trained weights.

    `dense` has one digest a replicate, None where there is none.
    """

    name: str
    curves: TaskCurves
    dense: tuple[str | None, ...]

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """The pruned points of the ranked arm."""
        return tuple(point for point in self.curves.arms.get(RANKED, ()) if point.level > 0)


@dataclass(frozen=True)
class Rank:
    """The place of a contender, and those that are significantly better; or (place None) why it has none."""

    place: int | None
    beaten_by: tuple[str, ...] = ()
    unranked: str = ""


def same_density(a: float, b: float) -> bool:
    """Equal but for the rounding of exact counts."""
    return abs(a - b) <= ROUNDING * max(a, b)


def at(contender: Contender, densities: Iterable[float]) -> list[CurvePoint] | None:
    """The ranked arm's points at some densities; None if one of them is missing."""
    found = [nearest(contender.points, density) for density in densities]
    known = [point for point in found if point is not None]
    return known if len(known) == len(found) else None


def nearest(points: Sequence[CurvePoint], density: float) -> CurvePoint | None:
    """The point of a density; None where there is none."""
    same = [point for point in points if same_density(point.density, density)]
    return min(same, key=lambda point: abs(point.density - density), default=None)


def area_of(contender: Contender, reference: Reference | None) -> Area | None:
    """A contender's area by a reference; None without one, or where a density of it was not tested."""
    points = None if reference is None else at(contender, reference.densities)
    if reference is None or points is None:
        return None
    return normalised(heights(points), reference.metric.chance, reference.dense)


def in_pairs(a: Contender, b: Contender) -> tuple[int, ...]:
    """The replicates by which two contenders are paired; none where they are not.

    Seeds are equal by construction, but only equal bits show that streams were: all replicates of the one are among
    the other's, and their dense runs agree bit for bit.
    """
    digests = [dict(zip(one.curves.replicates, one.dense, strict=True)) for one in (a, b)]
    shared = digests[0].keys() & digests[1].keys()
    whole = len(shared) == min(map(len, digests))
    same = all(digests[0][r] == digests[1][r] is not None for r in shared)
    return tuple(sorted(shared)) if whole and same else ()


def differ(a: Contender, b: Contender, mine: Sequence[float | None], theirs: Sequence[float | None]) -> Difference:
    """How much better a's values are than b's, one a replicate: paired where they are pairs, else Welch's."""
    better, pairs = a.curves.spec.metric.higher_is_better, in_pairs(a, b)
    if not pairs:
        return welch([v for v in mine if v is not None], [v for v in theirs if v is not None], better)
    values = [dict(zip(c.curves.replicates, vs, strict=True)) for c, vs in ((a, mine), (b, theirs))]
    both = [(x, y) for r in pairs if (x := values[0][r]) is not None and (y := values[1][r]) is not None]
    return paired([x for x, _ in both], [y for _, y in both], better)


def unranked(contender: Contender, reference: Reference | None) -> str:
    """Why a contender is not ranked; empty where it is."""
    curves = contender.curves
    if RANKED not in curves.arms:
        return f"no arm {RANKED}"
    if curves.method.role != ALL:
        return f"its densities are those of the {curves.method.role} alone"
    missing = [arm for arm in CONTROLS if arm not in curves.arms]
    if missing:
        return f"no control arm {' and '.join(missing)}"
    if len(curves.replicates) < LEAST_RANKED:
        return f"{len(curves.replicates)} replicates: a rank takes {LEAST_RANKED}"
    points = None if reference is None else at(contender, reference.densities)
    if points is None:
        no_scale = "no dense network of the task learnt it: areas have no scale"
        return no_scale if reference is None else "not tested at every density of the board's first entry"
    reasons = (reason for point in points if (reason := hindrance(curves, RANKED, point.level)) is not None)
    lost = [str(r) for r, height in zip(curves.replicates, heights(points), strict=True) if height is None]
    return next(reasons, f"replicate {', '.join(lost)} has no value somewhere" if lost else "")


def rank(contender: Contender, others: Iterable[Contender], reference: Reference | None) -> Rank:
    """The rank of a contender among others, which may contain it; those that are not ranked themselves beat nobody."""
    reason = unranked(contender, reference)
    if reason or reference is None:
        return Rank(None, unranked=reason)
    rivals = [one for one in others if one.name != contender.name and not unranked(one, reference)]
    better = tuple(rival.name for rival in rivals if _beats(rival, contender, reference.densities))
    return Rank(1 + len(better), better)


def ranks(contenders: Sequence[Contender], reference: Reference | None) -> Mapping[str, Rank]:
    """The rank of everyone, by name."""
    return {one.name: rank(one, contenders, reference) for one in contenders}


def _beats(a: Contender, b: Contender, densities: Sequence[float]) -> bool:
    found = differ(a, b, heights(at(a, densities) or ()), heights(at(b, densities) or ()))
    return found.p is not None and found.value is not None and found.p < ALPHA and found.value > 0
