"""Networks that a learner holds beside its model, and tensors that it copied from the model's weights.

A running mean of the weights (EMA), a target network or a list of cloned weights is made when a learner is constructed,
before the core puts the ticket's weights in the model and prunes it. It has to start from the ticket too: left alone it
stays dense, and a score taken on it is another network's.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

DEPTH = 4
"""Objects within objects that are looked into."""
LONGEST = 4096
"""Items of a longer list are data, not weights."""

Pair = tuple[Tensor, Tensor]
"""A copy, and what it was copied from."""


class Copies:
    """The tensors of a new learner that equal weights of its model, and follow them to the ticket.

    Found are modules of the structure of the model or of a part of it (frozen ones inside the model too), tables of
    tensors under its names (state dictionaries), lists in its order, one tensor of all its parameters, and optimizer
    state; in attributes of the learner and of the objects that it holds. Equal values, not all alike, are what tells a
    copy from another network, so this must be called before a step is taken.
    """

    def __init__(self, learner: object, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        parts = [_Part(module) for module in model.modules()]
        seen = {_place(tensor) for tensor in parts[0].tensors.values()}
        in_modules = [pair for network in other_networks(learner, model).values() for pair in _of(network, parts)]
        for child in model.children():
            if all(not p.requires_grad for p in child.parameters()):
                in_modules += _of(child, [part for part in parts if part.is_apart_from(child)])
        seen |= {_place(copy) for copy, _ in in_modules}
        self.loose = [pair for pair in _loose(learner, parts) if _place(pair[0]) not in seen]
        self._state = [
            (value, parameter)
            for parameter, state in optimizer.state.items()
            for value in (state.values() if isinstance(state, Mapping) else ())
            if isinstance(parameter, Tensor) and isinstance(value, Tensor) and _match([(value, parameter)])
        ]
        self._pairs = in_modules + self.loose + self._state

    @torch.no_grad()
    def follow(self) -> None:
        """Copy the model's weights as they are now."""
        for copy, original in self._pairs:
            copy.copy_(original)


def other_networks(learner: object, model: nn.Module) -> dict[str, nn.Module]:
    """Modules that a learner holds and that are no part of its model, by the path of attributes that leads to them."""
    own = set(map(id, model.modules()))
    found: dict[str, nn.Module] = {}
    for path, value in _walk(learner):
        if isinstance(value, nn.Module) and id(value) not in own:
            own |= set(map(id, value.modules()))
            if not any(id(part) in set(map(id, model.modules())) for part in value.modules()):
                found[path] = value
    return found


class _Part:
    """A module of the model: its parameters and buffers by name."""

    def __init__(self, module: nn.Module) -> None:
        self.parameters = dict(module.named_parameters())
        self.tensors = {**self.parameters, **dict(module.named_buffers())}

    def is_apart_from(self, module: nn.Module) -> bool:
        others = {id(tensor) for tensor in module.parameters()}
        return not any(id(tensor) in others for tensor in self.tensors.values())

    def by_name(self, tensors: Mapping[str, Tensor]) -> list[Pair]:
        """Pairs of a table whose names are all this module's."""
        known = tensors and set(tensors) <= set(self.tensors)
        return _match([(tensor, self.tensors[name]) for name, tensor in tensors.items()]) if known else []

    def by_order(self, tensors: list[Tensor]) -> list[Pair]:
        """Pairs of a list of all parameters, of those that are trained, or of all tensors."""
        trained = [parameter for parameter in self.parameters.values() if parameter.requires_grad]
        for originals in (list(self.parameters.values()), trained, list(self.tensors.values())):
            if len(originals) == len(tensors) and (pairs := _match(list(zip(tensors, originals, strict=True)))):
                return pairs
        return []

    def flat(self, vector: Tensor) -> list[Pair]:
        """Pairs of one tensor that holds all parameters after each other."""
        originals = list(self.parameters.values())
        if vector.dim() != 1 or len(vector) != sum(p.numel() for p in originals):
            return []
        pieces = torch.split(vector.detach(), [p.numel() for p in originals])
        return _match([(piece.view_as(p), p) for piece, p in zip(pieces, originals, strict=True)])


def _match(pairs: list[Pair]) -> list[Pair]:
    """The pairs, if all are equal and one of them not by chance, as zeros are."""
    alike = all(
        copy is not original and copy.shape == original.shape and copy.dtype == original.dtype
        and _place(copy) != _place(original) and torch.equal(copy.to(original.device), original)
        for copy, original in pairs
    )  # fmt: skip
    telling = any(o.numel() > 1 and bool((o != o.flatten()[0]).any()) for _, o in pairs)
    return pairs if alike and telling else []


def _of(network: nn.Module, parts: list[_Part]) -> list[Pair]:
    """Pairs of a network as a whole, or else of its modules."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    whole = next((pairs for part in parts if (pairs := part.by_name(tensors))), None)
    return whole or [pair for child in network.children() for pair in _of(child, parts)]


def _loose(learner: object, parts: list[_Part]) -> Iterator[Pair]:
    for _, value in _walk(learner):
        found: Iterable[list[Pair]] = ()
        if isinstance(value, Mapping) and value and all(isinstance(item, Tensor) for item in value.values()):
            found = (part.by_name(value) for part in parts)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Tensor) for item in value):
            found = (part.by_order(list(value)) for part in parts)
        elif isinstance(value, Tensor):
            found = [*(part.flat(value) for part in parts), *(_match([(value, t)]) for t in parts[0].tensors.values())]
        yield from next((pairs for pairs in found if pairs), [])


def _walk(learner: object) -> Iterator[tuple[str, Any]]:
    """What a learner holds, each object once, with its path; modules and optimizers are not looked into."""
    seen: set[int] = set()

    def visit(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
        if id(value) in seen or isinstance(value, type | ModuleType | torch.optim.Optimizer):
            return
        seen.add(id(value))
        yield path, value
        inside: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, nn.Module | Tensor) or depth == 0:
            return
        if isinstance(value, Mapping):
            inside = value.items() if len(value) <= LONGEST else ()
        elif isinstance(value, list | tuple):
            inside = enumerate(value) if len(value) <= LONGEST else ()
        elif hasattr(value, "__dict__"):
            inside = vars(value).items()
        for name, item in list(inside):
            yield from visit(f"{path}.{name}", item, depth - 1)

    yield from visit("learner", learner, DEPTH)


def _place(tensor: Tensor) -> tuple[torch.device, int, int]:
    return tensor.device, tensor.data_ptr(), tensor.numel()
