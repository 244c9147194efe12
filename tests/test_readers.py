"""Every file that somebody hands over may be anything: each reader says what is wrong with it in one line."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import digest
from suite.experiment.plugins import load_plugin
from suite.experiment.store import Store
from suite.leaderboard.board import read
from suite.tickets.mask import TicketError
from suite.tickets.ticket import load

DEEP = "[" * 100_000
NUMBER = "9" * 5_000

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "object": b"{}",
    "nested too deeply": DEEP.encode(),
    "nested objects": ('{"a":' * 100_000).encode(),
    "nested deeply but whole": ("[" * 3_000 + "]" * 3_000).encode(),
    "a number of many digits": NUMBER.encode(),
    "NaN": b'{"schema": NaN, "requests": NaN, "cell": NaN, "sha256": NaN, "schema_version": NaN}',
    "infinite": b'{"schema": 1e999, "requests": 1e999, "cell": 1e999, "sha256": 1e999, "schema_version": 1e999}',
    "UTF-16": '{"schema": 1}'.encode("utf-16"),
    "Latin-1": '{"schema": "ü"}'.encode("latin-1"),
    "null bytes": b"\x00" * 64,
    "a safetensors header beyond the end": (2**62).to_bytes(8, "little") + b"{}",
    "a safetensors header of no text": (4).to_bytes(8, "little") + b"\xff\xff\xff\xff",
    "a key twice": b'{"schema": 2, "schema": 2, "requests": [], "requests": {}}',
    "other kinds": b'{"schema": [], "requests": {"a": 1}, "cell": [1], "sha256": {}, "schema_version": {"a": []}}',
}


def run_json(path: Path) -> None:
    """A run's own."""
    path.rename(path.with_name("run.json"))
    Store(path.parent).requests()


def cell(path: Path) -> None:
    """A finished cell."""
    folder = path.parent / "cells"
    folder.mkdir()
    path.rename(folder / "k.json")
    Store(path.parent).cell("k")


def mask(path: Path) -> None:
    """A ticket in a store."""
    folder = path.parent / "masks"
    folder.mkdir()
    path.rename(folder / "k.safetensors")
    Store(path.parent).mask("k")


def source(path: Path) -> None:
    """A run named by --from."""
    path.rename(path.with_name("run.json"))
    Store.open(path.parent).requests()


def plugin(path: Path) -> None:
    """A plugin in Python."""
    load_plugin(path.rename(path.with_name("mine.py")))
    raise UsageError("what Python takes for a program without tasks is one")


def task(path: Path) -> None:
    """A task in TOML."""
    load_plugin(path.rename(path.with_name("mine.toml")))


READERS: dict[str, Callable[[Path], object]] = {
    "run.json": run_json, "cell": cell, "mask": mask, "--from": source, "entry": read, "ticket": load,
    "plugin": plugin, "task": task,
}  # fmt: skip


def refused(reader: str, path: Path) -> str:
    """The words with which a reader refuses a file."""
    with pytest.raises((UsageError, RunError, TicketError)) as caught:
        READERS[reader](path)
    words = str(caught.value)
    assert len(words) < 1_000
    return words


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("reader", READERS)
def test_whatever_a_file_holds_is_refused_in_a_line(reader: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENTS[content])
    refused(reader, path)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_without_waiting_for_it(reader: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    refused(reader, path)


def test_a_cell_with_a_score_that_is_no_number_is_corrupted(tmp_path: Path) -> None:
    """Also where its digest was made to fit: JSON has no NaN, though Python's reader takes it."""
    (tmp_path / "cells").mkdir()
    for score in ("NaN", "1e999", "-Infinity"):
        cell = {"key": "k", "test": {"accuracy": 0.5}}
        text = json.dumps({"sha256": digest(cell), "cell": cell}).replace("0.5", score)
        (tmp_path / "cells" / "k.json").write_text(text)
        with pytest.raises(RunError, match=r"k\.json is corrupted"):
            Store(tmp_path).cell("k")
