"""Entries of transfers: what they hold, what validate refuses, and what verify finds in an honest and a forged one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import forgeries as f
import pytest
from another_machine import replayed
from transfer_run import OTHER, TASK, THIRD, run_source, run_transfers, three_tasks

import suite.leaderboard.verify as module
from suite.experiment.errors import UsageError
from suite.experiment.registry import Registry
from suite.experiment.store import Store
from suite.finished import view_of
from suite.leaderboard import protocol
from suite.leaderboard.board import Board, read, text_of
from suite.leaderboard.finished_run import Submission, ref_of
from suite.leaderboard.masks import Tickets, ladder_files, placed
from suite.leaderboard.schema import Measured
from suite.leaderboard.submit import submissions, submit
from suite.leaderboard.validate import validate
from suite.leaderboard.verify import verify

Table = dict[str, Any]
Change = Callable[[Table], None]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_tasks(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def run(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tickets of both tasks on one of them: 24 cells."""
    return run_transfers(tmp_path_factory.mktemp("runs") / "moved", plugin)


@pytest.fixture(scope="module")
def honest(run: Path, plugin: Path) -> Submission:
    """The tickets of the other task."""
    (one,) = submissions(run, author="Ada", source=TASK, plugins=[plugin])
    return one


def entry_in(path: Path) -> Measured:
    entry = read(path)
    assert isinstance(entry, Measured)
    return entry


def put(board: Board, one: Submission, change: Change = lambda table: None, forge: f.Forge | None = None) -> Path:
    """An entry on a board, its JSON and tickets changed first as a forger would, who lists the new ladders."""
    table = json.loads(text_of(one.entry))
    change(table)
    tickets = one.tickets if forge is None else f.forged(one, forge, table)
    entry, files = placed(Measured.model_validate(table), ladder_files(tickets), None)
    return board.add(entry, files)


def test_every_pair_of_a_run_is_an_entry_with_the_values_of_its_cells(run: Path, plugin: Path, board: Board) -> None:
    paths = submit(run, board, author="Ada", plugins=[plugin])
    assert [path.stem for path in paths] == ["other-from-breast-cancer-smoke-imp", "other-from-other-smoke-imp"]
    for path, view in zip(paths, view_of(run).tasks, strict=True):
        entry = entry_in(path)
        assert entry.source is not None
        assert view.source is not None
        assert (entry.schema_version, entry.task.hash, entry.source.task.hash) == (
            2, view.spec.hash, view.source.spec.hash,
        )  # fmt: skip
        assert (entry.source.carry, entry.source.covered) == ("both", view.source.covered)
        assert entry.source.data_fingerprint == view.source.spec.data.fingerprint
        cells = {(cell.arm, cell.level, cell.replicate): cell for cell in view.cells}
        for arm, points in entry.curves.items():
            for point in points:
                for r in (0, 1):
                    cell = cells["dense" if point.level == 0 else arm, point.level, r]
                    assert (point.density, point.values[r], point.weights[r]) == (
                        cell.density, cell.value, cell.weights_digest,
                    )  # fmt: skip
        assert [point.level for point in entry.source.ladder] == [0, 1]
        assert validate(path, board, [plugin]).problems == ()


def test_the_random_arm_is_one_for_all_sources_and_the_cost_is_that_of_each_cell_once(
    run: Path, plugin: Path, board: Board
) -> None:
    moved, own = map(entry_in, submit(run, board, author="Ada", plugins=[plugin]))
    assert moved.curves["random"] == own.curves["random"]
    assert moved.curves["winning"][1:] != own.curves["winning"][1:]
    assert moved.source is not None
    assert own.source is not None
    # Two replicates: dense and two levels of two arms, over all 30 steps; a ladder's dense run, and a level from 10 on.
    assert (moved.cost.steps, moved.source.cost.steps) == (2 * 5 * 30, 2 * (30 + 20))
    assert (own.cost.steps, own.source.cost.steps) == (2 * 5 * 30, 2 * 20)  # its dense runs are the target's


def test_a_ladder_lies_once_on_the_board_whatever_it_is_trained_on(
    run: Path, plugin: Path, board: Board, tmp_path: Path
) -> None:
    own_run = run_source(tmp_path / "source", plugin, [run])
    (own,) = submit(own_run, board, author="Ada", plugins=[plugin])
    paths = submit(run, board, author="Ada", plugins=[plugin])
    shared = sorted(path.name for path in (board.root / "masks" / "tutorial").glob("*.ladder"))
    moved, to_itself = map(entry_in, paths)
    assert to_itself.masks is not None
    assert shared == sorted(f"{ref.sha256}.ladder" for ref in to_itself.masks.ladders)
    theirs, mine = Tickets(entry_in(own), board), Tickets(moved, board)
    assert [mine[slot].digest for slot in mine] == [theirs[slot].digest for slot in theirs]
    assert validate(paths[0], board, [plugin]).valid
    (board.masks(entry_in(own)) / "replicate-001.ladder").unlink()
    (line,) = [finding.line for finding in validate(paths[0], board, [plugin]).problems]
    assert line.startswith("no ladder file")
    assert line.endswith("nor an entry's that is the same")


def test_pairs_are_chosen_by_source_and_target(run: Path, plugin: Path, board: Board) -> None:
    (path,) = submit(run, board, author="Ada", task=OTHER, source=TASK, entry_id="mine", plugins=[plugin])
    assert entry_in(path).id == "mine"
    with pytest.raises(UsageError, match="has no run of from tutorial/third: it has tutorial/other imp from"):
        submissions(run, author="Ada", source="tutorial/third", plugins=[plugin])
    with pytest.raises(UsageError, match="choose one with --task and --source"):
        submissions(run, author="Ada", entry_id="mine", plugins=[plugin])


@pytest.mark.parametrize("carry", ["mask", "weights"])
def test_what_is_carried_alone_is_an_entry_that_holds(
    carry: str, run: Path, plugin: Path, board: Board, tmp_path: Path
) -> None:
    folder = run_transfers(tmp_path / carry, plugin, carry, [run], sources=[TASK])
    (path,) = submit(folder, board, author="Ada", plugins=[plugin])
    assert path.stem == f"other-from-breast-cancer-smoke-imp-{carry}"
    entry = entry_in(path)
    assert entry.source is not None
    assert list(entry.source.ladders) == (["source"] if carry == "mask" else ["source", "own"])
    cells = ["winning:2:0", "random:1:1", "source:0:0", *(["own:1:0"] if carry == "weights" else ["source:1:0"])]
    found = verify(path, board, plugins=[plugin], cells=cells)
    assert (found.outcome, found.bit_for_bit, len(found.cells)) == ("the claims hold", True, 4)
    made = {cell.name: [mask.level for mask in cell.masks] for cell in found.cells if cell.masks}
    assert made == ({"source:0:0": [1], "source:1:0": [2]} if carry == "mask" else {"own:1:0": [2]})


def test_a_drawn_cell_brings_the_sources_run_that_its_mask_was_pruned_from(
    honest: Submission, plugin: Path, board: Board
) -> None:
    assert protocol.maker(honest.entry, ("winning", 2, 1)) == ("source", 1, 1)
    assert protocol.maker(honest.entry, ("source", 1, 1)) == ("source", 0, 1)
    assert protocol.maker(honest.entry, ("random", 2, 1)) is None
    found = verify(put(board, honest), board, plugins=[plugin], count=1, seed=3)
    assert {cell.arm for cell in found.cells} == {"winning", "source"}
    assert (found.outcome, found.bit_for_bit) == ("the claims hold", True)
    assert all(mask.equal for cell in found.cells for mask in cell.masks)


def test_scores_are_judged_by_means_of_the_targets_arms_on_another_machine(
    honest: Submission, run: Path, plugin: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(table: Table) -> None:
        table["provenance"]["hardware"]["cpu"] = "Another CPU"

    monkeypatch.setattr(module, "run_cells", replayed(run, chaos=0.002))
    found = verify(put(board, honest, elsewhere), board, plugins=[plugin], count=4, seed=1)
    assert (found.outcome, found.bit_for_bit) == ("the claims hold", False)
    assert {"dense", "winning", "random", "winning - random"} <= {mean.name for mean in found.contrasts}
    assert not any("winning - source" in mean.name for mean in found.contrasts)


def lines(path: Path, board: Board, plugin: Path) -> str:
    return "\n".join(f"{one.check}: {one.line}" for one in validate(path, board, [plugin]).problems)


def changed(*keys: str | int, value: Any) -> Change:
    """A field of the entry's JSON changed."""

    def change(table: Table) -> None:
        inner: Any = table
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value(inner[keys[-1]]) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("source", "ladder", 1, "density", value=0.7), "but source claims density 0.7 at level 1"),
        (changed("curves", "winning", 1, "density", value=0.7), "winning claims density 0.7 at level 1, the masks"),
        (changed("curves", "random", 2, "density", value=0.7), "random claims density 0.7 at level 2, as many"),
        (changed("source", "covered", value=lambda names: names[:1]), "is not covered: only tensors of the source's"),
        (changed("source", "cost", "steps", value=1), "cost: of the ladders: 1 steps, the plan has 100"),
        (changed("source", "data_fingerprint", value="ab"), "its source's data have fingerprint ab"),
        (changed("source", "metric", "margin", value=0.5), "its source's metric is"),
        (changed("source", "ladder", 0, "values", 0, value=1.5), "source level 0 replicate 0 has accuracy 1.5"),
        (changed("source", "ladder", value=lambda points: points[:1]), "source has levels 0, the plan has 0, 1"),
        (changed("source", "method", "rewind_step", value=9), "whose rewind_step is 10 on its source, and has 9"),
        (changed("source", "task", "version", value="9.0.0"), "tutorial/breast-cancer 9.0.0 at smoke"),
        (changed("curves", "random", 1, "weights", 0, value=None), "random level 1 replicate 0 has a score and no"),
        (changed("tickets", value=lambda refs: refs[1:]), "no ticket is listed for level 1 replicate 0"),
    ],
)  # fmt: skip
def test_validate_refuses(change: Change, words: str, honest: Submission, plugin: Path, board: Board) -> None:
    assert words in lines(put(board, honest, change), board, plugin)


def test_a_transfer_that_lists_no_ladders_is_refused(honest: Submission, plugin: Path, board: Board) -> None:
    path = put(board, honest)
    table = json.loads(path.read_text())
    del table["masks"]
    path.write_text(json.dumps(table))
    assert "tickets: masks is missing" in lines(path, board, plugin)


def other_source(plugin: Path) -> f.Forge:
    """Another task's name in the source's place, on tickets and all."""
    other = ref_of(Registry([plugin]).find(THIRD).at("smoke"))

    def forge(table: Table, tickets: f.Tickets) -> f.Tickets:
        table["source"]["task"] = other.model_dump()
        return f.chained(table, {slot: replace(ticket, task_hash=other.hash) for slot, ticket in tickets.items()})

    return forge


def raised_ladder(table: Table, tickets: f.Tickets) -> None:
    """A better source than there was."""
    for point in table["source"]["ladder"]:
        point["values"] = [value + 0.01 for value in point["values"]]


@pytest.mark.parametrize(
    ("forge", "cells"),
    [
        (f.swapped_masks, ("source:0:0",)),
        (f.other_masks(f.at_random), ("source:1:0",)),
        (f.shifted(-0.02, "random"), ("random:1:0",)),
        (f.shifted(0.02, "winning"), ("winning:2:1",)),
        (raised_ladder, ("source:1:1",)),
        (None, ("source:0:1",)),
    ],
    ids=["masks swapped", "masks at random", "random lowered", "winning raised", "ladder raised", "another source"],
)
def test_a_forged_transfer_does_not_hold(
    forge: f.Forge | None, cells: tuple[str, ...], honest: Submission, run: Path, plugin: Path, board: Board,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "run_cells", replayed(run))
    path = put(board, honest, forge=forge or other_source(plugin))
    found = verify(path, board, plugins=[plugin], cells=cells)
    assert (found.problems, found.outcome) == ((), "the claims do not hold")


def test_a_source_that_was_trained_past_k_is_found(
    honest: Submission, run: Path, plugin: Path, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winning cells of level 1 start from step 20 of the source, where the entry says 10."""
    late = run_transfers(tmp_path / "late", plugin, "both", [run], ["rewind_step=20"], [TASK], at=(1,), levels=1)
    (request,) = Store.open(late).requests()
    weights = {
        cell.replicate: result
        for cell in request.plan.shown
        if cell.arm == "winning" and (result := Store.open(late).cell(cell.key)) is not None
    }

    def past_k(table: Table) -> None:
        point = table["curves"]["winning"][1]
        point["values"] = [weights[r].value for r in (0, 1)]
        point["weights"] = [weights[r].weights_digest for r in (0, 1)]

    monkeypatch.setattr(module, "run_cells", replayed(run))
    found = verify(put(board, honest, past_k), board, plugins=[plugin], cells=("winning:1:0", "winning:2:0"))
    held = {cell.name: found.as_claimed(cell) for cell in found.cells}
    assert (found.problems, held) == ((), {"winning:1:0": False, "winning:2:0": True})


def test_winning_cells_of_another_source_are_copies(run: Path, plugin: Path, board: Board) -> None:
    moved, own = map(entry_in, submit(run, board, author="Ada", plugins=[plugin]))
    table = json.loads(text_of(own))
    table["curves"]["winning"] = json.loads(text_of(moved))["curves"]["winning"]
    path = board.root / "tutorial" / f"{own.id}.json"
    path.write_text(json.dumps(table))
    words = f"copies: winning:1:0 has the very weights of winning:1:0 of tutorial/{moved.id}"
    assert words in lines(path, board, plugin)
