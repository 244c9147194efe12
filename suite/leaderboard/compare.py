"""A run against the board: the difference at every density, ranks with tie groups, and what cannot be compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.experiment.task import Metric, TaskSpec
from suite.leaderboard.board import AnyEntry, Board
from suite.leaderboard.schema import Claim, Measured, Reported
from suite.leaderboard.standing import RANKED, curves, same_density
from suite.results.bootstrap import Statistic
from suite.results.curve import Point, curves_of, statistic_of
from suite.results.judge import Row, Verdict, verdicts
from suite.results.stats import Difference, area, middle, paired, tie_groups, welch
from suite.results.view import RunView, TaskView

RUN = "this run"
"""The run's name in a ranking: no entry's id has a space."""

Points = Mapping[int, Point]
"""The points of the arm that is ranked, by the run's level: an entry's are those of the same densities."""


@dataclass(frozen=True)
class Against:
    """The run against an entry: a verdict per common density, a positive difference speaks for the run.

    `paired` differences are taken replicate by replicate, the random streams being the same; others, of a run and an
    entry with other `replicates` (the run's, the entry's), are Welch's. At densities in `lost` more of the run's
    replicates diverged than of the entry's, by share: there is no verdict, and the run is no match for the entry.
    """

    entry: str
    title: str
    paired: bool
    replicates: tuple[tuple[int, ...], tuple[int, ...]]
    verdicts: tuple[Verdict, ...]
    lost: tuple[float, ...]


@dataclass(frozen=True)
class Apart:
    """An entry of the same task that the run cannot be compared with, and why."""

    entry: str
    reason: str


@dataclass(frozen=True)
class Ranking:
    """The run among the entries at a density, or (None) by area: best first, in groups that are not told apart.

    `centres` are what they are ranked by: means, in RL interquartile means of ten replicates or more; areas are ranked
    by their mean. `unranked` have a diverged replicate there.
    """

    density: float | None
    groups: tuple[tuple[str, ...], ...]
    centres: Mapping[str, float]
    unranked: tuple[str, ...]

    @property
    def rank(self) -> int | None:
        """1 + the number of entries in better groups than the run's; None where the run is not ranked."""
        for i, group in enumerate(self.groups):
            if RUN in group:
                return 1 + sum(map(len, self.groups[:i]))
        return None


@dataclass(frozen=True)
class TaskComparison:
    """One task and method of the run; areas are taken over `area_densities`, with the run's own dense network as 1."""

    spec: TaskSpec
    method: Method
    against: tuple[Against, ...]
    rankings: tuple[Ranking, ...]
    area_densities: tuple[float, ...]
    apart: tuple[Apart, ...]


@dataclass(frozen=True)
class Comparison:
    """A run against the board, or against the one entry that was named."""

    run: str
    entry: str | None
    tasks: tuple[TaskComparison, ...]

    @property
    def worse(self) -> bool:
        """Whether the run loses to the named entry at any density, or diverges more; never without a named entry."""
        against = [one for task in self.tasks for one in task.against]
        return self.entry is not None and any(
            one.lost or any(verdict.verdict == "loses" for verdict in one.verdicts) for one in against
        )


def compare(run: RunView, board: Board, entry: str | None = None) -> Comparison:
    """Compare a run's winning tickets with the measured entries of its tasks, or with one entry.

    Raises UsageError for a named entry that is unknown, of no task of the run, or not comparable.
    """
    if entry is None:
        return Comparison(run.name, None, tuple(_compared(view, board, None) for view in run.tasks))
    named = board.find(entry)
    if isinstance(named, Claim):
        raise UsageError(f"entry {entry} is a claim in words: it has no numbers to compare with")
    task = _task(named)
    views = [view for view in run.tasks if view.spec.id == task]
    if not views:
        held = ", ".join(dict.fromkeys(view.spec.id for view in run.tasks))
        raise UsageError(f"entry {entry} is of {task}, of which {run.name} has no run: it has {held}")
    reasons = [_hindrance(view, named) for view in views]
    if None not in reasons:
        raise UsageError(f"entry {entry} and {run.name} are not comparable: {reasons[0]}")
    return Comparison(run.name, named.id, tuple(_compared(view, board, named.id) for view in views))


def _task(entry: Measured | Reported) -> str:
    return entry.task.id if isinstance(entry, Measured) else entry.task


def _compared(view: TaskView, board: Board, named: str | None) -> TaskComparison:
    others = [entry for entry in board.entries(view.spec.domain) if not isinstance(entry, Claim)]
    reasons = {entry.id: _hindrance(view, entry) for entry in others if _task(entry) == view.spec.id}
    rivals = [entry for entry in others if isinstance(entry, Measured) and reasons.get(entry.id, "") is None]
    mine = _points(view)
    rankings, densities = (
        _rankings(mine, {rival.id: _aligned(rival, mine) for rival in rivals}, view.spec) if rivals else ([], ())
    )
    return TaskComparison(
        spec=view.spec,
        method=view.method,
        against=tuple(_against(view, rival) for rival in rivals if named in (None, rival.id)),
        rankings=tuple(rankings),
        area_densities=densities,
        apart=tuple(Apart(name, reason) for name, reason in reasons.items() if reason is not None),
    )


def _hindrance(view: TaskView, entry: AnyEntry) -> str | None:
    """Why a run and an entry of the same task id are not comparable; None when they are."""
    if not isinstance(entry, Measured):
        return "reported: published figures are never ranked against measured ones"
    return _other_task(view, entry) or _too_little(view, entry)


def _other_task(view: TaskView, entry: Measured) -> str | None:
    spec, task = view.spec, entry.task
    for what, theirs, ours in (
        ("task scale", task.scale, spec.scale),
        ("task version", task.version, spec.version),
        ("task hash", task.hash[:12], spec.hash[:12]),
        ("data fingerprint", entry.provenance.data_fingerprint[:12], spec.data.fingerprint[:12]),
    ):
        if theirs != ours:
            return f"other {what}: {theirs}, the run has {ours}"
    return None


def _too_little(view: TaskView, entry: Measured) -> str | None:
    for whose, replicates, arms in (
        ("entry", entry.protocol.replicates, set(entry.curves)),
        ("run", len(view.replicates), {*view.arms, *(cell.arm for cell in view.cells)}),
    ):
        if replicates < 2:
            return f"the {whose} has one replicate: no interval"
        if RANKED not in arms:
            return f"the {whose} has no arm {RANKED}"
    left = _left(view)
    if left > 0:
        return f"the run is unfinished: {left} of {view.expected} cells are still to do"
    if not _shared(mine := _points(view), _aligned(entry, mine)):
        return f"no density in common: rate {entry.method.settings.rate}, the run has {view.method.rate}"
    return None


def _left(view: TaskView) -> int:
    """Cells that a run still has to do: those that are missing, but for those that a divergence made impossible."""
    first: dict[int, int] = {}
    ladder = ("dense", RANKED) if view.method.schedule == "iterative" else ("dense",)
    for cell in view.cells:
        if cell.diverged and cell.arm in ladder:
            first[cell.replicate] = min(cell.level, first.get(cell.replicate, cell.level))
    lost = [place for place in curves_of(view).missing if place[1] > first.get(place[2], math.inf)]
    return view.expected - len(view.cells) - len(lost)


def _points(view: TaskView) -> Points:
    return {point.level: point for point in curves_of(view).arms.get(RANKED, ())}


def _aligned(entry: Measured, mine: Points) -> Points:
    """An entry's points by the run's levels: methods of other rates meet at other levels of one density."""
    theirs = curves(entry).arms.get(RANKED, ())
    found = {level: _nearest(point, theirs) for level, point in mine.items()}
    return {level: point for level, point in found.items() if point is not None}


def _nearest(to: Point, points: Sequence[Point]) -> Point | None:
    """The point of the same density, that of the same level first; dense meets dense alone."""
    same = [p for p in points if (p.level > 0) == (to.level > 0) and same_density(p.density, to.density)]
    return min(same, key=lambda p: (p.level != to.level, abs(p.density - to.density)), default=None)


def _shared(mine: Points, theirs: Points) -> list[int]:
    """The run's levels, the dense one apart, at whose density the entry has a point."""
    return sorted(level for level in mine if level > 0 and level in theirs)


def _known(point: Point) -> list[float]:
    return [value for value in point.values if value is not None]


def _against(view: TaskView, entry: Measured) -> Against:
    mine = _points(view)
    theirs = _aligned(entry, mine)
    replicates = view.replicates, tuple(range(entry.protocol.replicates))
    in_pairs = replicates[0] == replicates[1]
    shared = _shared(mine, theirs)
    rows: list[Row] = [
        (mine[n], _difference(mine[n], theirs[n], view.spec, in_pairs), _broken(mine[n], theirs[n])) for n in shared
    ]
    lost = tuple(mine[level].density for level in shared if _lost(mine[level]) > _lost(theirs[level]))
    found = tuple(verdicts(entry.id, rows, view.spec.metric.margin))
    return Against(entry.id, entry.title, in_pairs, replicates, found, lost)


def _difference(mine: Point, theirs: Point, spec: TaskSpec, in_pairs: bool) -> Difference:
    better = spec.metric.higher_is_better
    if not in_pairs:
        return welch(_known(mine), _known(theirs), better)
    both = [(a, b) for a, b in zip(mine.values, theirs.values, strict=True) if a is not None and b is not None]
    return paired([a for a, _ in both], [b for _, b in both], better, statistic_of(spec.metric))


def _lost(point: Point) -> float:
    """Share of the replicates that diverged, here or before."""
    return point.values.count(None) / len(point.values)


def _broken(mine: Point, theirs: Point) -> str | None:
    """Why a density gets no verdict: leaving a diverged replicate out would compare only those that survived."""
    for whose, point in ((RUN, mine), ("the entry", theirs)):
        lost = [str(i) for i, value in enumerate(point.values) if value is None]
        if lost:
            return f"replicate {', '.join(lost)} of {whose} diverged, here or before"
    return None


def _rankings(mine: Points, theirs: Mapping[str, Points], spec: TaskSpec) -> tuple[list[Ranking], tuple[float, ...]]:
    """A ranking by area first, over the densities that all have, then one at each density that any entry shares."""
    shared = {name: _shared(mine, points) for name, points in theirs.items()}
    found: list[Ranking] = []
    common = [0, *(level for level in sorted(mine) if all(level in levels for levels in shared.values()))]
    areas = {name: _areas(points, common, mine[0], spec.metric) for name, points in {RUN: mine, **theirs}.items()}
    if len(common) > 1 and areas[RUN]:
        found.append(_ranking(None, areas, True, "mean"))
    for level in sorted({level for levels in shared.values() for level in levels}):
        here = {RUN: mine[level]} | {name: theirs[name][level] for name, levels in shared.items() if level in levels}
        values = {name: _known(point) if None not in point.values else [] for name, point in here.items()}
        found.append(_ranking(mine[level].density, values, spec.metric.higher_is_better, statistic_of(spec.metric)))
    return found, tuple(mine[level].density for level in common)


def _areas(points: Points, levels: Sequence[int], dense: Point, metric: Metric) -> list[float]:
    """Normalised area of every replicate; none when one diverged, or the run's dense network is no better than chance.

    All are measured against one dense network, so that nobody gains by a poor one of one's own.
    """
    replicates = list(zip(*(points[level].values for level in levels), strict=True))
    known = _known(dense)
    if not known or None in dense.values or any(None in values for values in replicates):
        return []
    reference, sign = math.fsum(known) / len(known), 1 if metric.higher_is_better else -1
    if sign * (reference - metric.chance) <= 1e-9 * abs(metric.chance):
        return []
    densities = [points[level].density for level in levels]
    found = [area(densities, [v for v in values if v is not None], metric.chance, reference) for values in replicates]
    return [value for value in found if value is not None]


def _ranking(
    density: float | None, values: Mapping[str, Sequence[float]], higher_is_better: bool, statistic: Statistic
) -> Ranking:
    ranked = [name for name, own in values.items() if own]
    groups = tie_groups([values[name] for name in ranked], higher_is_better, statistic)
    return Ranking(
        density=density,
        groups=tuple(tuple(ranked[i] for i in group) for group in groups),
        centres={name: middle(values[name], statistic) for name in ranked},
        unranked=tuple(name for name in values if name not in ranked),
    )
