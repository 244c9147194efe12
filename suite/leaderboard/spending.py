"""Whether what an entry says it cost fits what its cells cost when they are trained again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from suite.experiment.plan import Plan
from suite.experiment.result import CellResult, total_flops
from suite.leaderboard import plausible
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import EntryCost, Measured
from suite.tickets.arms import ARMS, keep, permute_all, permute_within

COUNTED = 1.02
"""Dense FLOPs are counted: another version of torch may count a kernel otherwise, no more."""

SHUFFLED = 1.1
"""Sparse FLOPs: masks of one density that are spread alike over the layers differ by no more than a few percent."""

TIMED = 10.0
"""CPU time depends on the machine, and on what else it does."""


Spread = str
"""How a cell's survivors are spread over the layers: as pruning left them, evenly, or as an arm of its own does it."""

Cells = Sequence[tuple[float, float, Spread]]
"""Steps, density and spread of each cell."""


@dataclass(frozen=True)
class CostCheck:
    """A cost of the whole entry: what is claimed, and between what it must lie by the cells that were trained again."""

    name: str
    claimed: float
    least: float
    most: float

    @property
    def holds(self) -> bool:
        """Whether the claim lies between the two."""
        return self.least <= self.claimed <= self.most


def costs(entry: Measured, plan: Plan, found: Mapping[Place, CellResult]) -> tuple[CostCheck, ...]:
    """Steps, FLOPs and time of all the entry's cells by those that were trained again; nothing where none was.

    Those of a transfer's ladders are judged apart. Every step of a task has as many dense FLOPs. Of these a cell takes
    no less than the densest cell found that is sparser than it, and no more than the sparsest that is denser, of cells
    whose survivors are spread alike: a convolution's weights cost more the larger its images. Time goes with the steps.
    FLOPs that could not be counted, here or there, are not compared.
    """
    density = {(arm, point.level): point.density for arm, points in entry.all_curves.items() for point in points}
    mine, ladders = plausible.costed(entry, plan)
    spent = [("", entry.cost, mine), *([("ladders' ", entry.source.cost, ladders)] if entry.source is not None else [])]
    checks: list[CostCheck] = []
    for whose, cost, cells in spent:
        own = [(cell.steps, density.get(place[:2], 1.0), _spread(place[0])) for place, cell in cells.items()]
        there = [(result, _spread(place[0])) for place, result in found.items() if place in cells]
        one_task = len({cell.spec.hash for cell in cells.values()}) == 1
        checks += _costs(whose, cost, entry.protocol.device == "cpu", own, there, one_task)
    return tuple(checks)


def _costs(
    whose: str, spent: EntryCost, on_cpu: bool, cells: Cells, there: Sequence[tuple[CellResult, Spread]], one_task: bool
) -> Iterator[CostCheck]:
    found = [result for result, _ in there]
    steps = fsum(result.steps for result in found)
    if not steps:
        return
    total = fsum(own for own, _, _ in cells)
    seconds = fsum(result.spent.cpu_seconds if on_cpu else result.spent.wall_seconds for result in found)
    name, hours = ("CPU hours", spent.cpu_hours) if on_cpu else ("GPU hours", spent.gpu_hours)
    yield CostCheck(f"{whose}steps", spent.steps, total, total)
    if not one_task:
        return
    dense = total_flops(found, "flops_dense")
    if dense and spent.flops_dense is not None and spent.flops_sparse is not None:
        taken = [
            (result.density, spread, (result.spent.flops_sparse or 0.0) / (result.spent.flops_dense or 1.0))
            for result, spread in there
        ]
        least, most = (
            fsum(own * _fraction(density, spread, taken, up) for own, density, spread in cells) * dense / steps
            for up in (False, True)
        )
        yield _about(f"{whose}dense FLOPs", spent.flops_dense, dense / steps * total, COUNTED)
        yield CostCheck(f"{whose}sparse FLOPs", spent.flops_sparse, least / SHUFFLED, most * SHUFFLED)
    yield _about(f"{whose}{name}", hours, seconds / steps * total / 3600, TIMED)


def _spread(arm: str) -> Spread:
    if arm in ARMS and ARMS[arm].change not in (keep, permute_within):
        return "even" if ARMS[arm].change is permute_all else arm
    return "pruned"


def _about(name: str, claimed: float, found: float, factor: float) -> CostCheck:
    return CostCheck(name, claimed, found / factor, found * factor)


def _fraction(density: float, spread: Spread, taken: Sequence[tuple[float, Spread, float]], up: bool) -> float:
    """Sparse / dense FLOPs of a density, at most or at least; the dense network takes all."""
    if density == 1:
        return 1.0
    if up:
        return min((fraction for own, kind, fraction in taken if own >= density and kind == spread), default=1.0)
    return max((fraction for own, kind, fraction in taken if own <= density and kind == spread), default=0.0)
