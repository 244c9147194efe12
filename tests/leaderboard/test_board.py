"""The folder of a leaderboard: what is refused, and that nothing is written by half."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from synthetic_entries import claim, measured, reported

import suite.leaderboard.board as module
from suite.experiment.errors import RunError, UsageError
from suite.files import replace_file
from suite.leaderboard.board import MOST_BYTES, BadEntry, Board, read, text_of
from suite.leaderboard.reference import Reference, first_reference
from suite.leaderboard.schema import ENTRY, Index

FILES = {"replicate-000.ladder": b"bits"}


def everything(folder: Path) -> set[str]:
    """All files below a folder, but for the lock."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def put(board: Board, content: str, name: str = "imp.json") -> Path:
    """A file among a board's vision entries."""
    path = board.root / "vision" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_an_entry_comes_back_as_it_was_added(board: Board) -> None:
    entry = measured()
    path = board.add(entry, FILES)
    assert path == board.root / "vision" / "imp.json"
    assert read(path) == entry
    assert board.measured("vision/toy") == [entry]
    assert (board.masks(entry) / "replicate-000.ladder").read_bytes() == b"bits"


def test_adding_writes_index_and_schema(board: Board) -> None:
    board.add(measured(), FILES)
    index = Index.model_validate_json((board.root / "vision.json").read_text())
    assert index == board.index("vision")
    assert [(row.id, row.tasks, row.method) for row in index.entries] == [("imp", ("vision/toy",), "imp")]
    assert (
        json.loads((board.root / "schema.json").read_text())["$schema"]
        == "https://json-schema.org/draft/2020-12/schema"
    )


def test_the_first_entry_of_a_task_freezes_what_areas_are_measured_by(board: Board) -> None:
    first = measured()
    board.add(first, FILES)
    path = board.root / "references" / "vision" / f"{first.task.hash}.json"
    frozen = path.read_bytes()
    found = board.references("vision")
    assert found == {first.task.hash: first_reference([first])}
    early = first.provenance.model_dump(mode="json") | {"date": "2020-01-01T00:00:00+00:00"}
    board.add(measured(lambda *_: 0.5, "early", provenance=early), {})
    assert path.read_bytes() == frozen
    assert board.references("vision") == found


def test_a_board_without_references_gets_them_with_its_indexes(board: Board) -> None:
    put(board, text_of(measured()))
    assert list(board.references("vision")) == [measured().task.hash]
    board.reindex()
    path = board.root / "references" / "vision" / f"{measured().task.hash}.json"
    assert Reference.model_validate_json(path.read_text()) == first_reference([measured()])


@pytest.mark.parametrize(
    ("content", "says"),
    [("{}", "is no reference of areas"), ("[1]", "an entry is an object"), (None, "whose name it has not")],
)
def test_a_reference_that_is_none_is_refused(board: Board, content: str | None, says: str) -> None:
    put(board, text_of(measured()))
    board.reindex()
    (path,) = (board.root / "references" / "vision").iterdir()
    path.write_text(content or path.read_text().replace("ab" * 32, "cd" * 32))
    with pytest.raises(BadEntry, match=says):
        board.references("vision")


def test_reported_figures_and_claims_are_listed_beside_measured_entries(board: Board) -> None:
    board.add(measured(), FILES)
    put(board, text_of(reported()), "paper.json")
    put(board, text_of(claim()), "paper-says.json")
    assert {row.id: row.kind for row in board.index("vision").entries} == {
        "imp": "measured",
        "paper": "reported",
        "paper-says": "claim",
    }
    assert [entry.id for entry in board.measured()] == ["imp"]


def test_an_id_that_is_taken_is_refused_and_the_first_stays(board: Board) -> None:
    first = measured()
    board.add(first, FILES)
    before = everything(board.root)
    with pytest.raises(UsageError, match="vision/imp is there already: choose another id with --id"):
        board.add(measured(title="another"), {"other": b""})
    assert everything(board.root) == before
    assert board.find("imp") == first


def test_of_two_submissions_of_one_id_at_once_one_is_added_whole(board: Board, tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from synthetic_entries import measured\n"
        "from suite.leaderboard.board import Board\n"
        "root, me = pathlib.Path(sys.argv[1]), sys.argv[2]\n"
        "pathlib.Path(sys.argv[3] + me).touch()\n"
        "while not pathlib.Path(sys.argv[3]).exists(): time.sleep(0.001)\n"
        "Board(root).add(measured(author=me), {f'{me}-{i}': me.encode() for i in range(200)})\n"
    )
    go = tmp_path / "go"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(board.root), me, str(go)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in ("one", "two")
    ]
    deadline = time.monotonic() + 120
    while not all(Path(f"{go}{me}").exists() for me in ("one", "two")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    go.touch()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1], errors
    (refusal,) = [error.splitlines()[-1] for error in errors if error]
    assert "is there already" in refusal or "is at work" in refusal
    (entry,) = board.measured()
    assert {path.read_text() for path in board.masks(entry).iterdir()} == {entry.author}
    assert len(list(board.masks(entry).iterdir())) == 200


def test_a_submission_that_fails_on_the_way_leaves_nothing(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.add(measured(), FILES)
    before = everything(board.root)

    def full(self: Board) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Board, "write_indexes", full)
    with pytest.raises(RunError, match="No space left on device; nothing was added"):
        board.add(measured(entry_id="other"), FILES)
    assert everything(board.root) == before


def test_a_disk_that_is_full_after_the_index_leaves_the_old_index(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_schema(path: Path, content: bytes) -> Path:
        if path.name == "schema.json":
            raise OSError(28, "No space left on device")
        return replace_file(path, content)

    for first in (False, True):
        before = everything(board.root)
        with monkeypatch.context() as patched:
            patched.setattr(module, "replace_file", until_schema)
            with pytest.raises(RunError, match="No space left on device; nothing was added"):
                board.add(measured(entry_id=f"new-{first}".lower()), FILES)
        assert everything(board.root) == before
        if not first:
            board.add(measured(), FILES)


def test_a_folder_is_no_entry(board: Board) -> None:
    with pytest.raises(BadEntry, match="is no regular file"):
        read(board.root)


def test_a_bad_file_in_another_domain_stops_a_submission_before_any_index_is_written(board: Board) -> None:
    board.add(measured(), FILES)
    (board.root / "zoo").mkdir()
    (board.root / "zoo" / "bad.json").write_text("{")
    before = {path: path.read_bytes() for path in board.root.glob("*.json")}
    with pytest.raises(BadEntry, match="no whole JSON"):
        board.add(measured(entry_id="other"), FILES)
    assert {path: path.read_bytes() for path in board.root.glob("*.json")} == before
    assert not board.masks(measured(entry_id="other")).exists()


@pytest.mark.parametrize("domain", ["schema", "masks", "runs", "upload"])
def test_what_a_board_names_otherwise_is_no_domain(domain: str) -> None:
    for entry in (claim(), measured(), reported()):
        table = entry.model_dump(mode="json")
        task = {**table["task"], "id": f"{domain}/toy"} if entry.kind == "measured" else f"{domain}/toy"
        with pytest.raises(ValidationError, match="is no name for a domain"):
            ENTRY.validate_python(table | ({"domain": domain} if entry.kind == "claim" else {"task": task}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text_of(measured())[:500], "is no whole JSON text"),
        ("", "is no whole JSON text"),
        ("[1, 2]", "an entry is an object"),
        ('{"schema_version": 1, "kind": "measured", "kind": "claim"}', "key 'kind' stands twice"),
        ("[" * 100_000, "is no whole JSON text"),
        (text_of(measured()).replace('"schema_version": 1', '"schema_version": 7'), "schema_version is 7"),
        (text_of(measured()).replace('"kind": "measured"', '"kind": "guessed"'), "kind: "),
        (text_of(measured()).replace('"title"', '"titel"'), "Field required"),
        (text_of(measured()).replace('"steps": 3900', '"steps": -1'), "greater than or equal to 0"),
        (text_of(measured()).replace('"steps": 3900', '"steps": "3900"'), "cost.steps: Input should be a valid int"),
        (text_of(measured()).replace('"schema_version": 1', '"schema_version": true'), "schema_version"),
        (text_of(measured()).replace('"level": 1,', '"level": true,', 1), "level: Input should be a valid integer"),
    ],
)
def test_what_is_no_entry_is_refused_in_one_line(board: Board, content: str, message: str) -> None:
    path = put(board, content)
    with pytest.raises(BadEntry, match=r"imp\.json") as caught:
        read(path)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_finite_are_refused(board: Board, number: str) -> None:
    path = put(board, text_of(measured()).replace('"cpu_hours": 0.5', f'"cpu_hours": {number}'))
    with pytest.raises(BadEntry, match=f"{number} is no number of JSON"):
        read(path)


def test_a_number_too_large_for_a_float_is_refused(board: Board) -> None:
    path = put(board, text_of(measured()).replace('"cpu_hours": 0.5', '"cpu_hours": 1e999'))
    with pytest.raises(BadEntry, match=r"cost\.cpu_hours: Input should be a finite number"):
        read(path)


def test_a_score_that_no_sum_could_hold_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 10"):
        measured(lambda *_: 1e31)


def test_a_file_larger_than_any_entry_is_not_read(board: Board) -> None:
    path = put(board, text_of(measured()))
    os.truncate(path, MOST_BYTES + 1)
    with pytest.raises(BadEntry, match=r"has more than 20971520 bytes; .* of at most 20 MiB"):
        read(path)
    os.truncate(path, 2**30)  # a hole: takes no disk
    began = time.monotonic()
    with pytest.raises(BadEntry, match="has more than 20971520 bytes"):
        read(path)
    assert time.monotonic() - began < 1


def test_a_symbolic_link_is_no_entry(board: Board, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text(text_of(measured()))
    (board.root / "vision").mkdir()
    link = board.root / "vision" / "imp.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BadEntry, match="is a symbolic link"):
        board.entries()


def test_a_pipe_is_no_entry_and_is_not_waited_for(board: Board) -> None:
    (board.root / "vision").mkdir()
    os.mkfifo(board.root / "vision" / "imp.json")
    with pytest.raises(BadEntry, match="is no regular file"):
        board.entries()


def test_a_missing_file_is_said_to_be_missing(board: Board) -> None:
    with pytest.raises(BadEntry, match="there is no such file"):
        read(board.root / "none.json")


@pytest.mark.parametrize("name", ["../escape", "..", ".", "a/b", "/etc/passwd", "a\\b", "Imp", "imp\n", "", "a" * 81])
def test_an_id_that_is_no_plain_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ENTRY.validate_python(measured().model_dump() | {"id": name})


@pytest.mark.parametrize("task", ["../vision/toy", "vision/../toy", "vision", "/toy", "vision/toy/.."])
def test_a_task_that_leads_out_of_the_folder_is_refused(task: str) -> None:
    entry = measured().model_dump()
    with pytest.raises(ValidationError):
        ENTRY.validate_python(entry | {"task": entry["task"] | {"id": task}})


@pytest.mark.parametrize("linked", ["vision", "masks", "masks/vision"])
def test_a_folder_that_is_a_link_out_of_the_board_is_not_written_through(
    board: Board, tmp_path: Path, linked: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = board.root / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(UsageError, match="leads out of the board"):
        board.add(measured(), FILES)
    assert list(outside.iterdir()) == []
    assert not (board.root / "vision" / "imp.json").exists()


def test_an_entry_under_another_name_is_refused(board: Board) -> None:
    put(board, text_of(measured()), "other.json")
    with pytest.raises(BadEntry, match=r"is entry vision/imp, whose file is imp\.json there"):
        board.entries()


def test_entries_are_found_by_id_or_by_domain_and_id(board: Board) -> None:
    board.add(measured(), FILES)
    board.add(measured(entry_id="alone"), FILES)
    other = measured(task={"id": "rl/toy", "version": "1.0.0", "hash": "ab" * 32, "scale": "smoke"})
    board.add(other, FILES)
    assert board.find("alone").id == "alone"
    assert board.find("rl/imp") == other
    with pytest.raises(UsageError, match="entry 'imp' is in rl, vision: name it as domain/id"):
        board.find("imp")
    with pytest.raises(UsageError, match=r"no entry 'imq' on the board; there are: rl/imp, vision/alone, vision/imp"):
        board.find("imq")


def test_the_packaged_board_is_read_only(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "packaged", lambda: board.root)
    with pytest.raises(UsageError, match="the packaged board is read-only: name a folder of your own with --board"):
        Board().add(measured(), FILES)
    assert everything(board.root) == set()


def test_a_board_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no board at .*none: --board takes an existing folder"):
        Board(tmp_path / "none")
