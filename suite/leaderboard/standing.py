"""Where entries stand: curves and verdicts of one, areas and ranks among those of one task.

Pure functions of entries and references. Verdicts and the critical density are `suite.results.judge`'s, so that a
leaderboard says of a run what the run's own report says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from suite.experiment.task import Metric, TaskSpec
from suite.leaderboard.board import BadEntry
from suite.leaderboard.ranking import Contender, Rank, area_of, nearest, ranks, same_density
from suite.leaderboard.reference import Hash, Reference, first_reference
from suite.leaderboard.schema import EntryPoint, Measured, TaskRef
from suite.results.area import Area
from suite.results.curve import CurvePoint, TaskCurves, point_of, statistic_of
from suite.results.judge import AreaVerdict, Judgement, judge
from suite.results.stats import Statistic


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
    def contender(self) -> Contender:
        """What is ranked of it."""
        dense = next(iter(self.entry.curves.values()))[0]
        return Contender(self.entry.id, self.curves, dense.weights)

    def against(self, arm: str) -> AreaVerdict | None:
        """The verdict over all densities against an arm; None where it was not run."""
        return next((verdict for verdict in self.judgement.primary if verdict.against == arm), None)

    def at(self, density: float) -> CurvePoint | None:
        """The ranked arm's point at a density, dense left out."""
        return nearest(self.contender.points, density)


@dataclass(frozen=True)
class Group:
    """Entries that may be ranked together: one task hash, one scale, one metric; the best first.

    Areas and ranks are by entry id. An entry without an area was not tested at every density of the `reference`.
    """

    task: TaskRef
    metric: Metric
    standings: tuple[Standing, ...]
    densities: tuple[float, ...]
    reference: Reference | None
    areas: Mapping[str, Area]
    ranks: Mapping[str, Rank]


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
    replicates = tuple(range(entry.protocol.replicates))
    return TaskCurves(spec, entry.method.settings, replicates, dense, drawn, transferred=entry.source is not None)


def _point(point: EntryPoint, statistic: Statistic) -> CurvePoint:
    diverged = tuple(r for r, value in enumerate(point.values) if value is None)
    return point_of(point.level, point.density, point.values, statistic, diverged=diverged)


def densities(standings: Iterable[Standing]) -> tuple[float, ...]:
    """All densities of the ranked arm, dense to sparse, each once; dense itself left out."""
    found: list[float] = []
    for density in sorted({point.density for s in standings for point in s.contender.points}, reverse=True):
        if not found or not same_density(found[-1], density):
            found.append(density)
    return tuple(found)


def by_task(standings: Iterable[Standing]) -> list[tuple[TaskRef, Metric, list[Standing]]]:
    """Entries by task, scale and metric: newest version first, the paper's scale before smaller ones."""
    found: dict[tuple[TaskRef, Metric], list[Standing]] = {}
    for one in standings:
        found.setdefault((one.entry.task, one.entry.metric), []).append(one)
    scales = ("paper", "lite", "quick", "smoke")
    order = sorted(found, key=lambda key: (scales.index(key[0].scale), key[0].hash))
    order.sort(key=lambda key: [int(part) for part in key[0].version.split("+")[0].split(".")], reverse=True)
    return [(task, metric, found[task, metric]) for task, metric in sorted(order, key=lambda key: key[0].id)]


def groups(standings: Iterable[Standing], references: Mapping[Hash, Reference]) -> tuple[Group, ...]:
    """The groups of entries, in the order of `by_task`, measured by a board's references; transfers are left out."""
    own = [s for s in standings if s.entry.source is None]
    return tuple(_group(task, metric, there, references.get(task.hash)) for task, metric, there in by_task(own))


def _group(task: TaskRef, metric: Metric, standings: Sequence[Standing], known: Reference | None) -> Group:
    fits = known is not None and known.fits(task, metric)
    reference = known if fits else first_reference(s.entry for s in standings)
    contenders = [s.contender for s in standings]
    areas = {one.name: area for one in contenders if (area := area_of(one, reference)) is not None}
    places = ranks(contenders, reference)

    def order(s: Standing) -> tuple[float, float, str]:
        place = places[s.entry.id].place
        mean = areas[s.entry.id].estimate.mean if s.entry.id in areas else None
        return float("inf") if place is None else place, float("inf") if mean is None else -mean, s.entry.id

    return Group(task, metric, tuple(sorted(standings, key=order)), densities(standings), reference, areas, places)


def _check(entry: Measured, arm: str, points: Sequence[EntryPoint]) -> None:
    levels = [point.level for point in points]
    if not levels or levels[0] != 0 or any(a >= b for a, b in pairwise(levels)):
        raise BadEntry(
            f"{entry.domain}/{entry.id}: curve {arm} has levels {levels}; they rise from 0, the dense network"
        )
    n = entry.protocol.replicates
    for point in points:
        if not len(point.values) == len(point.weights) == n:
            raise BadEntry(
                f"{entry.domain}/{entry.id}: curve {arm} has {len(point.values)} values and {len(point.weights)} "
                f"digests at level {point.level} for {n} replicates"
            )
