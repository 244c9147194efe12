"""Where entries stand: curves and verdicts of one, ranks among those of one task.

Pure functions of entries. Verdicts, areas and the critical density are `suite.results.judge`'s, so that a leaderboard
says of a run what the run's own report says.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from suite.experiment.task import Metric, TaskSpec
from suite.leaderboard.board import BadEntry
from suite.leaderboard.schema import Measured, TaskRef
from suite.leaderboard.schema import Point as EntryPoint
from suite.results.bootstrap import Statistic
from suite.results.curve import Point, TaskCurves, point_of, statistic_of
from suite.results.judge import Area, Judgement, judge
from suite.results.stats import estimate, tie_groups

RANKED: Final = "winning"
"""The arm whose values are ranked."""
ROUNDING: Final = 0.005
"""Densities within half a percent of one another are one density: exact counts round differently per tensor."""


@dataclass(frozen=True)
class Standing:
    """A measured entry and what its own values say."""

    entry: Measured
    judgement: Judgement

    @property
    def curves(self) -> TaskCurves:
        """Every arm with its intervals."""
        return self.judgement.curves

    @property
    def area(self) -> Area | None:
        """Area of the ranked arm, the entry's own dense network as 1."""
        return self.judgement.area.get(RANKED)

    def at(self, density: float) -> Point | None:
        """The ranked arm's point at a density, dense left out."""
        points = [p for p in self.curves.arms.get(RANKED, ()) if p.level > 0 and same_density(p.density, density)]
        return min(points, key=lambda p: abs(p.density - density), default=None)

    def sample(self, density: float) -> tuple[float, ...] | None:
        """Every replicate's value at a density; None where there is no point, or a replicate is lost on the way to it.

        A ladder with a diverged level is lost from there on: to rank the other replicates would rank survivors.
        """
        point = self.at(density)
        if point is None:
            return None
        ladder = self.curves.method.schedule == "iterative"
        way = [p for p in self.curves.arms[RANKED] if p.level == point.level or (ladder and p.level < point.level)]
        if any(p.diverged for p in way):
            return None
        return tuple(value for value in point.values if value is not None)


@dataclass(frozen=True)
class Rank:
    """Place of a tie group: 1 + the number of entries in better groups."""

    place: int
    tied: bool


@dataclass(frozen=True)
class Group:
    """Entries that may be ranked together: one task hash, one scale, one metric.

    `ranks` is by density, then by entry id; an entry without a whole sample there has none. `areas` have one
    `reference` as 1, the mean of the group's dense values: nobody gains by a poor dense network of one's own.
    `area_ranks` are those of the entries over `area_densities`: areas over other densities do not compare.
    """

    task: TaskRef
    metric: Metric
    standings: tuple[Standing, ...]
    densities: tuple[float, ...]
    ranks: Mapping[float, Mapping[str, Rank]]
    reference: float | None
    areas: Mapping[str, Area]
    area_densities: tuple[float, ...]
    area_ranks: Mapping[str, Rank]


def standing(entry: Measured) -> Standing:
    """Judge an entry by its own values. Raises BadEntry when a curve lacks level 0 or a replicate has no place."""
    return Standing(entry, judge(curves(entry)))


def curves(entry: Measured) -> TaskCurves:
    """An entry's curves with their intervals. Raises BadEntry as `standing`."""
    for arm, points in entry.curves.items():
        _check(entry, arm, points)
    # What an entry states of its task; any other field is absent, so that nothing can be read from it by mistake.
    spec = TaskSpec.model_construct(
        id=entry.task.id, version=entry.task.version, scale=entry.task.scale, metric=entry.metric
    )
    statistic = statistic_of(entry.metric)
    arms = {arm: tuple(_point(p, statistic) for p in points) for arm, points in entry.curves.items()}
    dense = next(iter(arms.values()))[0]
    drawn = {arm: points for arm, points in arms.items() if arm != "dense"}
    return TaskCurves(spec, entry.method.settings, tuple(range(entry.protocol.replicates)), dense, drawn)


def _point(point: EntryPoint, statistic: Statistic) -> Point:
    diverged = tuple(r for r, value in enumerate(point.values) if value is None)
    return point_of(point.level, point.density, point.values, statistic, diverged=diverged)


def same_density(a: float, b: float) -> bool:
    """Equal but for the rounding of exact counts."""
    return abs(a - b) <= ROUNDING * max(a, b)


def densities(standings: Iterable[Standing]) -> tuple[float, ...]:
    """All densities of the ranked arm, dense to sparse, each once; dense itself left out."""
    found: list[float] = []
    for density in sorted(
        {p.density for s in standings for p in s.curves.arms.get(RANKED, ()) if p.level > 0}, reverse=True
    ):
        if not found or not same_density(found[-1], density):
            found.append(density)
    return tuple(found)


def rank(
    samples: Mapping[str, Sequence[float]], higher_is_better: bool, statistic: Statistic = "mean"
) -> dict[str, Rank]:
    """Ranks with tie groups of named samples, as `tie_groups` has them; one without values has no rank."""
    names = [name for name, values in samples.items() if values]
    ranks: dict[str, Rank] = {}
    for group in tie_groups([samples[name] for name in names], higher_is_better, statistic):
        place = len(ranks) + 1
        ranks |= {names[i]: Rank(place, len(group) > 1) for i in group}
    return ranks


def groups(standings: Iterable[Standing]) -> tuple[Group, ...]:
    """Entries by task, scale and metric: newest version first, the paper's scale before smaller ones."""
    found: dict[tuple[TaskRef, Metric], list[Standing]] = {}
    for one in standings:
        found.setdefault((one.entry.task, one.entry.metric), []).append(one)
    scales = ("paper", "lite", "quick", "smoke")
    order = sorted(found, key=lambda key: (scales.index(key[0].scale), key[0].hash))
    order.sort(key=lambda key: [int(part) for part in key[0].version.split("+")[0].split(".")], reverse=True)
    return tuple(_group(task, metric, found[task, metric]) for task, metric in sorted(order, key=lambda k: k[0].id))


def _check(entry: Measured, arm: str, points: Sequence[EntryPoint]) -> None:
    levels = [point.level for point in points]
    if not levels or levels[0] != 0 or any(a >= b for a, b in pairwise(levels)):
        raise BadEntry(
            f"{entry.domain}/{entry.id}: curve {arm} has levels {levels}; they rise from 0, the dense network"
        )
    n = entry.protocol.replicates
    for point in points:
        if len(point.values) != n:
            raise BadEntry(
                f"{entry.domain}/{entry.id}: curve {arm} has {len(point.values)} values at level {point.level} "
                f"for {n} replicates"
            )


def _group(task: TaskRef, metric: Metric, standings: Sequence[Standing]) -> Group:
    columns, statistic = densities(standings), statistic_of(metric)
    ranks = {
        density: rank({s.entry.id: s.sample(density) or () for s in standings}, metric.higher_is_better, statistic)
        for density in columns
    }
    reference = _reference(standings)
    areas = {s.entry.id: area for s in standings if (area := _area(s, reference)) is not None}
    over = {s.entry.id: _area_over(s, columns) for s in standings}
    # Ranked are the areas over the densities that most entries share; of equally common ones, the longest range.
    common = Counter(over[name] for name in areas if over[name])
    shared = max(common, key=lambda ds: (common[ds], len(ds), ds), default=())
    whole = {name: _whole(area) for name, area in areas.items() if over[name] == shared and shared}
    area_ranks = rank(whole, higher_is_better=True)

    def order(s: Standing) -> tuple[float, float, str]:
        place = area_ranks[s.entry.id].place if s.entry.id in area_ranks else float("inf")
        mean = areas[s.entry.id].estimate.mean if s.entry.id in areas else None
        return place, float("inf") if mean is None else -mean, s.entry.id

    listed = tuple(sorted(standings, key=order))
    return Group(task, metric, listed, columns, ranks, reference, areas, shared, area_ranks)


def _reference(standings: Sequence[Standing]) -> float | None:
    """Mean of the dense values of all entries that have an area; those whose dense network learnt nothing have none."""
    judged = [s for s in standings if s.area is not None and s.area.estimate.n > 0]
    dense = [value for s in judged for value in s.curves.dense.values if value is not None]
    return math.fsum(dense) / len(dense) if dense else None


def _area(s: Standing, reference: float | None) -> Area | None:
    """The entry's area with another dense value as 1: the same height above chance, in another unit."""
    own, chance = s.curves.dense.mean, s.entry.metric.chance
    if s.area is None or own is None or reference is None:
        return s.area
    unit = (own - chance) / (reference - chance)
    values = tuple(None if value is None else value * unit for value in s.area.values)
    return Area(values, estimate([value for value in values if value is not None]))


def _area_over(s: Standing, columns: Sequence[float]) -> tuple[float, ...]:
    """The densities of an entry's area, as the group's columns name them; dense left out."""
    return tuple(c for c in columns if any(same_density(c, d) for d in s.judgement.area_densities))


def _whole(area: Area) -> tuple[float, ...]:
    """Areas of all replicates; none if one of them has none."""
    known = tuple(value for value in area.values if value is not None)
    return known if len(known) == len(area.values) else ()
