"""Test doubles of `run_cells`: finished cells as this machine, or one of another type, would train them."""

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.experiment.cell import run_cells
from suite.experiment.plan import DENSE, LADDER, Cell
from suite.experiment.result import CellResult, Spent
from suite.experiment.store import Store
from suite.leaderboard.agreement import spread_of
from suite.leaderboard.schema import Measured
from suite.tickets.mask import Mask
from suite.tickets.ticket import Ticket

RunCells = Callable[..., None]


def replayed(run: Path, chaos: float | None = None, seed: int = 0) -> RunCells:
    """Puts what a run came to into the store, instead of training it; cells that it has not are trained.

    With `chaos` (standard deviation of a score) the bits are those of another machine: scores are off, weights are
    others, and a hundredth of each mask's survivors is.
    """
    source, dice = Store.open(run), random.Random(seed)

    def run_cells_again(cells: Sequence[Cell], store: Store, tell: Any, runtime: Any) -> None:
        known = [source.cell(cell.key) for cell in cells]
        if any(result is None for result in known):
            run_cells(cells, store, tell, runtime)
            known = [store.cell(cell.key) for cell in cells]
            source_of_masks = store
        else:
            source_of_masks = source
        for cell, result in zip(cells, known, strict=True):
            assert result is not None
            for prune in cell.prunes:
                ticket = source_of_masks.mask(prune.key)
                store.put_mask(prune.key, ticket if chaos is None else disturbed(ticket, dice))
            if chaos is not None:
                score = result.test[result.metric] + dice.gauss(0, chaos)
                other = hashlib.sha256(f"{result.weights_digest} {seed}".encode()).hexdigest()
                test = {**result.test, result.metric: score}
                result = result.model_copy(update={"test": test, "weights_digest": other})  # noqa: PLW2901
            store.put_cell(result)

    return run_cells_again


def disturbed(ticket: Ticket, dice: random.Random, fraction: float = 0.01) -> Ticket:
    """A ticket of which a fraction of the survivors of each tensor, at least one, is exchanged for pruned weights."""
    tensors = {}
    for name, bits in ticket.mask.items():
        flat = bits.flatten().clone()
        kept, pruned = (side.nonzero().flatten() for side in (flat, ~flat))
        n = min(max(1, round(fraction * len(kept))), len(kept), len(pruned))
        lost, gained = (side[dice.sample(range(len(side)), n)] for side in (kept, pruned))
        flat[lost], flat[gained] = False, True
        tensors[name] = flat.view(bits.shape)
    return replace(ticket, mask=Mask(tensors))


Slot = tuple[int, int]


def reenacted(honest: Measured, tickets: Mapping[Slot, Ticket], claimed: Mapping[Slot, Ticket]) -> RunCells:
    """Gives cells, instead of training them, what an honest entry says of them, as another type of machine would.

    Scores are off by the SD of a replicate, weights are others, and a hundredth of each mask's survivors is. Masks of
    levels 1 and 2 are the honest entry's: their parents' are, in whatever was made from the same dense run. Below,
    nobody knows without training what the claimed parents lead to: there the claimed masks come out.
    """
    dice = random.Random(0)
    hours, steps = honest.cost.cpu_hours, honest.cost.steps

    def run_cells_elsewhere(cells: Sequence[Cell], store: Store, tell: Any, runtime: Any) -> None:
        for cell in cells:
            curve = honest.curves[LADDER if cell.arm == DENSE else cell.arm]
            (place,) = (i for i, point in enumerate(curve) if point.level == cell.level)
            value = curve[place].values[cell.replicate]
            assert value is not None
            spread = spread_of([point.values for point in curve], place, cell.replicate, honest.metric.margin)
            for prune in cell.prunes:
                slot = (cell.level + prune.level, cell.replicate)
                if slot in claimed:
                    source = tickets if cell.level <= 1 else claimed
                    store.put_mask(prune.key, disturbed(source[slot], dice))
            seconds = hours * 3600 * cell.steps / steps
            spent = Spent(wall_seconds=seconds, cpu_seconds=seconds, flops_dense=None, flops_sparse=None, peak_memory=0)
            scores = {cell.spec.metric.name: dice.gauss(value, spread.sd / math.sqrt(2))}
            store.put_cell(
                CellResult(
                    key=cell.key, task=cell.spec.id, task_version=cell.spec.version, task_hash=cell.spec.hash,
                    scale=cell.spec.scale, method=cell.method.name, method_hash=cell.method.hash, arm=cell.arm,
                    level=cell.level, replicate=cell.replicate, steps=cell.steps, first_step=cell.span.first,
                    metric=cell.spec.metric.name, diverged=False, validation=scores, test=scores, trace=(),
                    density=curve[place].density, total_density=curve[place].density, layers={},
                    weights_digest=f"{dice.getrandbits(256):064x}", mask_digest="", spent=spent,
                    provenance=honest.provenance,
                )
            )  # fmt: skip

    return run_cells_elsewhere
