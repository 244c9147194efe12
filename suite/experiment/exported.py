"""A run in few files, to keep or to send: its requests, all results in one xz file, and its masks as ladders.

    run.json                as in the run's folder, but for the folders of its machine
    cells.jsonl.xz          one result a line, each with its SHA-256
    connections.jsonl       one connection a line, each with its SHA-256; there if any was measured
    masks/000000.ladder …   see suite.tickets.ladder
    contents.json           bytes and SHA-256 of the results, and the key of every mask: by ladder, level by level

These lie in a folder, or in one zip file. It may be a stranger's: what is read is limited by what `contents.json`
states and that by fixed limits, every mask must be of the ladder that it is in, and no code is run.
"""

import hashlib
import json
import lzma
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Annotated, BinaryIO

from pydantic import Field, ValidationError

from suite.experiment import resultfile
from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import Frozen, digest
from suite.experiment.request import portable
from suite.experiment.result import CellResult, ConnectionResult
from suite.experiment.store import Store
from suite.files import NotRegular, read_regular, temporary_name, write_file
from suite.tickets.ladder import Ladder, parse_ladder
from suite.tickets.mask import TicketError
from suite.tickets.ticket import Ticket

SCHEMA = 1
CONTENTS, REQUESTS, CELLS, CONNECTIONS = "contents.json", "run.json", "cells.jsonl.xz", "connections.jsonl"
MOST_CONTENTS = 2**28
MOST_CELLS = 2**36
"""No export has more bytes of results: a hundred thousand of half a megabyte."""

MOST_FILE = 2**31
_BLOCK = 2**20
_DECODER_MEMORY = 2**27

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LadderName = Annotated[str, Field(pattern=r"^masks/\d{6}\.ladder$")]


class LadderKeys(Frozen):
    """The key of each mask in a ladder, by level."""

    file: LadderName
    keys: dict[int, Key]


class Contents(Frozen):
    """`contents.json`: bytes and SHA-256 of the results before compression, the ladders, and numbers of results."""

    cells: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0, le=MOST_CELLS)]
    sha256: Key
    ladders: tuple[LadderKeys, ...]
    connections: Annotated[int, Field(ge=0)] = 0


def export(store: Store, target: Path) -> tuple[int, int]:
    """Write a run to a folder, or to one file if the target ends in `.zip`; returns numbers of results and masks.

    Results and masks of every task and version are kept. Raises UsageError when the target exists or cannot be written,
    RunError for a damaged request, result or mask.
    """
    if target.exists():
        raise UsageError(f"{target} exists: name another file or folder")
    target = target.absolute()
    staged = temporary_name(target)
    try:
        (staged / "masks").mkdir(parents=True)
        requests = portable((store.root / REQUESTS).read_bytes(), store.root / REQUESTS)
        write_file(staged / REQUESTS, lambda file: file.write(requests))
        contents = _write_contents(store, staged)
        if target.suffix == ".zip":
            write_file(target, lambda file: _zip(staged, file))
        else:
            staged.rename(target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return contents.cells, sum(len(ladder.keys) for ladder in contents.ladders)


def _write_contents(store: Store, folder: Path) -> Contents:
    hasher, size = hashlib.sha256(), 0
    keys = store.cell_keys()
    with lzma.open(folder / CELLS, "wb", preset=6) as file:
        for key in sorted(keys, key=lambda key: _order(store, key)):
            line = resultfile.to_bytes(_there(store, key)) + b"\n"
            hasher.update(line)
            size += len(line)
            file.write(line)
    ladders = []
    for number, group in enumerate(_ladders(store)):
        name = f"masks/{number:06}.ladder"
        (folder / name).write_bytes(Ladder.of(ticket for _, ticket in group).to_bytes())
        ladders.append(LadderKeys(file=name, keys={ticket.level: key for key, ticket in group}))
    connections = store.connection_keys()
    if connections:
        (folder / CONNECTIONS).write_bytes(b"".join(map(partial(_connection_line, store), connections)))
    contents = Contents(
        cells=len(keys), bytes=size, sha256=hasher.hexdigest(), ladders=tuple(ladders), connections=len(connections)
    )  # fmt: skip
    table = contents.model_dump(mode="json")
    text = json.dumps({"schema": SCHEMA, "sha256": digest(table), "contents": table}, indent=1)
    (folder / CONTENTS).write_text(text)
    return contents


def _connection_line(store: Store, key: str) -> bytes:
    result = store.connection(key)
    assert result is not None
    return resultfile.to_bytes(result) + b"\n"


def _order(store: Store, key: str) -> tuple[object, ...]:
    """Results of one task, arm and level lie side by side, which packs them best."""
    result = _there(store, key)
    return result.task_hash, result.method_hash, result.arm, result.level, result.replicate, key


def _there(store: Store, key: str) -> CellResult:
    result = store.cell(key)
    assert result is not None
    return result


def _ladders(store: Store) -> Iterator[list[tuple[str, Ticket]]]:
    """All masks with their keys, each with those of its chain: the mask that it was pruned from, and so on."""
    facts = []
    for key in store.mask_keys():
        ticket = store.mask(key)
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in ticket.mask.items())
        same = (ticket.task_hash, ticket.method_hash, ticket.replicate, shapes)
        facts.append((same, ticket.level, ticket.digest, ticket.parent, key))
    groups: list[tuple[object, str, list[tuple[int, str]]]] = []
    tails: dict[tuple[object, str], int] = {}  # by what all tickets of a ladder share, and the digest of its last one
    for same, level, own, parent, key in sorted(facts, key=lambda fact: (fact[1], fact[4])):
        number = tails.pop((same, parent), None) if parent else _first_without(groups, same, level)
        if number is None:
            number = len(groups)
            groups.append((same, parent, []))
        groups[number][2].append((level, key))
        tails[same, own] = number
    for _, _, members in groups:
        yield [(key, store.mask(key)) for _, key in members]


def _first_without(groups: list[tuple[object, str, list[tuple[int, str]]]], same: object, level: int) -> int | None:
    """The masks of a one-shot method have no parents, and each level its own: they form one ladder."""
    for number, (shared, parent, members) in enumerate(groups):
        if shared == same and not parent and level not in (other for other, _ in members) and len(members) == level - 1:
            return number
    return None


def _zip(folder: Path, file: BinaryIO) -> None:
    with zipfile.ZipFile(file, "w") as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            facts = zipfile.ZipInfo(str(path.relative_to(folder)))  # no date: equal runs are equal files
            with packed.open(facts, "w", force_zip64=True) as member, path.open("rb") as source:
                while block := source.read(_BLOCK):
                    member.write(block)


class ExportedRun:
    """An exported run, from which finished cells can be taken over."""

    def __init__(self, path: Path) -> None:
        """Raises RunError for a file or folder that is no whole export."""
        self.root = path
        table = self._json(CONTENTS)
        try:
            if table["schema"] != SCHEMA:
                raise ValueError(f"schema {table['schema']!r}, this suite reads {SCHEMA}")
            if table["sha256"] != digest(table["contents"]):
                raise ValueError("its content does not have the digest it states")
            self._contents = Contents.model_validate(table["contents"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise self._damaged(CONTENTS, error) from error
        self._where = {key: (each.file, level) for each in self._contents.ladders for level, key in each.keys.items()}
        self._lines: dict[str, tuple[int, int]] | None = None
        self._unpacked: IO[bytes] | None = None
        self._last: tuple[str, Ladder] | None = None
        self._connections: dict[str, ConnectionResult] | None = None

    @staticmethod
    def is_one(path: Path) -> bool:
        """Whether a path looks like an export: a zip file, or a folder with its table of contents."""
        return (path / CONTENTS).is_file() or (path.is_file() and zipfile.is_zipfile(path))

    def cell(self, key: str) -> CellResult | None:
        """A finished cell; raises RunError for results that are damaged."""
        if self._lines is None:
            self._lines = dict(self._unpack())
        place = self._lines.get(key)
        if place is None:
            return None
        assert self._unpacked is not None
        self._unpacked.seek(place[0])
        try:
            return resultfile.from_bytes(self._unpacked.read(place[1]), key)
        except resultfile.BadResult as error:
            raise self._damaged(CELLS, error) from error

    def connection(self, key: str) -> ConnectionResult | None:
        """A measured connection; raises RunError for ones that are damaged."""
        if self._connections is None:
            lines = self._bytes(CONNECTIONS, MOST_FILE).splitlines() if self._contents.connections else []
            try:
                found = [resultfile.read(ConnectionResult, line) for line in lines]
            except resultfile.BadResult as error:
                raise self._damaged(CONNECTIONS, error) from error
            if len(found) != self._contents.connections:
                raise self._damaged(CONNECTIONS, f"not the {self._contents.connections} that {CONTENTS} states")
            self._connections = {result.key: result for result in found}
        return self._connections.get(key)

    def has_mask(self, key: str) -> bool:
        """Whether a mask is there."""
        return key in self._where

    def mask(self, key: str) -> Ticket:
        """A ticket; raises RunError when it is missing or damaged."""
        name, level = self._where[key]
        try:
            if self._last is None or self._last[0] != name:
                self._last = (name, parse_ladder(self._bytes(name, MOST_FILE)))
            return self._last[1][level]
        except (TicketError, KeyError) as error:
            raise self._damaged(name, error) from error

    def _unpack(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Unpack all results into a file of ours, never more than was stated; yields where each of them is."""
        self._unpacked = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        hasher, size = hashlib.sha256(), 0
        for block in self._decoded():
            size += len(block)
            hasher.update(block)
            self._unpacked.write(block)
        if size != self._contents.bytes or hasher.hexdigest() != self._contents.sha256:
            raise self._damaged(CELLS, f"not the {self._contents.bytes} bytes that {CONTENTS} states")
        self._unpacked.seek(0)
        at = 0
        for line in self._unpacked:
            try:
                key = str(json.loads(line)["cell"]["key"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise self._damaged(CELLS, error) from error
            yield key, (at, len(line) - 1)
            at += len(line)

    def _decoded(self) -> Iterator[bytes]:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DECODER_MEMORY)
        left = self._contents.bytes + 1
        try:
            for packed in self._blocks(CELLS):
                block = decoder.decompress(packed, max_length=min(_BLOCK, left))
                while block:
                    left -= len(block)
                    yield block
                    if left <= 0 or decoder.eof:
                        return
                    block = decoder.decompress(b"", max_length=min(_BLOCK, left)) if not decoder.needs_input else b""
        except (lzma.LZMAError, EOFError) as error:
            raise self._damaged(CELLS, error) from error

    def _blocks(self, name: str) -> Iterator[bytes]:
        content = self._bytes(name, MOST_FILE)
        for at in range(0, len(content), _BLOCK):
            yield content[at : at + _BLOCK]

    def _json(self, name: str) -> dict[str, object]:
        try:
            table = json.loads(self._bytes(name, MOST_CONTENTS))
        except (ValueError, RecursionError) as error:
            raise self._damaged(name, error) from error
        if not isinstance(table, dict):
            raise self._damaged(name, "no table")
        return table

    def _bytes(self, name: str, most: int) -> bytes:
        try:
            if self.root.is_dir():
                return read_regular(self.root / name, most)
            with zipfile.ZipFile(self.root) as packed, packed.open(name) as member:
                content = member.read(most + 1)
        except (FileNotFoundError, KeyError) as error:
            raise self._damaged(name, "it is missing") from error
        except (NotRegular, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise self._damaged(name, error) from error
        if len(content) > most:
            raise self._damaged(name, f"more than {most} bytes")
        return content

    def _damaged(self, name: str, why: object) -> RunError:
        reason = " ".join(str(why).split())[:300]
        return RunError(f"{self.root}: {name} is damaged ({reason}): export the run again")
