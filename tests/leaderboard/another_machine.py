"""A test double of `run_cells`: cells of a finished run as this machine, or one of another type, would train them."""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.experiment.cell import run_cells
from suite.experiment.plan import Cell
from suite.experiment.store import Store
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
        kept, pruned = (side.nonzero().flatten().tolist() for side in (flat, ~flat))
        n = min(max(1, round(fraction * len(kept))), len(kept), len(pruned))
        flat[dice.sample(kept, n)], flat[dice.sample(pruned, n)] = False, True
        tensors[name] = flat.view(bits.shape)
    return replace(ticket, mask=Mask(tensors))
