"""The leaderboard's commands as a user meets them: what they print, and how they end."""

import json
import sys
from pathlib import Path

import pytest
from tutorial_run import TUTORIAL

from suite import cli
from suite.leaderboard.board import Board

PLUGIN = ("--plugin", str(TUTORIAL))


def lottery(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["lottery", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def submitted(finished: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the finished run's entry."""
    assert lottery(["submit", str(finished), "--author", "Ada", "--board", str(board.root), *PLUGIN], monkeypatch) == 0
    return board.root / "tutorial" / "breast-cancer-smoke-imp.json"


def test_a_run_is_submitted_validated_and_verified(
    submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submitted.is_file()
    assert lottery(["validate", str(submitted), *PLUGIN], monkeypatch) == 0
    capsys.readouterr()
    words = ["verify", str(submitted), *PLUGIN, "--cells", "random:1:0", "--json"]
    assert lottery(words, monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"]
    assert [cell["cell"] for cell in found["cells"]] == ["random:1:0"]


def test_a_forged_entry_ends_with_1_and_says_why(
    submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = json.loads(submitted.read_text())
    entry["cost"]["steps"] = 17
    submitted.write_text(json.dumps(entry))
    capsys.readouterr()
    assert lottery(["validate", str(submitted), *PLUGIN, "--json"], monkeypatch) == 1
    shown = capsys.readouterr()
    assert not json.loads(shown.out)["valid"]
    assert "1 check failed; the first: " in shown.err
    assert "17 steps, the plan has 2060" in shown.err


def test_a_file_that_is_no_entry_is_wrong_use(
    submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submitted.write_text(submitted.read_text()[:100])
    for command in ("validate", "verify"):
        assert lottery([command, str(submitted), *PLUGIN], monkeypatch) == 2
        assert "is no whole JSON text" in capsys.readouterr().err


def test_an_entry_of_an_unknown_plugin_says_how_to_name_it(
    submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lottery(["verify", str(submitted)], monkeypatch) == 1
    shown = capsys.readouterr()
    assert "name its file with --plugin" in shown.out
    assert "is not valid, nothing was trained" in shown.err


def test_indexes_are_written_anew_after_a_merge(submitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = submitted.parent.parent / "tutorial.json"
    whole = index.read_bytes()
    index.write_text("<<<<<<< HEAD")
    assert lottery(["board", "--board", str(index.parent), "--index"], monkeypatch) == 0
    assert index.read_bytes() == whole
    assert not (index.parent / "index.html").exists()


def test_a_run_is_compared_in_three_ways(
    finished: Path, submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board = ["--board", str(submitted.parent.parent)]
    capsys.readouterr()
    assert lottery(["compare", str(finished), *board, "--json"], monkeypatch) == 0
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert task["against"][0]["entry"].endswith("breast-cancer-smoke-imp")
    assert lottery(["compare", str(finished), *board, "--markdown"], monkeypatch) == 0
    assert "| density |" in capsys.readouterr().out
    named = ["--entry", "breast-cancer-smoke-imp", "--fail-under"]
    assert lottery(["compare", str(finished), *board, *named], monkeypatch) == 0  # it is no worse than itself
    assert "breast-cancer-smoke-imp" in capsys.readouterr().out


def test_fail_under_needs_an_entry(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lottery(["compare", str(finished), "--fail-under"], monkeypatch) == 2


def test_claims_are_listed_for_people_and_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lottery(["claims", "nlp"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "nlp/yu2019-lstm-one-shot: not measured" in shown
    assert "on nlp/kjv-lstm (quick): the opposite is seen" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert lottery(["claims", "--json"], monkeypatch) == 0
    claims = json.loads(capsys.readouterr().out)["claims"]
    assert {"nlp", "rl", "vision"} == {claim["domain"] for claim in claims}
    assert lottery(["claims", "chess"], monkeypatch) == 2
    assert "no domain 'chess' on the board; there are: nlp, rl, vision" in capsys.readouterr().err


def test_the_site_is_made_and_named(
    submitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board = str(submitted.parent.parent)
    capsys.readouterr()
    assert lottery(["board", "--board", board, "--out", str(tmp_path / "site")], monkeypatch) == 0
    assert capsys.readouterr().out == f"site: {tmp_path}/site/index.html\n"
    assert (tmp_path / "site" / "index.html").is_file()


def test_citing_gives_the_suite_and_both_papers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lottery(["cite"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert shown.count("@") == 3
    assert all(number in shown for number in ("1906.02773", "1906.02768"))


def test_a_verification_leaves_a_receipt_under_the_name_given(
    submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", str(submitted), *PLUGIN, "--count", "0.1", "--seed", "1", "--receipt", "Ada"]
    assert lottery(words, monkeypatch) == 0
    shown = capsys.readouterr()
    (receipt,) = (submitted.parent.parent / "receipts" / "tutorial" / submitted.stem).iterdir()
    assert f"receipt: {receipt}" in shown.err
    assert "one changed cell was drawn with a chance of 15% or more" in shown.out
    assert shown.out.splitlines()[-1].endswith("the claims hold (cells drawn with seed 1)")


def test_submitting_asks_for_the_plugin_that_the_run_was_made_with(
    finished: Path, board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lottery(["submit", str(finished), "--author", "Ada", "--board", str(board.root)], monkeypatch) == 2
    assert "plugin breast_cancer.py (SHA-256" in capsys.readouterr().err
