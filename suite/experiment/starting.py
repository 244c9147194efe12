"""Puts starts into practice: builds what is trained, with the weights and masks that its cells begin with.

Weights that other cells start from are kept in the store's cache; where they are gone, the run is made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from suite.experiment.errors import RunError
from suite.experiment.learner import Snapshot
from suite.experiment.plan import DENSE, Cell
from suite.experiment.runtime import Runtime
from suite.experiment.snapshot import digest_of
from suite.experiment.start import Origin
from suite.experiment.store import Store
from suite.experiment.trainee import Trainee, Weights, build, copied, trainee
from suite.tickets.arms import ARMS
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask


@dataclass(frozen=True)
class Started:
    """What is trained, its masks by cell, and `model`, the model of one cell."""

    trainee: Trainee
    masks: list[Mask]
    model: nn.Module


def started(cells: Sequence[Cell], store: Store, runtime: Runtime) -> Started:
    """One cell, or a cohort, at its first step; a member of a cohort that has no ticket is left dense.

    Raises RunError when the learner cannot be built or a mask is missing.
    """
    weights = [start_weights(cell, store, runtime) for cell in cells]
    running = trainee(cells, runtime)
    running.load(weights)
    model = build(cells[0], runtime).model if cells[0].cohort else running.model
    masks = [
        Mask.dense(model, cell.spec.prunable) if cell.cohort and store.ticketless(cell) else mask_of(cell, store, model)
        for cell in cells
    ]
    return Started(running, masks, model)


def start_weights(cell: Cell, store: Store, runtime: Runtime) -> Weights | None:
    """All parameters and buffers that a cell begins with, its mask not applied; None for those it is built with."""
    origin = cell.start.origin
    if cell.arm == DENSE or origin is None or store.ticketless(cell):
        return None
    if cell.weights == "rewound":
        return weights_at(origin, store, runtime)
    inherit = ARMS[cell.arm].inherit
    if inherit is None:
        return None
    ticket = weights_at(origin, store, runtime)
    fresh = build(cell, runtime).model
    there = {name: ticket[name].to(value.device) for name, value in fresh.state_dict().items()}
    return dict(inherit(copied(fresh), there, mask_of(cell, store, fresh)))


def mask_of(cell: Cell, store: Store, model: nn.Module) -> Mask:
    """The cell's own mask: the ticket's, changed as the arm says; the dense one at level 0."""
    if cell.mask_key is None:
        return Mask.dense(model, cell.spec.prunable)
    return ARMS[cell.arm].mask(store.mask(cell.mask_key).mask, cell.streams.seed("permutation", cell.level))


def weights_at(origin: Origin, store: Store, runtime: Runtime) -> Weights:
    """All parameters and buffers of a run at a step: cached, or made again from the run's own start.

    A cohort is made again whole, since its arithmetic is part of its numbers. Raises RunError when a finished run does
    not come out as it did.
    """
    cell, step = origin.cell, origin.step
    known = store.snapshot(kept_name(cell, step))
    if known is not None:
        return known.tensors
    again = started(origin.unit, store, runtime)
    with enforce(again.trainee.model, again.trainee.optimizer, again.trainee.mask(again.masks)):
        again.trainee.advance(step)
    weights = again.trainee.weights()[origin.slot]
    if step == cell.span.last:
        check_same(cell, digest_of(weights), store)
    store.put_snapshot(kept_name(cell, step), Snapshot(weights, {}))
    return weights


def check_same(cell: Cell, weights_digest: str, store: Store) -> None:
    """Raise RunError when a finished cell was trained again to other weights."""
    result = store.cell(cell.key)
    if result is not None and result.weights_digest != weights_digest:
        raise RunError(f"{cell.name} trained again came out differently: the store is of another machine or version")


def kept_name(cell: Cell, step: int) -> str:
    """The name in the store's cache of a cell's weights at a step."""
    return f"{cell.key}-{step}"
