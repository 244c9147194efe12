"""From a run to an entry: what is written, and what is refused with nothing written."""

import json
import platform
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from filelock import FileLock
from tutorial_run import TUTORIAL, run_tutorial

from suite.experiment.errors import UsageError
from suite.experiment.options import RunOptions
from suite.experiment.store import Store
from suite.finished import view_of
from suite.leaderboard.board import Board, read
from suite.leaderboard.masks import Tickets
from suite.leaderboard.schema import Measured
from suite.leaderboard.submit import submissions, submit
from suite.leaderboard.validate import validate
from suite.tickets.ticket import load


def untouched(board: Board) -> bool:
    """Whether a board holds no file at all."""
    return not list(board.root.rglob("*"))


def copied(run: Path, to: Path) -> Path:
    """A run of one's own to spoil."""
    shutil.copytree(run, to)
    return to


def entry_of(path: Path) -> Measured:
    """The measured entry in a file."""
    entry = read(path)
    assert isinstance(entry, Measured)
    return entry


def last_mask(run: Path) -> Path:
    """The file of a mask of the last level, which three cells start from."""
    return next(path for path in sorted((run / "masks").iterdir()) if load(path).level == 2)


def change_requests(run: Path, options: dict[str, object]) -> None:
    """Ask for other options in a run's run.json."""
    store = Store.open(run)
    changed = [
        request.model_copy(update={"options": RunOptions(**request.options.model_dump() | options)})
        for request in store.requests()
    ]
    store.put_requests(changed)


def change_cell(run: Path, which: int, field: str, value: object) -> None:
    """Forge a field of a cell's provenance."""
    store = Store.open(run)
    key = sorted(path.stem for path in (run / "cells").glob("*.json"))[which]
    cell = store.cell(key)
    assert cell is not None
    store.put_cell(cell.model_copy(update={"provenance": cell.provenance.model_copy(update={field: value})}))


def test_a_run_whose_tickets_were_tested_for_stability_is_submitted_without_their_children(
    finished: Path, tmp_path: Path
) -> None:
    run = copied(finished, tmp_path / "run")
    (before,) = submissions(run, author="Ada", plugins=[TUTORIAL])
    change_requests(run, {"connected": {"levels": (0, 1)}})
    assert Store.open(run).requests()[0].plan.connections
    (found,) = submissions(run, author="Ada", plugins=[TUTORIAL])  # no child is missing, and none is an arm's cell
    assert (found.entry.curves, found.entry.cost) == (before.entry.curves, before.entry.cost)


def test_the_entry_has_every_value_of_the_run(finished: Path, board: Board) -> None:
    (path,) = submit(finished, board, author="A. Tester", plugins=[TUTORIAL])
    assert path == board.root / "tutorial" / "breast-cancer-smoke-imp.json"
    entry, (view,) = entry_of(path), view_of(finished).tasks
    assert (entry.task.id, entry.task.hash, entry.task.scale) == (view.spec.id, view.spec.hash, "smoke")
    assert (entry.metric, entry.method.settings, entry.author) == (view.spec.metric.stated, view.method, "A. Tester")
    assert entry.method.description.startswith("iterative magnitude pruning with late rewinding")
    assert entry.protocol.arms == ("winning", "reinit", "random")
    cells = {(cell.arm, cell.level, cell.replicate): cell for cell in view.cells}
    for arm, points in entry.curves.items():
        assert [point.level for point in points] == [0, 1, 2]
        for point in points:
            for replicate in (0, 1):
                cell = cells["dense" if point.level == 0 else arm, point.level, replicate]
                assert point.density == cell.density
                assert point.values[replicate] == cell.value
                assert point.weights[replicate] == cell.weights_digest


def test_the_cost_is_that_of_all_cells(finished: Path, board: Board) -> None:
    entry, (view,) = entry_of(submit(finished, board, author="me", plugins=[TUTORIAL])[0]), view_of(finished).tasks
    assert entry.cost.steps == 2 * (150 + 2 * (140 + 150 + 150))  # two replicates: dense, then three arms, two levels
    assert entry.cost.flops_dense == sum(cell.spent.flops_dense for cell in view.cells)
    assert entry.cost.flops_sparse == sum(cell.spent.flops_sparse for cell in view.cells)
    assert entry.cost.cpu_hours * 3600 == pytest.approx(sum(cell.spent.cpu_seconds for cell in view.cells))
    assert entry.cost.gpu_hours == 0


def test_every_mask_comes_along_with_its_digest(finished: Path, board: Board) -> None:
    entry = entry_of(submit(finished, board, author="me", plugins=[TUTORIAL])[0])
    assert [(ref.level, ref.replicate) for ref in entry.tickets] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    names = sorted(path.name for path in board.masks(entry).iterdir())
    assert names == ["replicate-000.ladder", "replicate-001.ladder"]
    found = Tickets(entry, board)
    for ref in entry.tickets:
        ticket = found[ref.level, ref.replicate]
        assert (ticket.digest, ticket.level, ticket.replicate) == (ref.digest, ref.level, ref.replicate)


def test_what_the_submitter_says_is_kept(finished: Path, board: Board) -> None:
    said = {"entry_id": "mine", "title": "My title", "description": "What it does.", "link": "https://example.org/x"}
    entry = entry_of(submit(finished, board, author="me", plugins=[TUTORIAL], **said)[0])
    assert (entry.id, entry.title, entry.method.description, entry.method.link) == tuple(said.values())


def test_a_run_submits_each_of_its_methods_and_one_if_named(finished: Path, board: Board, tmp_path: Path) -> None:
    both = run_tutorial(copied(finished, tmp_path / "both"), "random")
    with pytest.raises(UsageError, match=r"--id and --title name one entry, .* choose one with --task"):
        submit(both, board, author="me", plugins=[TUTORIAL], entry_id="mine")
    assert [path.stem for path in submit(both, board, author="me", plugins=[TUTORIAL], method="random")] == [
        "breast-cancer-smoke-random"
    ]
    with pytest.raises(UsageError, match="breast-cancer-smoke-random is there already"):
        submit(both, board, author="me", plugins=[TUTORIAL])
    assert [entry.id for entry in board.entries()] == ["breast-cancer-smoke-random"]
    assert [one.entry.id for one in submissions(both, author="me", plugins=[TUTORIAL])] == [
        "breast-cancer-smoke-imp",
        "breast-cancer-smoke-random",
    ]


def test_a_task_or_method_that_the_run_has_not_is_named(finished: Path, board: Board) -> None:
    with pytest.raises(UsageError, match="no run of vision/toy: it has tutorial/breast-cancer imp"):
        submit(finished, board, author="me", plugins=[TUTORIAL], task="vision/toy")
    with pytest.raises(UsageError, match="no run of snip"):
        submit(finished, board, author="me", plugins=[TUTORIAL], method="snip")
    assert untouched(board)


def test_an_id_taken_is_refused(finished: Path, board: Board) -> None:
    submit(finished, board, author="me", plugins=[TUTORIAL])
    with pytest.raises(UsageError, match="tutorial/breast-cancer-smoke-imp is there already"):
        submit(finished, board, author="me", plugins=[TUTORIAL])


def test_an_unfinished_run_is_refused(finished: Path, board: Board, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "run")
    sorted((run / "cells").glob("*.json"))[0].unlink()
    with pytest.raises(UsageError, match="is unfinished, 1 of 14 cells are to do"):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


def test_a_run_whose_masks_were_deleted_is_refused(finished: Path, board: Board, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "run")
    last_mask(run).unlink()
    with pytest.raises(UsageError, match="is unfinished, 3 of 14 cells"):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


def test_a_run_in_a_folder_that_cannot_be_written_is_submitted(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a shared disk: reading needs no lock file, nor the right to write to one that is there."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refused)
    run = copied(finished, tmp_path / "run")
    (run / "lock").touch()
    assert submissions(run, author="me", plugins=[TUTORIAL])
    (run / "lock").unlink()
    assert submissions(run, author="me", plugins=[TUTORIAL])
    assert not (run / "lock").exists()


def test_a_run_at_work_is_refused(finished: Path, board: Board) -> None:
    with FileLock(finished / "lock"), pytest.raises(UsageError, match="a run is at work"):
        submit(finished, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


def test_a_corrupted_cell_is_named(finished: Path, board: Board, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "run")
    path = sorted((run / "cells").glob("*.json"))[0]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UsageError, match=f"{path.name} is corrupted"):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_replicate": 1}, "starts at replicate 1: an entry has replicates 0 to n - 1"),
        ({"replicates": 1}, "has one replicate, which has no interval"),
        ({"levels": 0}, "has no ticket to submit: run it with --levels 1 or more"),
        ({"arms": ["reinit"]}, "has no ticket to submit"),
        ({"levels": 3}, "is unfinished"),
    ],
)
def test_a_run_that_is_not_the_protocol_is_refused(
    finished: Path, board: Board, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    run = copied(finished, tmp_path / "run")
    change_requests(run, options)
    with pytest.raises(UsageError, match=message):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


def test_a_task_whose_numbers_were_changed_is_refused(board: Board, tmp_path: Path) -> None:
    run = run_tutorial(tmp_path / "run", changes=("training.total_steps=20",), levels=1)
    with pytest.raises(UsageError, match=r"1\.0\.0\+changed .* is not the protocol: the registry has 1\.0\.0"):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("versions", {"torch": "1.0"}),
        ("threads", 7),
        ("data_fingerprint", "other data"),
    ],
)
def test_cells_of_different_origin_make_no_entry(
    finished: Path, board: Board, tmp_path: Path, field: str, value: object
) -> None:
    run = copied(finished, tmp_path / "run")
    change_cell(run, 3, field, value)
    with pytest.raises(UsageError, match=f"do not agree in {field}: "):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


def test_a_run_that_was_gone_on_from_after_a_commit_names_both_revisions(
    finished: Path, board: Board, tmp_path: Path
) -> None:
    run = copied(finished, tmp_path / "run")
    change_cell(run, 3, "git_revision", "0ther")
    (entry,) = submit(run, board, author="me", plugins=[TUTORIAL])
    named = json.loads(entry.read_text())["provenance"]["git_revision"].split(", ")
    assert len(named) == len({*named, "0ther"}) == 2


def test_a_run_that_was_gone_on_from_on_another_machine_names_both(
    finished: Path, board: Board, tmp_path: Path
) -> None:
    run = copied(finished, tmp_path / "run")
    (before,) = submissions(run, author="me", plugins=[TUTORIAL])
    mine = before.entry.provenance.hardware
    change_cell(run, 3, "hardware", {**mine, "cores": 512})
    (alike,) = submissions(run, author="me", plugins=[TUTORIAL])
    assert alike.entry.provenance.machines == 1
    change_cell(run, 4, "hardware", {**mine, "cpu": "another"})
    (entry,) = submit(run, board, author="me", plugins=[TUTORIAL])
    named = read(entry)
    assert isinstance(named, Measured)
    assert named.provenance.machines == 2
    assert set(str(named.provenance.hardware["cpu"]).split(", ")) == {mine["cpu"], "another"}


def test_a_run_that_was_gone_on_from_beside_other_packages_names_all_of_them(
    finished: Path, board: Board, tmp_path: Path
) -> None:
    run = copied(finished, tmp_path / "run")
    versions = {"python": platform.python_version(), "a-package": "1.0"}
    change_cell(run, 3, "versions", versions)
    (entry,) = submit(run, board, author="me", plugins=[TUTORIAL])
    named = json.loads(entry.read_text())["provenance"]["versions"]
    assert named["a-package"] == "1.0"
    assert {"numpy", "torch", "python"} <= set(named)  # of the other cells


def test_what_would_not_be_valid_is_not_added(finished: Path, board: Board, tmp_path: Path) -> None:
    """Masks that an older version made, say."""
    run = copied(finished, tmp_path / "run")
    parents: dict[tuple[int, int], str] = {}
    for level, path in sorted((load(path).level, path) for path in (run / "masks").iterdir()):
        old = load(path)
        parent = parents.get((level - 1, old.replicate), "")
        new = replace(old, method_hash="ab" * 32, parent=parent)
        parents[level, old.replicate] = new.digest
        path.write_bytes(new.to_bytes())
    with pytest.raises(UsageError, match=r"would not be valid: masks/tutorial/.* has method hash abab") as caught:
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert str(tmp_path) not in str(caught.value)
    assert untouched(board)


def test_masks_of_no_one_ladder_are_not_added(finished: Path, board: Board, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "run")
    path = next(path for path in (run / "masks").iterdir() if load(path).level == 1)
    path.write_bytes(replace(load(path), method_hash="ab" * 32).to_bytes())
    with pytest.raises(UsageError, match="would not be valid: the tickets of levels 1 and 2 are of different ladders"):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)


def test_one_cell_with_uncommitted_changes_marks_the_entry(finished: Path, board: Board, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "run")
    for which in range(14):
        change_cell(run, which, "dirty", False)
        change_cell(run, which, "date", f"2026-01-{which + 1:02}T00:00:00+00:00")
    change_cell(run, 5, "dirty", True)
    source = entry_of(submit(run, board, author="me", plugins=[TUTORIAL])[0]).provenance
    assert (source.dirty, source.date) == (True, "2026-01-14T00:00:00+00:00")


def test_a_diverged_ladder_is_submitted_with_what_came_of_it(finished: Path, board: Board, tmp_path: Path) -> None:
    """Replicate 1 diverges at level 1: nothing of it is left at level 2, and its other arms at level 1 stay."""
    run = copied(finished, tmp_path / "run")
    store = Store.open(run)
    (view,) = view_of(run).tasks
    for cell in view.cells:
        if (cell.arm, cell.level, cell.replicate) == ("winning", 1, 1):
            store.put_cell(cell.model_copy(update={"diverged": True, "test": {}, "validation": {}, "trace": ()}))
        elif (cell.level, cell.replicate) == (2, 1):
            (run / "cells" / f"{cell.key}.json").unlink()
    for path in (run / "masks").iterdir():
        ticket = load(path)
        if (ticket.level, ticket.replicate) == (2, 1):
            path.unlink()
    (path,) = submit(run, board, author="me", plugins=[TUTORIAL])
    entry = entry_of(path)
    (_, first, second) = entry.curves["winning"]
    assert first.values[1] is None
    assert first.weights[1] is not None
    assert (second.values[1], second.weights[1]) == (None, None)
    assert entry.curves["reinit"][1].values[1] is not None
    assert [(ref.level, ref.replicate) for ref in entry.tickets] == [(1, 0), (1, 1), (2, 0)]
    assert validate(path, plugins=[TUTORIAL]).problems == ()


def test_a_strange_method_wants_a_description(board: Board, tmp_path: Path) -> None:
    run = run_tutorial(tmp_path / "run", changes=("name=My Method!",), levels=1)
    with pytest.raises(UsageError, match=r"method 'My Method!' is not one of the suite's: .* --description"):
        submit(run, board, author="me", plugins=[TUTORIAL])
    assert untouched(board)
    (path,) = submit(run, board, author="me", plugins=[TUTORIAL], description="Mine.")
    assert path.stem == "breast-cancer-smoke-my-method"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"author": ""}, "author = ''"),
        ({"author": "two\nlines"}, "give another with --author"),
        ({"author": "me", "entry_id": "../x"}, "id = '../x'"),
        ({"author": "me", "link": "javascript:alert(1)"}, "give another with --link"),
    ],
)
def test_words_that_fit_no_entry_are_refused(finished: Path, board: Board, said: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match="=") as caught:
        submit(finished, board, plugins=[TUTORIAL], **said)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert untouched(board)


def test_a_folder_without_a_run_is_said_to_be_one(board: Board, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        submit(tmp_path, board, author="me", plugins=[TUTORIAL])


def test_an_entry_names_the_code_of_its_plugin(finished: Path) -> None:
    (one,) = submissions(finished, author="me", plugins=[TUTORIAL])
    assert one.entry.code == sha256(TUTORIAL.read_bytes()).hexdigest()


def test_a_plugin_that_was_edited_since_the_run_or_is_not_named_is_asked_for(
    finished: Path, board: Board, tmp_path: Path
) -> None:
    """Never loaded from where the run says that it was."""
    edited = tmp_path / TUTORIAL.name
    edited.write_text(TUTORIAL.read_text() + "# edited")
    with pytest.raises(UsageError, match=r"plugin breast_cancer.py \(SHA-256 .*\) is needed: name the run's own"):
        submit(finished, board, author="me")
    with pytest.raises(UsageError, match="has been edited since the run"):
        submit(finished, board, author="me", plugins=[edited])
    assert untouched(board)
