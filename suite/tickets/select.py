"""From scores to a mask: exactly as many survivors as asked for, ties broken by position.

Scores that order nothing are refused, since position alone would then decide what is kept; a tensor whose own scores
order nothing is named by `unordered`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from suite.tickets.mask import Mask, TicketError

Scope = Literal["global", "layerwise"]

MOST_TIED = 0.01
"""Fraction of the remaining weights that may share the lowest score kept; more are named, as position decides there."""


def survivors(remaining: int, rate: float) -> int:
    """floor((1 - rate) x remaining + 1/2), exact in the rate as written; raises TicketError outside [0, 1]."""
    if not 0 <= rate <= 1:
        raise TicketError(f"rate = {rate}: a fraction from 0 to 1 is needed")
    return math.floor((1 - Fraction(str(rate))) * remaining + Fraction(1, 2))


def kept_after(sizes: Sequence[int], prunings: int, rate: float, scope: Scope = "global", floor: float = 0.0) -> int:
    """How many weights of tensors of these sizes are left after so many of `prune`, whatever the scores."""
    if scope == "global":
        return _kept(sum(sizes), prunings, rate)
    return sum(max(_kept(size, prunings, rate), math.ceil(Fraction(str(floor)) * size)) for size in sizes)


def _kept(size: int, prunings: int, rate: float) -> int:
    for _ in range(prunings):
        size = survivors(size, rate)
    return size


def prune(scores: Mapping[str, Tensor], mask: Mask, rate: float, scope: Scope = "global", floor: float = 0.0) -> Mask:
    """Remove the fraction `rate` of the remaining weights, those of the lowest scores.

    `layerwise` takes that fraction from every tensor; `global` sets one threshold over all. `floor` is the least
    density of a tensor (of its own size): a global pruning takes more elsewhere instead. Of equal scores the one at the
    earlier position survives. Raises TicketError for a rate or floor outside [0, 1], for scores that are missing, of
    another shape or NaN, for infinite ones among which only position could choose, and where all are equal.
    """
    if scope == "layerwise":
        return keep_each(scores, mask, {n: survivors(int(t.sum()), rate) for n, t in mask.items()}, floor)
    return keep_count(scores, mask, survivors(mask.remaining, rate), floor)


def keep_each(scores: Mapping[str, Tensor], mask: Mask, keep: Mapping[str, int], floor: float = 0.0) -> Mask:
    """Keep `keep[name]` of each tensor's remaining weights, or as many as its floor wants; see `prune`."""
    counts = {name: max(keep[name], _least(mask[name], floor)) for name in mask}
    flat = {name: _flat(scores, mask, name) for name in mask}
    _refuse_without_order([_Cut((name,), flat[name][mask[name].flatten()], counts[name]) for name in mask])
    return Mask({name: _keep_best(flat[name], mask[name], counts[name]) for name in mask})


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
    remaining = torch.cat([mask[name].flatten() for name in mask])
    _refuse_without_order([_Cut(tuple(name for name in mask if mask[name].any()), values[remaining], keep)])
    chosen = _keep_best(values, open_to_all, free)
    parts = torch.split(chosen, [mask[name].numel() for name in mask])
    return Mask({name: held[name] | part.view(mask[name].shape) for name, part in zip(mask, parts, strict=True)})


def unordered(scores: Mapping[str, Tensor], before: Mask, after: Mask) -> dict[str, str]:
    """Tensors that lost weights though their own scores do not tell these apart, with what is so of them in a line.

    Where many weights of all tensors together share the lowest score that is kept, each tensor with some of them is
    named too. Position decided there, which takes from the later tensors first.
    """
    found: dict[str, str] = {}
    remaining = {name: scores[name].detach().cpu()[before[name]] for name in before if before[name].any()}
    kept = {name: scores[name].detach().cpu()[after[name]] for name in remaining}
    lost = [name for name in remaining if len(kept[name]) < len(remaining[name])]
    for name in lost:
        values = remaining[name]
        if len(values) > 1 and bool((values == values[0]).all()):
            found[name] = f"all {len(values)} scores are equal ({values[0]:.3g}), {len(kept[name])} of them were kept"
    lowest = min((float(values.min()) for values in kept.values() if len(values)), default=math.inf)
    tied = {name: int((remaining[name] == lowest).sum()) for name in lost}
    cut = any(tied[name] > int((kept[name] == lowest).sum()) for name in lost)
    if cut and sum(tied.values()) > MOST_TIED * before.remaining:
        for name in (name for name in lost if tied[name] > 1 and name not in found):
            here = int((kept[name] == lowest).sum())
            found[name] = (
                f"{tied[name]} scores are equal to the lowest one kept ({lowest:.3g}), {here} of them were kept"
            )
    return found


@dataclass(frozen=True)
class _Cut:
    """Weights that one threshold divides: the tensors they are of, their scores, and how many are kept."""

    names: tuple[str, ...]
    values: Tensor
    keep: int

    @property
    def divides(self) -> bool:
        return 0 < self.keep < len(self.values)

    @property
    def infinite(self) -> bool:
        """Whether it falls among scores that are all infinite."""
        above, finite = int((self.values == math.inf).sum()), int((self.values > -math.inf).sum())
        return self.divides and (self.keep < above or self.keep > finite)

    @property
    def equal(self) -> bool:
        """Whether there are no two different scores."""
        return bool(self.values[0] == self.values[-1]) and bool((self.values == self.values[0]).all())


def _refuse_without_order(cuts: Sequence[_Cut]) -> None:
    """Raise TicketError where a cut falls among infinite scores, or where none has two scores to choose between."""
    remedy = "position alone would decide what is kept; take another criterion, or other initial weights"
    for cut in cuts:
        if cut.infinite:
            raise TicketError(f"scores of {_named(cut.names)} are infinite where the cut falls: {remedy}")
    dividing = [cut for cut in cuts if cut.divides]
    if dividing and all(cut.equal for cut in dividing):
        names = tuple(name for cut in dividing for name in cut.names)
        raise TicketError(f"scores of {_named(names)} are all equal ({float(dividing[0].values[0]):.3g}): {remedy}")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(map(repr, names[:3]))}{more}"


def _flat(scores: Mapping[str, Tensor], mask: Mask, name: str) -> Tensor:
    if name not in scores:
        raise TicketError(f"the criterion gave no score for {name!r}")
    score = scores[name].detach().cpu()
    if score.shape != mask[name].shape:
        raise TicketError(f"scores of {name!r} have shape {tuple(score.shape)}, the mask has {tuple(mask[name].shape)}")
    if torch.isnan(score[mask[name]]).any():
        raise TicketError(f"scores of {name!r} are NaN: the weights are not finite, or the criterion is at fault")
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
