"""Optimizer state of any shape as named tensors and JSON, and back: lists and tables too, and what groups hold.

torch's own optimizers keep one tensor a parameter under each name; others keep lists of tensors (Shampoo), flat vectors
and histories under the first parameter (LBFGS), counters in their parameter groups (Prodigy, schedule-free ones), or
plain attributes.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from suite.experiment.errors import RunError

_CONSTANT = {"params", "foreach", "fused", "capturable", "differentiable", "maximize"}


class Packer:
    """Turns values into JSON, their tensors being put aside by name."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self.tensors = prefix, dict[str, Tensor]()

    def pack(self, name: str, value: Any) -> Any:
        """JSON of a value; raises RunError naming a value of a kind that no snapshot can hold."""
        packed: Any
        match value:
            case nn.Parameter():
                raise RunError(f"optimizer state {name!r} refers to a parameter: no snapshot can be taken of it")
            case Tensor():
                self.tensors[self._prefix + name] = value.detach().clone()
                packed = {"tensor": self._prefix + name}
            case None | bool() | int() | float() | str():
                packed = value
            case complex():
                packed = {"complex": [value.real, value.imag]}
            case np.generic():
                packed = value.item()
            case np.ndarray():
                packed = {"array": self.pack(name, torch.from_numpy(value.copy()))}
            case deque():
                packed = {"deque": self._items(name, value), "longest": value.maxlen}
            case list():
                packed = self._items(name, value)
            case tuple() if type(value) is tuple:
                packed = {"tuple": self._items(name, value)}
            case dict():
                packed = {"table": [[self.pack(name, k), self.pack(f"{name}/{k}", item)] for k, item in value.items()]}
            case _:
                raise RunError(
                    f"optimizer state {name!r} is a {type(value).__name__}: a snapshot holds numbers, words, tensors, "
                    "arrays, and lists, tuples, deques and tables of them"
                )
        return packed

    def _items(self, name: str, values: Iterable[Any]) -> list[Any]:
        return [self.pack(f"{name}/{i}", item) for i, item in enumerate(values)]


def unpack(packed: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """The value that `Packer.pack` turned into JSON, its tensors being copied to a device."""
    value: Any
    match packed:
        case list():
            value = [unpack(item, tensors, device) for item in packed]
        case {"tensor": name}:
            value = tensors[name].detach().clone().to(device)
        case {"array": inner}:
            value = unpack(inner, tensors, torch.device("cpu")).numpy()
        case {"complex": parts}:
            value = complex(*parts)
        case {"tuple": items}:
            value = tuple(unpack(items, tensors, device))
        case {"deque": items, "longest": longest}:
            value = deque(unpack(items, tensors, device), longest)
        case {"table": pairs}:
            value = {unpack(key, tensors, device): unpack(item, tensors, device) for key, item in pairs}
        case _:
            value = packed
    return value


def take_rest(
    optimizer: torch.optim.Optimizer, known: Mapping[nn.Parameter, object], tensors: dict[str, Tensor]
) -> Any:
    """JSON of what an optimizer holds beside the state of known parameters; its tensors are added to `tensors`.

    That is the settings and counters of its groups, state of parameters that the model has not and their values, state
    under other keys, and its own attributes.
    """
    packer = Packer(_REST)
    places = _places(optimizer)
    groups = [
        {key: packer.pack(f"group.{i}.{key}", value) for key, value in group.items() if key not in _CONSTANT}
        for i, group in enumerate(optimizer.param_groups)
    ]
    outside = {
        place: [
            packer.pack(f"outside.{place}", parameter.detach()),
            packer.pack(f"state.{place}", optimizer.state.get(parameter)),
        ]
        for place, parameter in places.items()
        if parameter not in known
    }
    others = [
        [key, packer.pack(f"state.{key}", value)]
        for key, value in optimizer.state.items()
        if isinstance(key, str | int)
    ]
    attributes = {key: packer.pack(f"own.{key}", value) for key, value in _attributes(optimizer).items()}
    tensors.update(packer.tensors)
    return {"groups": groups, "outside": outside, "others": others, "attributes": attributes}


def put_rest(rest: Any, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Put back what `take_rest` took; raises RunError for an optimizer of other groups or parameters."""
    places = _places(optimizer)
    if len(rest["groups"]) != len(optimizer.param_groups) or not set(rest["outside"]) <= set(places):
        raise RunError(f"snapshot has {len(rest['groups'])} groups of parameters, the optimizer has others")
    for group, held in zip(optimizer.param_groups, rest["groups"], strict=True):
        device = next((parameter.device for parameter in group["params"]), torch.device("cpu"))
        group.update({key: unpack(value, tensors, device) for key, value in held.items()})
    for place, (value, state) in rest["outside"].items():
        parameter = places[place]
        with torch.no_grad():
            parameter.copy_(unpack(value, tensors, parameter.device))
        if state is not None:
            optimizer.state[parameter] = unpack(state, tensors, parameter.device)
    for key, value in rest["others"]:
        optimizer.state[key] = unpack(value, tensors, torch.device("cpu"))
    for key, value in rest["attributes"].items():
        now = getattr(optimizer, key, None)
        setattr(optimizer, key, unpack(value, tensors, now.device if isinstance(now, Tensor) else torch.device("cpu")))


_REST = "optimizer-rest."


def _places(optimizer: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    """Parameters by group and position, which is what two equally constructed optimizers share."""
    return {
        f"{g}.{i}": parameter
        for g, group in enumerate(optimizer.param_groups)
        for i, parameter in enumerate(group["params"])
    }


def _attributes(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Counters and tensors that an optimizer keeps as attributes of its own, as far as a snapshot can hold them."""
    found, torch_own = {}, vars(torch.optim.SGD([torch.zeros(1)], lr=1.0))
    for key, value in vars(optimizer).items():
        if key in torch_own:
            continue
        try:
            Packer("").pack(key, value)
        except RunError:
            continue  # settings, functions, lists of its parameters
        found[key] = value
    return found
