"""From scores to a mask: exactly as many survivors as asked for, ties broken by position."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from suite.tickets.mask import Mask, TicketError

Scope = Literal["global", "layerwise"]


def survivors(remaining: int, rate: float) -> int:
    """floor((1 - rate) x remaining + 1/2), exact in the rate as written; raises TicketError outside [0, 1]."""
    if not 0 <= rate <= 1:
        raise TicketError(f"rate = {rate}: a fraction from 0 to 1 is needed")
    return math.floor((1 - Fraction(str(rate))) * remaining + Fraction(1, 2))


def prune(scores: Mapping[str, Tensor], mask: Mask, rate: float, scope: Scope = "global", floor: float = 0.0) -> Mask:
    """Remove the fraction `rate` of the remaining weights, those of the lowest scores.

    `layerwise` takes that fraction from every tensor; `global` sets one threshold over all. `floor` is the least
    density of a tensor (of its own size): a global pruning takes more elsewhere instead. Of equal scores the one at the
    earlier position survives. Raises TicketError for a rate or floor outside [0, 1] and for scores that are missing, of
    another shape or NaN.
    """
    if scope == "layerwise":
        return keep_each(scores, mask, {n: survivors(int(t.sum()), rate) for n, t in mask.items()}, floor)
    return keep_count(scores, mask, survivors(mask.remaining, rate), floor)


def keep_each(scores: Mapping[str, Tensor], mask: Mask, keep: Mapping[str, int], floor: float = 0.0) -> Mask:
    """Keep `keep[name]` of each tensor's remaining weights, or as many as its floor wants; see `prune`."""
    counts = {name: max(keep[name], _least(mask[name], floor)) for name in mask}
    return Mask({name: _keep_best(_flat(scores, mask, name), mask[name], counts[name]) for name in mask})


def keep_count(scores: Mapping[str, Tensor], mask: Mask, keep: int, floor: float = 0.0) -> Mask:
    """Keep exactly `keep` of the remaining weights, the highest scores over all tensors; see `prune` for `floor`.

    Raises TicketError when more is asked for than remains, or when the floors alone keep more than `keep`.
    """
    if not 0 <= keep <= mask.remaining:
        raise TicketError(f"cannot keep {keep} of {mask.remaining} remaining weights")
    flat = {name: _flat(scores, mask, name) for name in mask}
    held = {name: _keep_best(flat[name], mask[name], _least(mask[name], floor)) for name in mask}
    free = keep - sum(int(tensor.sum()) for tensor in held.values())
    if free < 0:
        raise TicketError(f"floor = {floor} keeps {keep - free} weights, more than the {keep} this level may keep")
    values = torch.cat([flat[name] for name in mask])
    open_to_all = torch.cat([(mask[name] & ~held[name]).flatten() for name in mask])
    chosen = _keep_best(values, open_to_all, free)
    parts = torch.split(chosen, [mask[name].numel() for name in mask])
    return Mask({name: held[name] | part.view(mask[name].shape) for name, part in zip(mask, parts, strict=True)})


def _flat(scores: Mapping[str, Tensor], mask: Mask, name: str) -> Tensor:
    if name not in scores:
        raise TicketError(f"the criterion gave no score for {name!r}")
    score = scores[name].detach().cpu()
    if score.shape != mask[name].shape:
        raise TicketError(f"scores of {name!r} have shape {tuple(score.shape)}, the mask has {tuple(mask[name].shape)}")
    if torch.isnan(score[mask[name]]).any():
        raise TicketError(f"scores of {name!r} are NaN: the model it was scored on has diverged")
    return score.flatten()


def _least(tensor: Tensor, floor: float) -> int:
    if not 0 <= floor <= 1:
        raise TicketError(f"floor = {floor}: a fraction from 0 to 1 is needed")
    return min(int(tensor.sum()), math.ceil(Fraction(str(floor)) * tensor.numel()))


def _keep_best(flat: Tensor, allowed: Tensor, keep: int) -> Tensor:
    """Bool tensor of the shape of `allowed` with the `keep` best allowed positions."""
    kept = torch.zeros(flat.numel(), dtype=torch.bool)
    positions = allowed.flatten().nonzero().flatten()
    if keep > 0:
        values = flat[positions]
        threshold = values.kthvalue(len(values) - keep + 1).values  # the lowest that is kept: no sort of all is needed
        kept[positions[values > threshold]] = True
        kept[positions[values == threshold][: keep - int(kept.sum())]] = True
    return kept.view(allowed.shape)
