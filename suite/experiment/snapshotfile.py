"""Snapshots as files: safetensors with meta data, written and read tensor by tensor, so that no second copy is held.

The header states a SHA-256 over the meta data and over every tensor's name, dtype, shape and bytes. It is written last,
into the room that was left for it, since it is known only when all has been written.
"""

import hashlib
import json
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from suite.experiment.learner import Snapshot

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64", torch.complex64: "C64",
}  # fmt: skip
_UNKNOWN = "0" * 64


class Damaged(Exception):
    """A file that is no whole snapshot, or not what it states to be: why, in one line."""


def write_snapshot(file: BinaryIO, snapshot: Snapshot) -> None:
    """Write a snapshot into an empty file; raises TypeError for a dtype that safetensors does not know."""
    meta = json.dumps(snapshot.meta)
    table: dict[str, object] = {"__metadata__": {"sha256": _UNKNOWN, "meta": meta}}
    names = sorted(snapshot.tensors)
    at = 0
    for name in names:
        tensor = snapshot.tensors[name]
        if tensor.dtype not in _DTYPES:
            raise TypeError(f"tensor {name!r} has dtype {tensor.dtype}, which no file of safetensors holds")
        end = at + tensor.numel() * tensor.element_size()
        table[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    header = json.dumps(table).encode()
    header += b" " * (-len(header) % 8)
    file.write(len(header).to_bytes(8, "little"))
    file.write(header)
    hasher = hashlib.sha256(meta.encode())
    for name in names:
        content = _bytes(snapshot.tensors[name])
        _hash(hasher, name, snapshot.tensors[name], content)
        file.write(content)
    file.seek(8 + header.index(_UNKNOWN.encode()))
    file.write(hasher.hexdigest().encode())


def read_snapshot(path: Path) -> Snapshot:
    """Read a snapshot; raises FileNotFoundError, and Damaged for anything but what was written."""
    tensors: dict[str, Tensor] = {}
    try:
        if not path.is_file():
            raise FileNotFoundError(path)
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            hasher = hashlib.sha256(header["meta"].encode())
            for name in sorted(file.keys()):
                tensors[name] = file.get_tensor(name)
                _hash(hasher, name, tensors[name], _bytes(tensors[name]))
        if header["sha256"] != hasher.hexdigest():
            raise Damaged("its content does not have the digest it states")
        return Snapshot(tensors, json.loads(header["meta"]))
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise Damaged(f"not a whole snapshot ({' '.join(str(error).split()) or type(error).__name__})") from error


def _hash(hasher: "hashlib._Hash", name: str, tensor: Tensor, content: memoryview) -> None:
    hasher.update(json.dumps([name, _DTYPES.get(tensor.dtype), list(tensor.shape)]).encode())
    hasher.update(content)


def _bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, without a copy where it lies whole in the processor's memory."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
