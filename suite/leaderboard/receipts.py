"""Receipts: what a verification came to, kept beside the entry, so that its page can say who trained it again.

<board>/receipts/<domain>/<entry id>/<date>-<digest>.json. A receipt's digest shows that it is whole, not who wrote it.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from suite.experiment.errors import UsageError
from suite.experiment.frozen import Frozen, digest
from suite.experiment.result import Date, Facts
from suite.files import NotRegular, read_regular
from suite.leaderboard.board import AnyEntry, Board, read, text_of
from suite.leaderboard.fields import Digest, Line, Score, Text
from suite.leaderboard.schema import Measured
from suite.leaderboard.texts import unsafe
from suite.leaderboard.verdict import Outcome, Verification
from suite.leaderboard.verdict_text import smallest_shift

MOST_BYTES = 4 * 2**20
"""No receipt is larger: some ten thousand cells."""


class ReceiptCell(Frozen):
    """A cell that was trained again: claimed and found score (None: diverged), and whether score and masks hold."""

    cell: Line
    claimed: Score | None
    found: Score | None
    same_weights: bool
    holds: bool


class Receipt(Frozen):
    """Who trained which cells of an entry again, where, when, and with what outcome.

    `entry_sha256` is that of the entry's file: an entry that was changed since has no receipt. `bits_owed` says why
    anything but the same bits was a failure; `smallest_shift` is what would have been caught where it was not, and
    `chance` that with which one changed cell was drawn (None: cells were named). `sha256` is over all the rest.
    """

    schema_version: Literal[1]
    kind: Literal["receipt"]
    entry: Line
    entry_sha256: Digest
    who: Line
    date: Date
    suite_version: Line
    versions: Facts
    hardware: dict[Line, Line | int]
    device: Line
    bits_owed: Text
    outcome: Outcome
    unmade: Text
    seed: Annotated[int, Field(ge=0)]
    chance: Annotated[float, Field(ge=0, le=1)] | None
    smallest_shift: dict[Line, Score]
    cells: Annotated[tuple[ReceiptCell, ...], Field(min_length=1, max_length=20_000)]
    sha256: Digest

    @property
    def file(self) -> str:
        """The file's name, derived, so that no receipt can name another path."""
        return f"{self.date[:19].replace(':', '')}-{self.sha256[:12]}.json"

    @property
    def line(self) -> str:
        """For people: who, how many cells, when."""
        held = {"the claims hold": "verified by", "scores hold, mask not made again": "scores verified by"}
        said = held.get(self.outcome, "found not to hold by")
        return f"{said} {self.who}, {len(self.cells)} cells, {self.date[:10]}"


def give_receipt(found: Verification, board: Board, who: str) -> Path:
    """Keep what a verification came to in the board; returns the receipt's file.

    Raises UsageError for a name that cannot be printed or an entry that was not trained again, and as `Board.put` does.
    """
    entry, here = read(found.path), found.here
    if not found.cells or here is None:
        raise UsageError(f"{found.entry} was not trained again: there is nothing to give a receipt for")
    fields: dict[str, Any] = {
        "schema_version": 1,
        "kind": "receipt",
        "entry": found.entry,
        "entry_sha256": _digest_of(entry),
        "who": who,
        "date": here.date,
        "suite_version": here.suite_version,
        "versions": here.versions,
        "hardware": here.hardware,
        "device": here.device,
        "bits_owed": found.owed,
        "outcome": found.outcome,
        "unmade": found.unmade,
        "seed": found.seed,
        "chance": found.chance,
        "smallest_shift": smallest_shift(found),
        "cells": [
            {
                "cell": cell.name, "claimed": cell.claimed, "found": cell.found, "same_weights": cell.same_weights,
                "holds": found.as_claimed(cell),
            }
            for cell in found.cells
        ],
    }  # fmt: skip
    if problem := next(unsafe({"who": who}), ""):
        raise UsageError(f"--receipt {who!a}: {problem}")
    try:
        receipt = Receipt(**fields, sha256=digest(fields))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--receipt {who!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    path = _folder(board, receipt.entry) / receipt.file
    text = json.dumps(receipt.model_dump(mode="json"), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    board.put(path, text.encode())
    return path


def receipts(entry: AnyEntry, board: Board) -> list[Receipt]:
    """The whole receipts of an entry as its file now is, oldest first."""
    found = (_read(path) for path in _files(entry, board))
    return [one for one in found if isinstance(one, Receipt) and _is_of(one, entry)]


def receipt_problems(entry: Measured, board: Board) -> Iterator[str]:
    """What is wrong with the files among an entry's receipts."""
    for path in _files(entry, board):
        one = _read(path)
        if isinstance(one, str):
            yield one
        elif not _is_of(one, entry):
            yield f"{path} is a receipt of another entry, or of this one before it was changed: remove it"
        elif path.name != one.file:
            yield f"{path} is receipt {one.file}: name it so"


def _is_of(receipt: Receipt, entry: AnyEntry) -> bool:
    return (receipt.entry, receipt.entry_sha256) == (f"{entry.domain}/{entry.id}", _digest_of(entry))


def _digest_of(entry: AnyEntry) -> str:
    return sha256(text_of(entry).encode()).hexdigest()


def _folder(board: Board, name: str) -> Path:
    return board.root / "receipts" / name


def _files(entry: AnyEntry, board: Board) -> list[Path]:
    folder = _folder(board, f"{entry.domain}/{entry.id}")
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _read(path: Path) -> Receipt | str:
    """A receipt, or what is wrong with its file in one line."""
    try:
        table = json.loads(read_regular(path, MOST_BYTES))
        if bad := next(unsafe(table), ""):
            return f"{path}: {bad}"
        receipt = Receipt.model_validate_json(json.dumps(table), strict=True)
        if digest({name: value for name, value in table.items() if name != "sha256"}) != receipt.sha256:
            return f"{path} does not have the digest that it states: it was altered"
    except NotRegular as error:
        return str(error)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{path} is no receipt: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, AttributeError, RecursionError) as error:
        return f"{path} is no receipt: {str(error) or type(error).__name__}"
    return receipt
