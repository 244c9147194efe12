"""Puts starts into practice: builds what is trained, with the weights and masks that its cells begin with.

Weights that other cells start from are kept in the store's cache; where they are gone, the run is made again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from suite.experiment.carrying import carried, carried_mask, shapes
from suite.experiment.errors import RunError
from suite.experiment.learner import Snapshot
from suite.experiment.plan import DENSE, Cell
from suite.experiment.roles import pruned_by
from suite.experiment.runtime import Runtime
from suite.experiment.snapshot import digest_of
from suite.experiment.start import Origin
from suite.experiment.store import Store
from suite.experiment.trainee import Trainee, Weights, build, copied, trainee
from suite.tickets.arms import ARMS, drawn
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask
from suite.tickets.select import kept_after


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
        Mask.dense(model, pruned_by(cell.spec, cell.method))
        if cell.cohort and store.ticketless(cell)
        else mask_of(cell, store, model, runtime)
        for cell in cells
    ]
    return Started(running, masks, model)


def start_weights(cell: Cell, store: Store, runtime: Runtime) -> Weights | None:
    """All parameters and buffers that a cell begins with, its mask not applied; None for those it is built with."""
    if cell.arm == DENSE or store.ticketless(cell):
        return None
    if cell.start.drawn_over:
        return _new(cell, runtime)
    return _from_ticket(cell, store, runtime)


def _from_ticket(cell: Cell, store: Store, runtime: Runtime) -> Weights | None:
    source = cell.start.foreign(cell.spec)
    if source is not None:
        return _transferred(cell, carried(source, cell.spec, runtime), store, runtime)
    origin = cell.start.origin
    if origin is None:
        return None
    if cell.weights == "rewound":
        return weights_at(origin, store, runtime)
    inherit = ARMS[cell.arm].inherit
    if inherit is None:
        return None
    ticket = weights_at(origin, store, runtime)
    fresh = build(cell, runtime).model
    there = {name: ticket[name].to(value.device) for name, value in fresh.state_dict().items()}
    return dict(inherit(copied(fresh), there, mask_of(cell, store, fresh, runtime)))


def _new(cell: Cell, runtime: Runtime) -> Weights:
    """What is trained under a drawn mask: its tensors have new values, all others the task's own initial ones."""
    fresh, initial = copied(build(cell, runtime).model), _initial(cell, runtime)
    return {name: fresh[name] if name in cell.start.drawn_over else value for name, value in initial.items()}


def _transferred(cell: Cell, names: frozenset[str], store: Store, runtime: Runtime) -> Weights:
    """What a transferred ticket begins with: tensors that are not carried have one draw, the same under every arm."""
    initial = _initial(cell, runtime)
    origin = cell.start.origin
    source = weights_at(origin, store, runtime) if origin is not None else initial
    ticket = {name: source[name].to(value.device) if name in names else value for name, value in initial.items()}
    if cell.weights == "rewound":
        return ticket
    model = build(cell, runtime).model
    fresh = {name: value if name in names else initial[name] for name, value in copied(model).items()}
    inherit = ARMS[cell.arm].inherit
    return fresh if inherit is None else dict(inherit(fresh, ticket, mask_of(cell, store, model, runtime)))


def _initial(cell: Cell, runtime: Runtime) -> Weights:
    """The initial weights of a cell's task and replicate, whatever its arm draws."""
    return copied(build(replace(cell, weights="rewound"), runtime).model)


def mask_of(cell: Cell, store: Store, model: nn.Module, runtime: Runtime) -> Mask:
    """The cell's own mask: the ticket's, changed as the arm says, or one that is drawn; the dense one at level 0.

    Another task's mask covers the tensors that are carried, and no others.
    """
    if cell.start.drawn_over:
        dense, method = Mask.dense(model, cell.start.drawn_over), cell.start.method
        sizes = [tensor.numel() for tensor in dense.values()]
        kept = kept_after(sizes, cell.level, method.rate, method.scope, method.floor)
        return drawn(dense, kept, cell.streams.seed("permutation", cell.level))
    if cell.mask_key is None:
        return Mask.dense(model, cell.spec.prunable)
    mask, source = store.mask(cell.mask_key).mask, cell.start.task
    if source != cell.spec:
        mask = carried_mask(mask, carried(source, cell.spec, runtime))
    return ARMS[cell.arm].mask(mask, cell.streams.seed("permutation", cell.level))


def notes_of(cell: Cell, runtime: Runtime) -> dict[str, str]:
    """What a result says of its start: whose the tickets are and what was drawn anew, or over what a mask was drawn.

    Of a child of a connectivity test it says which.
    """
    if cell.start.drawn_over:
        return {"mask drawn over": ", ".join(cell.start.drawn_over)}
    child = {"child": f"{cell.start.child}: its ticket's data order and dropout drawn anew"} if cell.start.child else {}
    source = cell.start.foreign(cell.spec)
    if source is None:
        return child
    own = carried(source, cell.spec, runtime)
    fresh = {name: math.prod(shape) for name, shape in shapes(cell.spec, runtime).items() if name not in own}
    found = {"tickets of": f"{source.id} {source.version} {source.scale}, hash {source.hash[:12]}"}
    return found | (
        {"drawn anew under every arm": f"{', '.join(fresh)} ({sum(fresh.values()):,} values)"} if fresh else {}
    )


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


def dense_origin(cell: Cell, unit: Sequence[Cell]) -> Origin:
    """The end of the dense run that a cell of a ladder descends from, or is; `unit` is trained as one with it."""
    line = cell.start.origin.line if cell.start.origin is not None else (tuple(unit),)
    (slot,) = (slot for slot, member in enumerate(line[0]) if member.replicate == cell.replicate)
    return Origin(line[:1], slot, cell.span.last)


def check_same(cell: Cell, weights_digest: str, store: Store) -> None:
    """Raise RunError when a finished cell was trained again to other weights."""
    result = store.cell(cell.key)
    if result is not None and result.weights_digest != weights_digest:
        raise RunError(f"{cell.name} trained again came out differently: the store is of another machine or version")


def kept_name(cell: Cell, step: int) -> str:
    """The name in the store's cache of a cell's weights at a step."""
    return f"{cell.key}-{step}"
