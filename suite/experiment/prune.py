"""Makes the masks that follow from a cell: scores by its method's criterion, then the selection."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch

from suite.experiment.errors import RunError
from suite.experiment.learner import Learner, Probed
from suite.experiment.method import Method
from suite.experiment.plan import Cell, Prune
from suite.experiment.randomness import own_random
from suite.experiment.roles import pruned_by
from suite.experiment.store import Store
from suite.tickets.mask import Mask, TicketError
from suite.tickets.scores import CRITERIA, Scores, Weights
from suite.tickets.select import keep_count, keep_each, prune, survivors, unordered
from suite.tickets.ticket import Ticket

WeightsOf = Callable[[int], Weights]
"""Step -> all parameters and buffers of the replicate's dense run."""


def make_masks(
    cell: Cell, learner: Learner, mask: Mask, wanted: Iterable[Prune], store: Store, weights_of: WeightsOf,
    remarks: list[str],
) -> list[TicketError]:  # fmt: skip
    """Prune the learner's model as it stands, once for each wanted mask, and keep the tickets; it is left unchanged.

    `weights_of` gives what criteria ask for besides the model. A ticket's header says what its key says and no more:
    methods that differ only in how tickets are trained share it. Returns why masks that are not optional cannot be,
    such as for floors that keep too much. To `remarks` is added where position decided among equal scores,
    which is said on standard error too.
    """
    parent = "" if cell.mask_key is None else store.mask(cell.mask_key).digest
    impossible: list[TicketError] = []
    for step in wanted:
        try:
            made, equal = pruned(cell, learner, mask, step, weights_of)
        except TicketError as error:
            if not step.optional:
                what = f"no ticket of level {cell.level + step.level} can be made by {step.method.criterion}"
                impossible.append(TicketError(f"{what}: {error}"))
            continue
        if equal:
            remarks.append(_remark(cell, step, equal))
            print(f"lottery: warning: {cell.name}: {remarks[-1]}", file=sys.stderr)
        ticket = Ticket(
            made,
            task_hash=cell.spec.hash,
            method_hash=step.method.pruning_hash,
            level=cell.level + step.level,
            replicate=cell.replicate,
            rewind_step=cell.span.first,
            parent=parent,
        )
        store.put_mask(step.key, ticket)
    return impossible


def _remark(cell: Cell, step: Prune, equal: Mapping[str, str]) -> str:
    tensors = "; ".join(f"{name}: {what}" for name, what in equal.items())
    return f"pruning to level {cell.level + step.level} by {step.method.criterion}, position decided in {tensors}"


def pruned(cell: Cell, learner: Learner, mask: Mask, step: Prune, weights_of: WeightsOf) -> tuple[Mask, dict[str, str]]:
    """The mask after the step's prunings at its method's rate, done at once, in the method's number of rounds.

    With it come the tensors in which scores did not tell weights apart, by what was last so of them.

    Between rounds the number of survivors falls by equal factors and the scores are taken anew under the mask reached
    (Tanaka et al. 2020, algorithm 1). The final count is that of as many separate prunings. The mask made has the
    tensors that the method prunes; that of a dense run has all prunable ones.
    """
    method, model = step.method, learner.model
    mask = Mask({name: mask[name] for name in pruned_by(cell.spec, method)})
    handed = given(method, weights_of)
    if step.level == 1 and method.rounds == 1:
        found = scores(cell, learner, method, handed)
        made = prune(found, mask, method.rate, method.scope, method.floor)
        return made, unordered(found, mask, made)
    remarkable: dict[str, str] = {}
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    try:
        for narrow in _rounds(mask, step.level, method):
            found, before = scores(cell, learner, method, handed), mask
            mask = narrow(found, mask)
            remarkable |= unordered(found, before, mask)
            mask.apply(model)
    finally:
        model.load_state_dict(weights)
    return mask, remarkable


def given(method: Method, weights_of: WeightsOf) -> dict[str, Any]:
    """What a method's criterion is handed by keyword: weights of the replicate's dense run."""
    criterion = CRITERIA[method.criterion]
    handed: dict[str, Any] = {}
    if "initial" in criterion.needs:
        handed["initial"] = weights_of(0)
    if "rewound" in criterion.needs:
        handed["rewound"] = weights_of(method.rewind_step)
    if "snapshots" in criterion.needs:
        handed["snapshots"] = {step: weights_of(step) for step in criterion.snapshot_steps}
    return handed


def scores(cell: Cell, learner: Learner, method: Method, handed: Mapping[str, Any]) -> Scores:
    """Scores by a method's criterion, its random numbers from the replicate's own stream.

    Raises RunError for a criterion that needs probes when the learner has none.
    """
    criterion = CRITERIA[method.criterion]
    if criterion.needs_probes and not isinstance(learner, Probed):
        raise RunError(f"{cell.spec.id} has no probes, which criterion {criterion.name!r} needs")
    probes = learner.probes(method.probes) if criterion.needs_probes and isinstance(learner, Probed) else ()
    with own_random(torch.device("cpu"), cell.streams.seed("score", cell.level)):
        return criterion.score(learner.model, probes, **handed)


def _rounds(mask: Mask, times: int, method: Method) -> list[Callable[[Scores, Mask], Mask]]:
    """The selection of each round, by counts of every tensor or of all together."""
    if method.scope == "global":
        totals = _targets(mask.remaining, times, method)
        return [partial(keep_count, keep=total, floor=method.floor) for total in totals]
    each = {name: _targets(int(tensor.sum()), times, method) for name, tensor in mask.items()}
    counts = [{name: targets[turn] for name, targets in each.items()} for turn in range(method.rounds)]
    return [partial(keep_each, keep=keep, floor=method.floor) for keep in counts]


def _targets(remaining: int, times: int, method: Method) -> list[int]:
    """Survivors after each round, ending at the exact count of `times` prunings."""
    if remaining == 0:
        return [0] * method.rounds
    last = remaining
    for _ in range(times):
        last = survivors(last, method.rate)
    between = [round(remaining * (last / remaining) ** (n / method.rounds)) for n in range(1, method.rounds)]
    return [*between, last]
