"""Ladder file: the masks of one replicate, level by level, in one compressed file.

A ladder's masks are nested, so one byte a weight holds them all: the level that removed it, 0 for survivors (coding
`levels`). Masks that do not nest, as one-shot methods may make, stay bit-packed and are compressed together (coding
`bits`). The file is a magic line, the header's length (4 bytes, little-endian), the header, and one xz stream.

The header is canonical JSON (RFC 8785): task hash, pruning hash, replicate, names and shapes of the tensors in order,
coding; of each ticket its level, digest, parent and rewind step; and `sha256` over the header without it and the
content before compression. Every ticket is made again exactly, and checked by its own digest. Reading runs no code,
and never holds more than the header's shapes say, which are limited.

Measured on the 165 ladders of the committed boards (22.9 MB of bit masks): xz 6.72 MB, zlib 7.36 MB, at equal time.
"""

import hashlib
import json
import lzma
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rfc8785
import torch
from numpy.typing import NDArray

from suite.files import NotRegular, read_regular
from suite.tickets.mask import Mask, TicketError
from suite.tickets.ticket import Ticket

MAGIC = b"lottery-ladder/1\n"
MOST_HEADER_BYTES = 2**22
MOST_CONTENT_BYTES = 2**31
"""No content is larger: two billion weights under nested masks."""

MOST_LEVEL = 255
"""The largest number in a byte."""

_DECODER_MEMORY = 2**27  # xz at its largest preset asks for 65 MiB

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Rung:
    """What is known of a ticket besides its mask and what it shares with the others of its ladder."""

    level: int
    digest: str
    parent: str
    rewind_step: int


class Ladder(Mapping[int, Ticket]):
    """The tickets of one replicate by level; each is decoded when it is asked for.

    `ladder[level]` raises KeyError for a level that is not there, and TicketError when the mask decoded is not the one
    whose digest is stated.
    """

    def __init__(
        self, task_hash: str, method_hash: str, replicate: int, shapes: Mapping[str, tuple[int, ...]],
        rungs: Iterable[Rung], coding: Literal["levels", "bits"], content: Bytes,
    ) -> None:  # fmt: skip
        self.task_hash, self.method_hash, self.replicate = task_hash, method_hash, replicate
        self.shapes = dict(shapes)
        self.rungs = {rung.level: rung for rung in rungs}
        self.coding = coding
        self._content = content

    @classmethod
    def of(cls, tickets: Iterable[Ticket]) -> "Ladder":
        """The ladder of a replicate's tickets.

        Raises TicketError for none, for tickets that carry weights or are of different tasks, methods, replicates or
        models, and for a level that stands twice or lies outside 1 to 255.
        """
        tickets = sorted(tickets, key=lambda ticket: ticket.level)
        if not tickets:
            raise TicketError("a ladder needs at least one ticket")
        first = tickets[0]
        shapes = _shapes(first.mask)
        for ticket in tickets:
            if ticket.weights:
                raise TicketError(f"the ticket of level {ticket.level} carries weights: a ladder holds masks alone")
            same = ("task_hash", "method_hash", "replicate")
            found = _shapes(ticket.mask)
            if any(getattr(ticket, f) != getattr(first, f) for f in same) or [*found.items()] != [*shapes.items()]:
                raise TicketError(f"the tickets of levels {first.level} and {ticket.level} are of different ladders")
        levels = [ticket.level for ticket in tickets]
        if len(set(levels)) < len(levels) or levels[0] < 1 or levels[-1] > MOST_LEVEL:
            raise TicketError(f"levels {levels}: each once, from 1 to {MOST_LEVEL}, is needed")
        masks = [_flat(ticket.mask) for ticket in tickets]
        nested = all(not bool((later & ~earlier).any()) for earlier, later in pairwise(masks))
        content = _removed_at(masks, levels) if nested else np.concatenate([_packed(mask) for mask in masks])
        rungs = (Rung(ticket.level, ticket.digest, ticket.parent, ticket.rewind_step) for ticket in tickets)
        return cls(
            first.task_hash, first.method_hash, first.replicate, shapes, rungs, "levels" if nested else "bits", content
        )

    def __getitem__(self, level: int) -> Ticket:
        rung = self.rungs[level]
        ticket = Ticket(
            self._mask(level),
            task_hash=self.task_hash,
            method_hash=self.method_hash,
            level=level,
            replicate=self.replicate,
            rewind_step=rung.rewind_step,
            parent=rung.parent,
        )
        if ticket.digest != rung.digest:
            raise TicketError(
                f"the mask of level {level} replicate {self.replicate} is not the one of the digest stated"
            )
        return ticket

    def __iter__(self) -> Iterator[int]:
        return iter(self.rungs)

    def __len__(self) -> int:
        return len(self.rungs)

    @property
    def size(self) -> int:
        """Number of prunable weights."""
        return _size(self.shapes)

    def to_bytes(self) -> bytes:
        """The file's content."""
        header = self._header()
        header["sha256"] = _digest(header, self._content)
        text = rfc8785.dumps(header)
        return b"".join(
            (MAGIC, len(text).to_bytes(4, "little"), text, lzma.compress(self._content.data, lzma.FORMAT_XZ, preset=6))
        )

    def _header(self) -> dict[str, Any]:
        return {
            "task_hash": self.task_hash,
            "method_hash": self.method_hash,
            "replicate": self.replicate,
            "tensors": [[name, list(shape)] for name, shape in self.shapes.items()],
            "coding": self.coding,
            "tickets": [vars(rung) for rung in self.rungs.values()],
        }

    def _mask(self, level: int) -> Mask:
        size = _size(self.shapes)
        if self.coding == "levels":
            flat = (self._content == 0) | (self._content > level)
        else:
            stride = (size + 7) // 8
            start = list(self.rungs).index(level) * stride
            packed = self._content[start : start + stride]
            flat = np.unpackbits(packed, count=size, bitorder="little").astype(bool)
        tensors = {}
        at = 0
        for name, shape in self.shapes.items():
            count = _size({name: shape})
            tensors[name] = torch.from_numpy(flat[at : at + count].reshape(shape))
            at += count
        return Mask(tensors)


def load_ladder(path: Path) -> Ladder:
    """Read and check a ladder file; raises TicketError for one that is corrupted, truncated, too large or no ladder."""
    try:
        return parse_ladder(read_regular(path, MOST_HEADER_BYTES + MOST_CONTENT_BYTES))
    except FileNotFoundError as error:
        raise TicketError(f"no ladder file {path}") from error
    except NotRegular as error:
        raise TicketError(str(error)) from error
    except TicketError as error:
        raise TicketError(f"{path} {error}") from error


def parse_ladder(data: bytes) -> Ladder:
    """A ladder from a file's content; raises TicketError as `load_ladder` does, without the file's name."""
    at = len(MAGIC) + 4
    if data[: len(MAGIC)] != MAGIC or len(data) < at:
        raise TicketError(f"is no ladder: it does not begin with {MAGIC.decode().strip()!r}")
    length = int.from_bytes(data[len(MAGIC) : at], "little")
    if length > MOST_HEADER_BYTES:
        raise TicketError(f"is no ladder: its header has {length} bytes, {MOST_HEADER_BYTES} are the most")
    text = data[at : at + length]
    try:
        header = json.loads(text)
        if rfc8785.dumps(header) != text:
            raise ValueError("not in canonical form")
        claimed = header.pop("sha256")
        shapes = {_name(name): tuple(map(_count, shape)) for name, shape in header["tensors"]}
        rungs = [
            Rung(_count(r["level"]), _name(r["digest"]), _name(r["parent"]), _count(r["rewind_step"]))
            for r in header["tickets"]
        ]
        task_hash, method_hash = _name(header["task_hash"]), _name(header["method_hash"])
        replicate, coding = _count(header["replicate"]), header["coding"]
        levels = [rung.level for rung in rungs]
        if not levels or levels != sorted(set(levels)) or levels[0] < 1 or levels[-1] > MOST_LEVEL:
            raise ValueError(f"levels {levels[:5]}")
        if len(shapes) != len(header["tensors"]) or not shapes or coding not in ("levels", "bits"):
            raise ValueError("names or coding")
        size = _size(shapes)
        wanted = size if coding == "levels" else (size + 7) // 8 * len(levels)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise TicketError(f"is no ladder of this suite: {type(error).__name__} in its header ({error})") from error
    if wanted > MOST_CONTENT_BYTES:
        raise TicketError(f"is no ladder: it states {wanted} bytes of masks, {MOST_CONTENT_BYTES} are the most")
    content = np.frombuffer(_decompressed(data[at + length :], wanted), np.uint8)
    if _digest(header, content) != claimed:
        raise TicketError("is corrupted: its content does not have the digest that its header states")
    ladder = Ladder(task_hash, method_hash, replicate, shapes, rungs, coding, content)
    if ladder._header() != header:
        raise TicketError("is no ladder of this suite: its header has fields that are not known")
    return ladder


def _decompressed(packed: bytes, size: int) -> bytes:
    """The content of an xz stream, of exactly `size` bytes and nothing behind it."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DECODER_MEMORY)
    try:
        content = decoder.decompress(packed, max_length=size)
        if len(content) == size and not decoder.eof:
            content += decoder.decompress(b"", max_length=1)  # reads the end of the stream, where nothing may be left
    except (lzma.LZMAError, EOFError) as error:
        raise TicketError(f"is corrupted: its masks are no whole xz stream ({error})") from error
    if len(content) != size or not decoder.eof or decoder.unused_data:
        raise TicketError(f"is corrupted: its masks do not have the {size} bytes that its header states")
    return content


def _removed_at(masks: list[NDArray[np.bool_]], levels: list[int]) -> Bytes:
    removed = np.zeros(masks[0].size, np.uint8)
    for mask, level in zip(reversed(masks), reversed(levels), strict=True):
        removed[~mask] = level  # ends with the first level that each weight was missing from
    return removed


def _digest(header: Mapping[str, Any], content: Bytes) -> str:
    hasher = hashlib.sha256(MAGIC + rfc8785.dumps(dict(header)))
    hasher.update(content.data)
    return hasher.hexdigest()


def _flat(mask: Mask) -> NDArray[np.bool_]:
    return np.concatenate([tensor.flatten().numpy() for tensor in mask.values()])


def _packed(mask: NDArray[np.bool_]) -> Bytes:
    return np.packbits(mask, bitorder="little")


def _shapes(mask: Mask) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in mask.items()}


def _size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    total = 0
    for shape in shapes.values():
        count = 1
        for length in shape:
            count *= length
        total += count
    return total


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value
