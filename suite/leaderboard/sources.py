"""Transfers on a board, by target: which source's tickets do better there, and how much better than random ones.

They stand apart from the entries of the target itself, whose tickets are trained from the rewind step and on the task
that found them: neither has a part in the other's ranks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from suite.experiment.options import Carry
from suite.experiment.plan import RANDOM
from suite.experiment.task import Metric
from suite.leaderboard import between
from suite.leaderboard.ranking import RANKED, Contender, Rank
from suite.leaderboard.schema import TaskRef
from suite.leaderboard.standing import Standing, by_task
from suite.printing import count
from suite.results.stats import ALPHA, LEAST_REPLICATES


@dataclass(frozen=True)
class SourceGroup:
    """Transfers that may be ranked together: one task hash, scale and metric of the target, one thing carried.

    The best come first. Ranks are by entry id; `levels` are those of any ticket, with the density of the first entry.
    """

    task: TaskRef
    metric: Metric
    carry: Carry
    standings: tuple[Standing, ...]
    levels: Mapping[int, float]
    ranks: Mapping[str, Rank]


def source_groups(standings: Iterable[Standing]) -> tuple[SourceGroup, ...]:
    """The groups of transfers, in the order of `by_task`; any other entry is left out."""
    moved = [s for s in standings if s.entry.source is not None]
    return tuple(
        _group(task, metric, carry, there)
        for task, metric, of_target in by_task(moved)
        for carry in ("both", "mask", "weights")
        if (there := [s for s in of_target if s.entry.source is not None and s.entry.source.carry == carry])
    )


def unranked(contender: Contender) -> str:
    """Why a transfer is not ranked among the sources of its target; empty where it is."""
    curves = contender.curves
    for arm in (RANKED, RANDOM):
        if arm not in curves.arms:
            return f"no arm {arm}"
    if len(curves.replicates) < LEAST_REPLICATES:
        return f"{count(len(curves.replicates), 'replicate')}: a rank takes {LEAST_REPLICATES}"
    lost = [point.level for arm in (RANKED, RANDOM) for point in curves.arms[arm] if point.diverged]
    return f"a replicate diverged at level {lost[0]}, or before" if lost else ""


def rank(contender: Contender, others: Iterable[Contender]) -> Rank:
    """One plus the number of sources whose tickets are significantly better over the densities that both have.

    `others` may contain it; those that are not ranked themselves beat nobody.
    """
    if reason := unranked(contender):
        return Rank(None, unranked=reason)
    rivals = [one for one in others if one.name != contender.name and not unranked(one)]
    better = tuple(rival.name for rival in rivals if _beats(rival, contender))
    return Rank(1 + len(better), better)


def _beats(a: Contender, b: Contender) -> bool:
    found = between.entries(a, b).area
    return found.p is not None and found.difference is not None and found.p < ALPHA and found.difference > 0


def _group(task: TaskRef, metric: Metric, carry: Carry, standings: Sequence[Standing]) -> SourceGroup:
    contenders = [s.contender for s in standings]
    ranks = {one.name: rank(one, contenders) for one in contenders}

    def order(s: Standing) -> tuple[float, float, str]:
        place, gain = ranks[s.entry.id].place, s.against(RANDOM)
        difference = None if gain is None else gain.difference
        return float("inf") if place is None else place, 0.0 if difference is None else -difference, s.entry.id

    levels: dict[int, float] = {}
    for point in sorted((point for one in contenders for point in one.points), key=lambda point: point.level):
        levels.setdefault(point.level, point.density)
    return SourceGroup(task, metric, carry, tuple(sorted(standings, key=order)), levels, ranks)
