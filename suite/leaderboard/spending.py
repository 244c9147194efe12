"""Whether what an entry says it cost fits what its cells cost when they are trained again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum

from suite.experiment.plan import Plan
from suite.experiment.result import CellResult, total_flops
from suite.leaderboard import protocol
from suite.leaderboard.schema import Measured

COUNTED = 1.02
"""Dense FLOPs are counted: another version of torch may count a kernel otherwise, no more."""

SHUFFLED = 1.1
"""Sparse FLOPs: masks of one density that are spread otherwise over the layers differ by no more than a few percent."""

TIMED = 10.0
"""CPU time depends on the machine, and on what else it does."""


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


def costs(entry: Measured, plan: Plan, found: Sequence[CellResult]) -> tuple[CostCheck, ...]:
    """Steps, FLOPs and time of all the entry's cells by those that were trained again; nothing where none was.

    Every step has as many dense FLOPs. Of these a cell takes no less than the densest cell found that is sparser than
    it, and no more than the sparsest that is denser. Time goes with the steps. FLOPs that could not be counted, here or
    there, are not compared.
    """
    steps = fsum(result.steps for result in found)
    if not steps:
        return ()
    spent, cells = entry.cost, _cells(entry, plan)
    total = fsum(own for own, _ in cells)
    on_cpu = entry.protocol.device == "cpu"
    seconds = fsum(result.spent.cpu_seconds if on_cpu else result.spent.wall_seconds for result in found)
    name, hours = ("CPU hours", spent.cpu_hours) if on_cpu else ("GPU hours", spent.gpu_hours)
    return (
        CostCheck("steps", spent.steps, total, total),
        *_flops(entry, cells, found),
        _about(name, hours, seconds / steps * total / 3600, TIMED),
    )


def _flops(entry: Measured, cells: Sequence[tuple[int, float]], found: Sequence[CellResult]) -> Iterator[CostCheck]:
    claimed_dense, claimed_sparse = entry.cost.flops_dense, entry.cost.flops_sparse
    dense, steps = total_flops(found, "flops_dense"), fsum(result.steps for result in found)
    if not dense or claimed_dense is None or claimed_sparse is None:
        return
    taken = [
        (result.density, (result.spent.flops_sparse or 0.0) / (result.spent.flops_dense or 1.0)) for result in found
    ]
    least, most = (
        fsum(own * _fraction(density, taken, up) for own, density in cells) * dense / steps for up in (False, True)
    )
    yield _about("dense FLOPs", claimed_dense, dense / steps * fsum(own for own, _ in cells), COUNTED)
    yield CostCheck("sparse FLOPs", claimed_sparse, least / SHUFFLED, most * SHUFFLED)


def _about(name: str, claimed: float, found: float, factor: float) -> CostCheck:
    return CostCheck(name, claimed, found / factor, found * factor)


def _cells(entry: Measured, plan: Plan) -> list[tuple[int, float]]:
    """Steps and density of every cell of the entry."""
    there = protocol.trained(entry)
    density = {point.level: point.density for points in entry.curves.values() for point in points}
    return [(cell.steps, density[cell.level]) for cell in plan if (cell.arm, cell.level, cell.replicate) in there]


def _fraction(density: float, taken: Sequence[tuple[float, float]], up: bool) -> float:
    """Sparse / dense FLOPs of a density, at most or at least; the dense network takes all."""
    if density == 1:
        return 1.0
    if up:
        return min((fraction for own, fraction in taken if own >= density), default=1.0)
    return max((fraction for own, fraction in taken if own <= density), default=0.0)
