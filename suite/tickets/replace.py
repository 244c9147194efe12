"""Layers exchanged from outside, after the optimizer was built: the seam for execution that stores survivors only.

A replacement layer may hold its weights in any form. It says under which dense names they belong with `dense_names`
(stored name -> dense name), writes and reads the dense form in its own `state_dict` and `load_state_dict`, and turns
optimizer tensors with `dense_state` and `stored_state`, so that tickets and snapshots never see the difference.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from suite.tickets.mask import TicketError


class Replacement(Protocol):
    """What a layer that stores its weights in another form offers."""

    dense_names: dict[str, str]

    def dense_state(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        """An optimizer tensor of a stored parameter, in the dense shape."""

    def stored_state(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        """The inverse of `dense_state`."""


def replace(model: nn.Module, optimizer: torch.optim.Optimizer, path: str, layer: nn.Module) -> None:
    """Put `layer` at `path` of the model and its parameters in the optimizer, in the old ones' parameter group.

    State of the old parameters is dropped: replace before the first step, or take a snapshot before and put it after.
    Raises TicketError for a path the model has not, an old layer that shares a parameter with another one, or that the
    optimizer does not train in one group.
    """
    try:
        old = model.get_submodule(path)
    except AttributeError as error:
        raise TicketError(f"the model has no layer {path!r}") from error
    if not path:
        raise TicketError("the model itself cannot be replaced, name one of its layers")
    leaving = {id(parameter) for parameter in old.parameters()}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in leaving and not name.startswith(f"{path}."):
            raise TicketError(f"layer {path!r} cannot be replaced: it shares its parameter with {name!r}")
    groups = [g for g in optimizer.param_groups if any(id(p) in leaving for p in g["params"])]
    if len(groups) != 1:
        raise TicketError(f"layer {path!r} is trained in {len(groups)} groups of the optimizer, one is needed")
    (group,) = groups
    first = next(i for i, p in enumerate(group["params"]) if id(p) in leaving)
    kept = [p for p in group["params"] if id(p) not in leaving]
    group["params"][:] = [*kept[:first], *layer.parameters(), *kept[first:]]
    for parameter in old.parameters():
        optimizer.state.pop(parameter, None)
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)


def parameter_names(model: nn.Module) -> dict[nn.Parameter, tuple[str, nn.Module]]:
    """Dense name of each stored parameter, and the layer that owns it."""
    found: dict[nn.Parameter, tuple[str, nn.Module]] = {}
    for prefix, layer in model.named_modules():
        dense: dict[str, str] = getattr(layer, "dense_names", {})
        for local, parameter in layer.named_parameters(recurse=False):
            name = dense.get(local, local)
            found.setdefault(parameter, (f"{prefix}.{name}" if prefix else name, layer))
    return found


def dense_owners(model: nn.Module) -> frozenset[str]:
    """Dense names of the parameters that a layer stores in another form; what it stores as it is, is not among them."""
    return frozenset(
        f"{prefix}.{dense}" if prefix else dense
        for prefix, layer in model.named_modules()
        for dense in getattr(layer, "dense_names", {}).values()
    )
