"""Receipts of verifications, and the plugin's source beside an entry: data that are checked, and never run."""

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from another_machine import replayed
from tutorial_run import TUTORIAL

import suite.leaderboard.verify as module
from suite.experiment.errors import UsageError
from suite.leaderboard.board import Board, read
from suite.leaderboard.receipts import give_receipt, receipts
from suite.leaderboard.site import render
from suite.leaderboard.submit import submit
from suite.leaderboard.validate import validate
from suite.leaderboard.verify import verify


@pytest.fixture
def entry(finished: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an honest entry, whose cells this machine makes as they were."""
    monkeypatch.setattr(module, "run_cells", replayed(finished))
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL])
    return path


def receipt(entry: Path, board: Board, who: str = "Ada") -> Path:
    """A receipt of two cells."""
    return give_receipt(verify(entry, board, plugins=[TUTORIAL], cells=["winning:1:0", "random:2:1"]), board, who)


def problems(entry: Path) -> list[tuple[str, str]]:
    return [(finding.check, finding.line) for finding in validate(entry, plugins=[TUTORIAL]).problems]


def test_a_receipt_says_who_trained_which_cells_where_and_what_came_of_it(entry: Path, board: Board) -> None:
    path = receipt(entry, board)
    table = json.loads(path.read_text())
    assert path.parent == board.root / "receipts" / "tutorial" / entry.stem
    assert (table["who"], table["outcome"], table["bits_owed"]) == ("Ada", "the claims hold", "same machine type")
    assert [(cell["cell"], cell["holds"]) for cell in table["cells"]] == [("winning:1:0", True), ("random:2:1", True)]
    assert {"python", "torch", "numpy"} <= table["versions"].keys()
    assert problems(entry) == []


def test_the_entrys_page_says_who_verified_it(entry: Path, board: Board) -> None:
    page = f"entries/tutorial/{entry.stem}.html"
    assert "Nobody has left a receipt" in render(board).files[page]
    path = receipt(entry, board)
    date = json.loads(path.read_text())["date"][:10]
    assert f"Verified by Ada, 2 cells, {date}" in render(board).files[page]


def test_a_claim_that_does_not_hold_leaves_a_receipt_too(
    entry: Path, board: Board, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_cells", replayed(finished, chaos=0.001))  # other bits on the entry's own machine
    receipt(entry, board)
    (one,) = receipts(read(entry), board)
    assert one.line.startswith("found not to hold by Ada, 2 cells, ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"Ada"', '"Eve"'), "does not have the digest that it states: it was altered"),
        (lambda text: text.replace('"kind": "receipt"', '"kind": "invoice"'), "is no receipt: kind"),
        (lambda text: text.replace('"who"', '"whom"'), "is no receipt: who: Field required"),
        (lambda text: text[:-20], "is no receipt: "),
        (lambda text: "[1]", "is no receipt: "),
    ],
)
def test_a_receipt_that_was_altered_is_named_and_not_shown(
    entry: Path, board: Board, change: object, message: str
) -> None:
    path = receipt(entry, board)
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    ((check, line),) = problems(entry)
    assert check == "receipts"
    assert message in line
    assert receipts(read(entry), board) == []


def test_a_receipt_is_void_once_its_entry_is_changed(entry: Path, board: Board) -> None:
    receipt(entry, board)
    entry.write_text(entry.read_text().replace('"author": "me"', '"author": "you"'))
    assert receipts(read(entry), board) == []
    assert "of this one before it was changed" in problems(entry)[0][1]


@pytest.mark.parametrize("who", ["", "two\nlines", "\u202eadA", "x" * 300])
def test_a_name_that_cannot_be_printed_gets_no_receipt(entry: Path, board: Board, who: str) -> None:
    with pytest.raises(UsageError, match="--receipt"):
        receipt(entry, board, who)
    assert not (board.root / "receipts").exists()


def test_an_entry_that_was_not_trained_gets_no_receipt(entry: Path, board: Board) -> None:
    entry.write_text(entry.read_text().replace('"0.1.0"', '"0.0.1"'))
    found = verify(entry, board, plugins=[TUTORIAL])
    with pytest.raises(UsageError, match="was not trained again: there is nothing to give a receipt for"):
        give_receipt(found, board, "Ada")


def test_the_plugins_source_is_kept_and_never_loaded_unless_it_is_named(
    entry: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = board.root / "plugins" / "tutorial" / f"{entry.stem}.py"
    assert kept.read_bytes() == TUTORIAL.read_bytes()
    for name in [name for name in sys.modules if name.startswith("lottery_plugin_")]:
        monkeypatch.delitem(sys.modules, name)
    report = validate(entry)
    assert any("unknown task 'tutorial/breast-cancer'" in finding.line for finding in report.problems)
    assert any(f"is {kept}: read it before you name it with --plugin" in finding.line for finding in report.remarks)
    assert not [name for name in sys.modules if name.startswith("lottery_plugin_")]
    assert verify(entry, board, plugins=[kept], cells=["winning:1:0"]).holds


def test_a_plugin_that_is_not_the_entrys_is_refused(entry: Path, board: Board) -> None:
    kept = board.root / "plugins" / "tutorial" / f"{entry.stem}.py"
    kept.write_text(kept.read_text() + "import os")
    digest = sha256(TUTORIAL.read_bytes()).hexdigest()
    assert ("plugin", f"{kept} is not the code that the entry was made with ({digest})") in problems(entry)
    kept.unlink()
    assert problems(entry) == []
    remarks = [finding.line for finding in validate(entry, plugins=[TUTORIAL]).remarks]
    assert f"the source of its plugin is not at {kept}: nobody else can make its masks again" in remarks


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#" * (64 * 1024 + 1), "has more than 65536 bytes"),
        (b"\xff\xfe", "is no UTF-8 text"),
        ("# \u202eetirw".encode(), "is no plain text: line 1 holds U+202E, which turns the direction of text"),
    ],
)
def test_a_plugin_that_nobody_can_read_is_refused(entry: Path, board: Board, content: bytes, message: str) -> None:
    (board.root / "plugins" / "tutorial" / f"{entry.stem}.py").write_bytes(content)
    assert [line for check, line in problems(entry) if check == "plugin" and message in line]
