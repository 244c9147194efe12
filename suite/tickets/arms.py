"""Arms: the ways to make a starting point from a ticket.

An arm says what becomes of the mask, whether the weights are the rewound ones or drawn anew, and what new weights take
over from the ticket's. A third party adds one through the entry-point group `lottery.arms` or `register`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from suite.tickets.mask import Mask, TicketError

Weights = Mapping[str, Tensor]
MaskChange = Callable[[Mask, Generator], Mask]
Inheritance = Callable[[Weights, Weights, Mask], Weights]
"""(new weights, the ticket's weights, the arm's mask) -> the weights to train; all parameters and buffers, by name."""


@dataclass(frozen=True)
class Arm:
    """A starting point: `change` of the mask, and `rewound` weights or `fresh` ones from the initial distribution.

    `inherit` is for an arm of fresh weights that takes something over from the ticket's.
    """

    name: str
    weights: Literal["rewound", "fresh"]
    change: MaskChange
    about: str
    inherit: Inheritance | None = None

    def mask(self, mask: Mask, seed: int) -> Mask:
        """The arm's mask for a ticket's mask; the same seed gives the same mask."""
        return self.change(mask, Generator().manual_seed(seed))


def keep(mask: Mask, generator: Generator) -> Mask:
    """The mask as it is."""
    return mask


def permute_within(mask: Mask, generator: Generator) -> Mask:
    """The mask permuted inside each tensor: the density of every layer stays."""
    return Mask({name: _permuted(tensor, generator) for name, tensor in mask.items()})


def permute_all(mask: Mask, generator: Generator) -> Mask:
    """The mask permuted over all prunable tensors together: only the overall density stays."""
    return _over_all(mask, torch.cat([tensor.flatten() for tensor in mask.values()]), generator)


def drawn(mask: Mask, keep: int, seed: int) -> Mask:
    """A mask of the same tensors that keeps so many weights, at positions drawn over all of them together.

    The same seed gives the same mask, whatever survives in the one given.
    """
    return _over_all(mask, torch.arange(mask.size) < keep, Generator().manual_seed(seed))


def _over_all(mask: Mask, survivors: Tensor, generator: Generator) -> Mask:
    flat = _permuted(survivors, generator)
    parts = torch.split(flat, [tensor.numel() for tensor in mask.values()])
    return Mask({name: part.view(mask[name].shape) for name, part in zip(mask, parts, strict=True)})


def take_signs(fresh: Weights, ticket: Weights, mask: Mask) -> Weights:
    """New magnitudes with the ticket's signs on the prunable tensors; all else is new (Zhou et al. 2019, section 3)."""
    return {name: value.abs().copysign(ticket[name]) if name in mask else value for name, value in fresh.items()}


def _permuted(tensor: Tensor, generator: Generator) -> Tensor:
    return tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].view(tensor.shape)


ARMS: dict[str, Arm] = {}


def register(arm: Arm) -> Arm:
    """Add an arm under its name; raises TicketError when another one has it."""
    if ARMS.get(arm.name, arm) != arm:
        raise TicketError(f"arm {arm.name!r} is registered already, choose another name")
    ARMS[arm.name] = arm
    return arm


register(Arm("winning", "rewound", keep, "mask and rewound weights of the ticket"))
register(Arm("reinit", "fresh", keep, "mask kept, weights drawn anew"))
register(Arm("signs", "fresh", keep, "mask and signs of the ticket's weights, new magnitudes", take_signs))
register(Arm("shuffled_layerwise", "fresh", permute_within, "mask permuted inside each tensor, weights drawn anew"))
register(Arm("random", "fresh", permute_all, "mask permuted over all tensors, weights drawn anew (Morcos et al. 2019)"))
register(Arm("shuffled_mask", "rewound", permute_all, "rewound weights, mask permuted over all tensors"))
