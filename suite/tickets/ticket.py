"""Ticket file: a mask, and where wanted the rewound weights, in safetensors with provenance in its header.

Tensors `mask.<name>` (uint8, bits packed little-endian, row-major) and `weight.<name>`; header: format, shapes, order
of the names, dtype and shape of each weight, task hash, method hash, level, replicate, rewind step, digest of the
parent ticket, and `digest`: SHA-256 over the canonical header (RFC 8785) without the digest and over the tensor bytes
in name order. Loading runs no code.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from suite.tickets.mask import Mask, TicketError

FORMAT = "lottery-ticket/1"


@dataclass(frozen=True)
class Ticket:
    """A mask and all parameters and buffers at the rewind step (none where they are recomputed by replay).

    `rewind_step` is the first step of the run that the mask was pruned from: 0 for one pruned from the dense run, which
    methods of every rewind step share; what weights such a mask is trained with, the method says.
    """

    mask: Mask
    weights: dict[str, Tensor] = field(default_factory=dict)
    task_hash: str = ""
    method_hash: str = ""
    level: int = 0
    replicate: int = 0
    rewind_step: int = 0
    parent: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of header and tensors, in hex."""
        return _digest(self._header(), self._tensors())

    def to_bytes(self) -> bytes:
        """The file's content."""
        header = {**self._header(), "digest": self.digest}
        copies = {name: tensor.clone() for name, tensor in self._tensors().items()}  # safetensors refuses tied tensors
        return save(copies, metadata={"lottery": json.dumps(header, sort_keys=True)})

    def start(self, model: nn.Module) -> None:
        """Load the weights, if the ticket carries them, and apply the mask, in place; TicketError for a misfit."""
        if self.weights:
            try:
                model.load_state_dict(self.weights)
            except RuntimeError as error:
                what = " ".join(str(error).split())
                raise TicketError(f"the ticket's weights do not fit the model: {what}") from error
        self.mask.apply(model)

    def _header(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "shapes": {name: list(tensor.shape) for name, tensor in self.mask.items()},
            "order": list(self.mask),
            "weights": {name: [str(value.dtype), list(value.shape)] for name, value in self.weights.items()},
            "task_hash": self.task_hash,
            "method_hash": self.method_hash,
            "level": self.level,
            "replicate": self.replicate,
            "rewind_step": self.rewind_step,
            "parent": self.parent,
        }

    def _tensors(self) -> dict[str, Tensor]:
        masks = {f"mask.{name}": _pack(tensor) for name, tensor in self.mask.items()}
        return masks | {f"weight.{name}": value.detach().cpu().contiguous() for name, value in self.weights.items()}


def load(path: Path) -> Ticket:
    """Read and check a ticket file; raises TicketError for one that is corrupted, truncated or no ticket."""
    if path.exists() and not path.is_file():
        raise TicketError(f"{path} is no regular file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError as error:
        raise TicketError(f"no ticket file {path}") from error
    except (SafetensorError, OSError, ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise TicketError(f"{path} is no ticket: not a whole safetensors file ({error})") from error
    try:
        header = json.loads(metadata["lottery"])
        claimed = header.pop("digest")
        if header["format"] != FORMAT:
            raise TicketError(f"{path} has ticket format {header['format']!r}, this suite reads {FORMAT!r}")
        if not header["order"]:
            raise ValueError("no mask")
        shapes = {name: tuple(header["shapes"][name]) for name in header["order"]}
        mask = Mask({name: _unpack(tensors[f"mask.{name}"], shape) for name, shape in shapes.items()})
        ticket = Ticket(
            mask,
            {n.removeprefix("weight."): t for n, t in tensors.items() if n.startswith("weight.")},
            **{key: header[key] for key in ("task_hash", "method_hash", "level", "replicate", "rewind_step", "parent")},
        )
        same_names = tensors.keys() == ticket._tensors().keys()
        whole = same_names and claimed == ticket.digest == _digest(header, tensors)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError) as error:
        raise TicketError(f"{path} is no ticket of this suite: {error!r} in its header or masks") from error
    if not whole:
        raise TicketError(f"{path} is corrupted: its content does not have the digest that its header states")
    return ticket


def _digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    hasher = hashlib.sha256(rfc8785.dumps(header))
    for name in sorted(tensors):
        hasher.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def _pack(mask: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits(mask.flatten().numpy(), bitorder="little"))


def _unpack(packed: Tensor, shape: tuple[int, ...]) -> Tensor:
    size = int(np.prod(shape, dtype=np.int64))
    if packed.dtype != torch.uint8 or packed.numel() != (size + 7) // 8:
        raise ValueError(f"{packed.numel()} packed bytes for shape {shape}")
    return torch.from_numpy(np.unpackbits(packed.numpy(), count=size, bitorder="little").astype(bool)).view(shape)
