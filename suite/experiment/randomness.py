"""The random numbers of a process: torch's, numpy's and Python's, seeded together and given back as they were."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch

RandomState = tuple[tuple[bytes, ...], tuple[Any, ...], tuple[Any, ...]]
"""State of torch's generators (processor, device), of Python's and of numpy's."""


@contextmanager
def own_random(device: torch.device, value: int | None = None) -> Iterator[None]:
    """Context whose random numbers are its own: seeded if a value is given, and the caller's afterwards as before."""
    before = state(device)
    try:
        if value is not None:
            seed(value, device)
        yield
    finally:
        restore(before, device)


def seed(value: int, device: torch.device) -> None:
    """Seed all generators that are not passed about as objects, those of the device among them.

    The numbers are those after `torch.manual_seed(value)`, which is a hundred times slower: it visits every kind of
    device, and records where it was called from.
    """
    torch.default_generator.manual_seed(value)
    for generator in _on_device(device):
        generator.manual_seed(value)
    random.seed(value)
    np.random.seed(value % 2**32)


def state(device: torch.device) -> RandomState:
    """State of the generators; two of them are equal when no number was drawn in between."""
    kind, keys, *rest = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return (
        tuple(bytes(g.get_state().numpy()) for g in (torch.default_generator, *_on_device(device))),
        random.getstate(),
        (kind, keys.tobytes(), *rest),
    )


def restore(before: RandomState, device: torch.device) -> None:
    """Put a state of the same device's generators back."""
    ours, python, (kind, keys, *rest) = before
    for generator, was in zip((torch.default_generator, *_on_device(device)), ours, strict=True):
        generator.set_state(torch.frombuffer(bytearray(was), dtype=torch.uint8))
    random.setstate(python)
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))


def to_bytes(random_state: RandomState) -> torch.Tensor:
    """A state as bytes (uint8) that a snapshot can hold."""
    (ours, (version, numbers, normal), (kind, keys, *rest)) = random_state
    text = json.dumps([[s.hex() for s in ours], [version, numbers, normal], [kind, keys.hex(), *rest]])
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def from_bytes(held: torch.Tensor) -> RandomState:
    """The inverse of `to_bytes`."""
    ours, (version, numbers, normal), (kind, keys, *rest) = json.loads(held.numpy().tobytes())
    python = (version, tuple(numbers), normal)
    return tuple(map(bytes.fromhex, ours)), python, (kind, bytes.fromhex(keys), *rest)


def _on_device(device: torch.device) -> list[torch.Generator]:
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # its generators are made then
        return [torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]]
    return [torch.mps._get_default_mps_generator()] if device.type == "mps" else []
