"""A run against the board: the verdict over all densities, the rank, and in detail the difference at every density."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.experiment.task import TaskSpec
from suite.leaderboard import between, sources
from suite.leaderboard.board import AnyEntry, Board
from suite.leaderboard.claim import Claim
from suite.leaderboard.ranking import (
    RANKED,
    Contender,
    Rank,
    area_of,
    at,
    differ,
    in_pairs,
    nearest,
    rank,
    ranks,
    same_density,
)
from suite.leaderboard.reference import Reference
from suite.leaderboard.schema import Measured, Reported, TaskRef
from suite.leaderboard.standing import Standing, groups, standing
from suite.results.area import Area, heights
from suite.results.curve import CurvePoint, curves_of
from suite.results.judge import AreaVerdict, DensityVerdict, Row, area_verdict, density_verdicts
from suite.results.view import RunView, TaskView

RUN = "this run"
"""The run's name in a ranking: no entry's id has a space."""


@dataclass(frozen=True)
class Against:
    """The run against an entry: one verdict over all densities and in detail one per common density.

    A positive difference speaks for the run. `pairs` are the replicates that differences are paired by, the dense runs
    being the same bits; without any they are Welch's, of a run and an entry with their own `replicates` (the run's, the
    entry's). At densities in `lost` more of the run's replicates diverged than of the entry's, by share: there is no
    verdict, and the run is no match for the entry. `area` and `rank` are the entry's, as on its page of the board.
    """

    entry: str
    title: str
    pairs: tuple[int, ...]
    replicates: tuple[tuple[int, ...], tuple[int, ...]]
    verdict: AreaVerdict
    verdicts: tuple[DensityVerdict, ...]
    lost: tuple[float, ...]
    area: Area | None
    rank: Rank


@dataclass(frozen=True)
class Apart:
    """An entry of the same task that the run cannot be compared with, and why."""

    entry: str
    reason: str


@dataclass(frozen=True)
class TaskComparison:
    """One task and method of the run: its area and rank by the board's reference, and how it stands against entries.

    The rank is the one that the run would have as an entry; of a transfer, which has no area, among the sources of its
    target.
    """

    spec: TaskSpec
    method: Method
    reference: Reference | None
    area: Area | None
    rank: Rank
    against: tuple[Against, ...]
    apart: tuple[Apart, ...]
    transferred: bool = False


@dataclass(frozen=True)
class Comparison:
    """A run against the board, or against the one entry that was named."""

    run: str
    entry: str | None
    tasks: tuple[TaskComparison, ...]

    @property
    def worse(self) -> bool:
        """Whether the run loses to the named entry, or diverges more; never without a named entry."""
        against = [one for task in self.tasks for one in task.against]
        return self.entry is not None and any(one.lost or one.verdict.verdict == "loses" for one in against)


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
    reasons = {
        entry.id: _hindrance(view, entry)
        for entry in others
        if _task(entry) == view.spec.id and (entry.id == named or _carry(entry) == _carry(view))
    }
    spec = view.spec
    ref = TaskRef(id=spec.id, version=spec.version, hash=spec.hash, scale=spec.scale)
    peers = [
        standing(e)
        for e in others
        if isinstance(e, Measured) and (e.task, e.metric, _carry(e)) == (ref, spec.metric.stated, _carry(view))
    ]
    if view.source is not None:
        return _transferred(view, peers, reasons, named)
    group = next(iter(groups(peers, board.references(spec.domain))), None)
    reference = None if group is None else group.reference
    run, entries = _contender(view), {peer.entry.id: peer.contender for peer in peers}
    places = ranks(list(entries.values()), reference)
    left = _left(view)
    own = rank(run, entries.values(), reference)
    return TaskComparison(
        spec=spec,
        method=view.method,
        reference=reference,
        area=area_of(run, reference),
        rank=Rank(None, unranked=_unfinished(view, left)) if left > 0 else own,
        against=tuple(
            _against(run, peer.entry, entries[peer.entry.id], reference, places[peer.entry.id])
            for peer in peers
            if reasons[peer.entry.id] is None and named in (None, peer.entry.id)
        ),
        apart=tuple(Apart(name, reason) for name, reason in reasons.items() if reason is not None),
    )


def _transferred(
    view: TaskView, peers: Sequence[Standing], reasons: Mapping[str, str | None], named: str | None
) -> TaskComparison:  # fmt: skip
    """A transfer of the run against others to its target, of the same or other sources; areas have no scale there."""
    run, left = _contender(view), _left(view)
    contenders = [peer.contender for peer in peers]
    against = []
    for peer in peers:
        if reasons[peer.entry.id] is not None or named not in (None, peer.entry.id):
            continue
        rival = peer.contender
        found = between.entries(run, rival)
        points = between.shared_points(run, rival)
        against.append(
            Against(
                entry=peer.entry.id,
                title=peer.entry.title,
                pairs=in_pairs(run, rival),
                replicates=(run.curves.replicates, rival.curves.replicates),
                verdict=found.area,
                verdicts=found.densities,
                lost=tuple(a.density for a, b in points if _lost(a) > _lost(b)),
                area=None,
                rank=sources.rank(rival, contenders),
            )
        )
    return TaskComparison(
        spec=view.spec,
        method=view.method,
        reference=None,
        area=None,
        rank=Rank(None, unranked=_unfinished(view, left)) if left > 0 else sources.rank(run, contenders),
        against=tuple(against),
        apart=tuple(Apart(name, reason) for name, reason in reasons.items() if reason is not None),
        transferred=True,
    )


def _carry(of: TaskView | Measured | Reported) -> str | None:
    """What a transfer carries; None for any other run or entry."""
    source = None if isinstance(of, Reported) else of.source
    return None if source is None else source.carry


def _contender(view: TaskView) -> Contender:
    curves = curves_of(view)
    digests = {cell.replicate: cell.weights_digest for cell in view.cells if cell.level == 0}
    return Contender(RUN, curves, tuple(digests.get(replicate) for replicate in curves.replicates))


def _hindrance(view: TaskView, entry: AnyEntry) -> str | None:
    """Why a run and an entry of the same task id are not comparable; None when they are."""
    if not isinstance(entry, Measured):
        return "reported: published figures are never ranked against measured ones"
    if _carry(entry) != _carry(view):
        kinds = [f"transfer ({carry} carried)" if (carry := _carry(of)) else "run on one task" for of in (entry, view)]
        return f"it is a {kinds[0]}, the run is a {kinds[1]}: each is ranked among its own"
    return _other_task(view, entry) or _too_little(view, entry)


def _other_task(view: TaskView, entry: Measured) -> str | None:
    spec, task = view.spec, entry.task
    for what, theirs, ours in (
        ("task scale", task.scale, spec.scale),
        ("task version", task.version, spec.version),
        ("task hash", task.hash[:12], spec.hash[:12]),
        ("metric", entry.metric.model_dump(), spec.metric.stated.model_dump()),
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
        return _unfinished(view, left)
    run, peer = _contender(view), standing(entry).contender
    met = between.shared_points(run, peer) if view.source is not None else _common(run, peer, None)[0]
    if not met:
        return f"no density in common: rate {entry.method.settings.rate}, the run has {view.method.rate}"
    return None


def _unfinished(view: TaskView, left: int) -> str:
    return f"the run is unfinished: {left} of {view.expected} cells are still to do"


def _left(view: TaskView) -> int:
    """Cells that a run still has to do: those that are missing, but for those that a divergence made impossible."""
    first: dict[int, int] = {}
    if view.source is not None:
        return view.expected - len(view.cells)
    ladder = ("dense", RANKED) if view.method.schedule == "iterative" else ("dense",)
    for cell in view.cells:
        if cell.diverged and cell.arm in ladder:
            first[cell.replicate] = min(cell.level, first.get(cell.replicate, cell.level))
    lost = [place for place in curves_of(view).missing if place[1] > first.get(place[2], math.inf)]
    return view.expected - len(view.cells) - len(lost)


Points = Sequence[CurvePoint]


def _common(run: Contender, entry: Contender, reference: Reference | None) -> tuple[Points, Points]:
    """The points of both at the reference's densities, by which both are ranked; else at all that they share."""
    if reference is not None:
        mine, theirs = at(run, reference.densities), at(entry, reference.densities)
        if mine is not None and theirs is not None:
            return mine, theirs
    found = [(point, other) for point in run.points if (other := _level_first(point, entry.points)) is not None]
    return [a for a, _ in found], [b for _, b in found]


def _level_first(to: CurvePoint, points: Points) -> CurvePoint | None:
    """The point of the same density, that of the same level first: a mask too small to prune keeps its density."""
    same = next((p for p in points if p.level == to.level and same_density(p.density, to.density)), None)
    return same or nearest(points, to.density)


def _against(run: Contender, entry: Measured, rival: Contender, reference: Reference | None, place: Rank) -> Against:
    mine, theirs = _common(run, rival, reference)
    margin = entry.metric.margin
    difference = differ(run, rival, heights(mine), heights(theirs))
    broken = next((reason for pair in zip(mine, theirs, strict=True) if (reason := _broken(*pair)) is not None), None)
    shared = _common(run, rival, None)
    rows: list[Row] = [(a, differ(run, rival, a.values, b.values), _broken(a, b)) for a, b in zip(*shared, strict=True)]
    return Against(
        entry=entry.id,
        title=entry.title,
        pairs=in_pairs(run, rival),
        replicates=(run.curves.replicates, rival.curves.replicates),
        verdict=area_verdict(entry.id, mine, theirs, difference, broken, margin),
        verdicts=tuple(density_verdicts(entry.id, rows, margin)),
        lost=tuple(a.density for a, b in zip(*shared, strict=True) if _lost(a) > _lost(b)),
        area=area_of(rival, reference),
        rank=place,
    )


def _lost(point: CurvePoint) -> float:
    """Share of the replicates that diverged, here or before."""
    return point.values.count(None) / len(point.values)


def _broken(mine: CurvePoint, theirs: CurvePoint) -> str | None:
    """Why a density gets no verdict: leaving a diverged replicate out would compare only those that survived."""
    for whose, point in ((RUN, mine), ("the entry", theirs)):
        lost = [str(i) for i, value in enumerate(point.values) if value is None]
        if lost:
            return f"replicate {', '.join(lost)} of {whose} diverged, here or before"
    return None
