"""Mask: which of a model's prunable weights survive."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn


class TicketError(Exception):
    """A mask, ticket or criterion that cannot be what it is said to be: one line with the remedy."""


class Mask(Mapping[str, Tensor]):
    """Immutable mapping from parameter name to a bool tensor of its shape, True where the weight survives.

    The order of the names is part of the mask: it is the order of positions that breaks ties between equal scores.
    Raises TicketError for an empty mapping or a tensor that is not bool.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        if not tensors:
            raise TicketError("a mask needs at least one tensor")
        for name, tensor in tensors.items():
            if tensor.dtype != torch.bool:
                raise TicketError(f"mask of {name!r} has dtype {tensor.dtype}, bool is needed")
        self._tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    @classmethod
    def dense(cls, model: nn.Module, names: Iterable[str]) -> "Mask":
        """The mask of level 0: every weight of the named parameters survives; raises TicketError for a wrong name."""
        parameters = dict(model.named_parameters())
        names = tuple(names)
        for name in names:
            if name not in parameters:
                has = ", ".join(parameters)
                raise TicketError(f"prunable tensor {name!r} is no parameter of the model; it has {has}")
        return cls({name: torch.ones(parameters[name].shape, dtype=torch.bool) for name in names})

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return list(self) == list(other) and all(torch.equal(self[name], other[name]) for name in self)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Mask({len(self)} tensors, {self.remaining}/{self.size}, density {self.density:.4g})"

    @property
    def remaining(self) -> int:
        """Number of surviving weights."""
        return sum(int(tensor.sum()) for tensor in self._tensors.values())

    @property
    def size(self) -> int:
        """Number of prunable weights."""
        return sum(tensor.numel() for tensor in self._tensors.values())

    @property
    def density(self) -> float:
        """Survivors / prunable weights."""
        return self.remaining / self.size

    def total_density(self, model: nn.Module) -> float:
        """Survivors and never-pruned parameters / all parameters of the model."""
        total = sum(parameter.numel() for parameter in model.parameters())
        return (total - self.size + self.remaining) / total

    @property
    def digest(self) -> str:
        """SHA-256 over names, shapes and bits, in hex."""
        hasher = hashlib.sha256()
        for name, tensor in self._tensors.items():
            hasher.update(f"{name}{tuple(tensor.shape)}".encode())
            hasher.update(tensor.contiguous().numpy().tobytes())
        return hasher.hexdigest()

    def apply(self, model: nn.Module) -> None:
        """Set the pruned weights of a model to exactly zero, in place; raises TicketError where a shape differs."""
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, tensor in self._tensors.items():
                if name not in parameters or parameters[name].shape != tensor.shape:
                    found = tuple(parameters[name].shape) if name in parameters else "no such parameter"
                    raise TicketError(f"mask of {name!r} has shape {tuple(tensor.shape)}, the model has {found}")
                parameters[name].masked_fill_(~tensor.to(parameters[name].device), 0)

    def intersect(self, other: "Mask") -> "Mask":
        """Weights that survive in both; raises TicketError when the masks are of different models."""
        self._same_model(other)
        return Mask({name: self[name] & other[name] for name in self})

    def _same_model(self, other: "Mask") -> None:
        if {n: t.shape for n, t in self.items()} != {n: t.shape for n, t in other.items()}:
            raise TicketError("the masks are of different models: names or shapes differ")
