"""A matrix of transfers: what tickets of every source gain over random ones on every target, and how sources rank.

Pure functions of curves. A gain is the verdict of the pair's own report; sources are compared by the area under their
winning curves over log-density, paired by replicate, since all train on the target's streams.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from suite.results.area import heights, learnt, pruned
from suite.results.curve import TaskCurves
from suite.results.judge import AreaVerdict, DensityVerdict, Judgement
from suite.results.stats import (
    LEAST_REPLICATES,
    Difference,
    Estimate,
    Outcome,
    estimate,
    outcome,
    paired,
    replicates_needed,
)
from suite.results.view import TaskView, TransferSource

Values = Mapping[str, Mapping[int, float]]
"""By source, what each replicate came to."""

FRESH = "drawn anew under every arm"
"""The note of a result that names what was not carried."""


@dataclass(frozen=True)
class Pair:
    """Tickets of a source on a target: what was run, and what its curves say."""

    view: TaskView
    source: TransferSource
    judgement: Judgement

    @property
    def place(self) -> tuple[str, str]:
        """(target, source), by task id."""
        return self.view.spec.id, self.source.spec.id

    @property
    def own(self) -> bool:
        """Whether the tickets are the target's own."""
        return self.view.spec == self.source.spec

    @property
    def gain(self) -> AreaVerdict | None:
        """The verdict of winning against random over all densities; None where one of them was not run."""
        return next((verdict for verdict in self.judgement.primary if verdict.against == "random"), None)

    @property
    def gains(self) -> dict[int, DensityVerdict]:
        """The same by level."""
        return {verdict.level: verdict for verdict in self.judgement.against("random")}

    @property
    def fresh(self) -> str:
        """The parameters that are drawn anew under every arm, such as an output layer of another size; or nothing."""
        return next((cell.notes[FRESH] for cell in self.view.cells if FRESH in cell.notes), "")


@dataclass(frozen=True)
class Duel:
    """A source against another one: the paired difference of their areas, positive where the first is better."""

    against: str
    difference: Difference
    verdict: Outcome
    replicates_needed: int | None


@dataclass(frozen=True)
class SourceRank:
    """A source among others: its area, its rank and the duels that this rests on.

    The rank is one plus the number of sources that are significantly better. There is none (None) for a source that
    lacks replicates, for fewer than three of them, and without another source.
    """

    source: str
    area: Estimate
    place: int | None
    duels: tuple[Duel, ...]


@dataclass(frozen=True)
class Overall:
    """Sources over several targets, by their areas between chance (0) and each target's dense mean (1)."""

    targets: tuple[str, ...]
    ranks: tuple[SourceRank, ...]


@dataclass(frozen=True)
class Matrix:
    """All pairs of a run that are carried over and pruned in one way, at one scale.

    `ranks` are by target, best area first. Levels are those at which any pair has a winning cell.
    """

    scale: str
    method: str
    carry: str
    pairs: Mapping[tuple[str, str], Pair]
    levels: tuple[int, ...]
    ranks: Mapping[str, tuple[SourceRank, ...]]
    overall: Overall

    @property
    def targets(self) -> tuple[str, ...]:
        """Ids of the targets, in the order of the run."""
        return tuple(dict.fromkeys(target for target, _ in self.pairs))

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the sources, in the order of the run."""
        return tuple(dict.fromkeys(source for _, source in self.pairs))

    @property
    def names(self) -> dict[str, str]:
        """Short names of all tasks, by id."""
        return short_names((*self.sources, *self.targets))

    @property
    def chosen(self) -> tuple[int, ...]:
        """The levels whose gains are drawn and printed: first, middle and last."""
        levels = self.levels
        return tuple(dict.fromkeys(levels[i] for i in (0, len(levels) // 2, -1))) if levels else ()

    def of_target(self, target: str) -> list[Pair]:
        """The pairs of a target."""
        return [pair for (own, _), pair in self.pairs.items() if own == target]

    def density(self, level: int) -> float:
        """The density of a level, where it was first tested."""
        points = (pair.judgement.curves.point("winning", level) for pair in self.pairs.values())
        return next(point.density for point in points if point is not None)


def matrices(tasks: Iterable[tuple[TaskView, Judgement]]) -> list[Matrix]:
    """The transfers of a run, from its tasks and what their curves say; none in a run without.

    Where two have one target, source and name, such as `imp+changed` at two rewind steps, the second is of a matrix of
    its own.
    """
    groups: dict[tuple[str, str, str, int], list[Pair]] = {}
    seen = Counter[tuple[str, ...]]()
    for view, judgement in tasks:
        if (source := view.source) is not None:
            pair, kind = Pair(view, source, judgement), (view.spec.scale, source.method.name, source.carry)
            groups.setdefault((*kind, seen[*kind, *pair.place]), []).append(pair)
            seen[*kind, *pair.place] += 1
    return [_matrix(scale, method, carry, pairs) for (scale, method, carry, _), pairs in groups.items()]


def _matrix(scale: str, method: str, carry: str, found: Sequence[Pair]) -> Matrix:
    pairs = {pair.place: pair for pair in found}
    levels = {p.level for pair in found for p in pruned(pair.judgement.curves.arms.get("winning", ()))}
    targets: dict[str, dict[str, TaskCurves]] = {}
    for (target, source), pair in pairs.items():
        targets.setdefault(target, {})[source] = pair.judgement.curves
    ranks = {target: rank_sources(curves) for target, curves in targets.items()}
    return Matrix(scale, method, carry, pairs, tuple(sorted(levels)), ranks, rank_over_all(targets))


def rank_sources(curves: Mapping[str, TaskCurves]) -> tuple[SourceRank, ...]:
    """Ranks of sources on one target, best area first, in the unit of its metric; `curves` are by source."""
    if not curves:
        return ()
    metric = next(iter(curves.values())).spec.metric
    return _ranked(_areas(curves), metric.higher_is_better, metric.margin)


def rank_over_all(targets: Mapping[str, Mapping[str, TaskCurves]]) -> Overall:
    """Ranks of sources over all targets that have every source's tickets in every replicate, and a dense network that
    learnt; `targets` are curves by target and source.

    A replicate's area is the mean over these targets of its areas between chance and the target's dense mean.
    """
    sources = tuple(dict.fromkeys(source for curves in targets.values() for source in curves))
    scaled: dict[str, Values] = {}
    margins = []
    for target, curves in targets.items():
        areas = _areas(curves)
        some = next(iter(curves.values()))
        metric, dense = some.spec.metric, some.dense.mean
        if any(not areas.get(source) for source in sources):
            continue
        if dense is None or not learnt(dense, metric.chance, metric.higher_is_better):
            continue
        width = dense - metric.chance
        scaled[target] = {s: {r: (v - metric.chance) / width for r, v in own.items()} for s, own in areas.items()}
        margins.append(metric.margin / abs(width))
    shared = {
        source: {
            replicate: fmean(areas[source][replicate] for areas in scaled.values())
            for replicate in sorted(frozenset.intersection(*(frozenset(areas[source]) for areas in scaled.values())))
        }
        for source in (sources if scaled else ())
    }
    return Overall(tuple(scaled), _ranked(shared, True, fmean(margins) if margins else 0.0))


def _areas(curves: Mapping[str, TaskCurves]) -> Values:
    """Every replicate's mean winning score over log-density, at the levels that all sources have.

    None of a source that lacks a value: what is left would be only what finished, or did not diverge.
    """
    winning = {source: pruned(each.arms.get("winning", ())) for source, each in curves.items()}
    common = frozenset.intersection(*(frozenset(point.level for point in points) for points in winning.values()))
    found: dict[str, dict[int, float]] = {}
    for source, points in winning.items():
        values = heights([point for point in points if point.level in common])
        known = {r: v for r, v in zip(curves[source].replicates, values, strict=bool(values)) if v is not None}
        found[source] = known if len(known) == len(curves[source].replicates) else {}
    return found


def _ranked(values: Values, higher_is_better: bool, margin: float) -> tuple[SourceRank, ...]:
    ranks = []
    for source, own in values.items():
        rivals = [other for other in values if other != source]
        duels = tuple(_duel(own, values[other], other, higher_is_better, margin) for other in rivals)
        enough = len(own) >= LEAST_REPLICATES and bool(duels)
        better = sum(duel.verdict == "loses" for duel in duels)
        ranks.append(SourceRank(source, estimate(list(own.values())), 1 + better if enough else None, duels))
    sign = 1 if higher_is_better else -1
    return tuple(sorted(ranks, key=lambda rank: -sign * rank.area.mean if rank.area.mean is not None else float("inf")))


def _duel(
    mine: Mapping[int, float], theirs: Mapping[int, float], against: str, higher_is_better: bool, margin: float
) -> Duel:
    both = sorted(mine.keys() & theirs.keys())
    difference = paired([mine[r] for r in both], [theirs[r] for r in both], higher_is_better)
    verdict = outcome(difference, difference.p, margin)
    needed = replicates_needed(difference, margin) if verdict == "undecided" else None
    return Duel(against, difference, verdict, needed)


def short_names(ids: Iterable[str]) -> dict[str, str]:
    """Names that tell tasks apart: of the words of their ids those are left out, but the first, that all end in alike.

    `vision/mnist-small-vgg-sgd` among others of the same network and optimizer is `mnist`. A task alone keeps its name.
    """
    words = {task: task.split("/")[-1].split("-") for task in dict.fromkeys(ids)}
    if len(words) < 2:
        return {task: "-".join(own) for task, own in words.items()}
    shortest = min(map(len, words.values()))
    alike = [place for place in range(1, shortest) if len({own[-place] for own in words.values()}) == 1]
    return {
        task: "-".join(word for i, word in enumerate(own) if len(own) - i not in alike) for task, own in words.items()
    }
