"""A ledger spares reading files that are unchanged, and is believed in nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.experiment.errors import RunError
from suite.experiment.ledger import Ledger
from suite.experiment.store import Store
from suite.finished import progress_of
from tests.experiment.running import run
from tests.experiment.toy import task


def never() -> str:
    """For a file that must not be read."""
    raise AssertionError("the file was read")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file."""
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "one.json").write_text("content")
    return tmp_path / "cells"


def ledger(folder: Path) -> Ledger:
    """Its ledger."""
    return Ledger(folder, ".json")


def test_what_was_noted_is_not_read(folder: Path) -> None:
    ledger(folder).note("one", "finished")
    assert ledger(folder).survey().text("one", never) == "finished"


def test_what_was_read_once_is_not_read_again(folder: Path) -> None:
    survey = ledger(folder).survey()
    assert survey.text("one", lambda: "diverged") == "diverged"
    survey.keep()
    assert ledger(folder).survey().text("one", never) == "diverged"


def test_what_is_not_there_is_unknown_whatever_the_ledger_says(folder: Path) -> None:
    ledger(folder).note("one", "finished")
    (folder / "one.json").unlink()
    survey = ledger(folder).survey()
    assert survey.text("one", never) is None
    assert survey.keys() == set()


def changed(path: Path) -> None:
    """Another content of equal size, with the old time of writing."""
    facts = path.stat()
    path.write_text("CONTENT")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def replaced(path: Path) -> None:
    """Another file of that name."""
    path.with_suffix(".new").write_text("more content")
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("change", [changed, replaced])
def test_a_changed_file_is_read(change: Callable[[Path], None], folder: Path) -> None:
    ledger(folder).note("one", "finished")
    change(folder / "one.json")
    assert ledger(folder).survey().text("one", lambda: "diverged") == "diverged"


def test_a_missing_ledger_is_made_anew(folder: Path) -> None:
    ledger(folder).note("one", "finished")
    folder.with_name("cells.ledger").unlink()
    survey = ledger(folder).survey()
    assert survey.text("one", lambda: "finished") == "finished"
    survey.keep()
    assert ledger(folder).survey().text("one", never) == "finished"


def test_no_damaged_line_is_believed(folder: Path) -> None:
    ledger(folder).note("one", "finished")
    path = folder.with_name("cells.ledger")
    content = path.read_bytes()
    for place in range(len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert ledger(folder).survey().text("one", lambda: "read") == "read", f"byte {place}"


def test_a_torn_line_costs_the_others_nothing(folder: Path) -> None:
    ledger(folder).note("one", "finished")
    path = folder.with_name("cells.ledger")
    path.write_bytes(b"one 7 1 1 diver\n\xff\xfe\n" + path.read_bytes())
    assert ledger(folder).survey().text("one", never) == "finished"


def test_a_ledger_of_replaced_files_does_not_grow_for_ever(folder: Path) -> None:
    for _ in range(50):
        ledger(folder).note("one", "finished")
    survey = ledger(folder).survey()
    survey.text("one", never)
    survey.keep()
    assert len(folder.with_name("cells.ledger").read_bytes().splitlines()) == 1


def test_a_folder_that_cannot_be_written_has_no_ledger_and_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError

    with monkeypatch.context() as context:
        context.setattr(os, "open", refuse)
        ledger(folder).note("one", "finished")
    assert not folder.with_name("cells.ledger").exists()
    assert ledger(folder).survey().text("one", lambda: "finished") == "finished"


def test_what_stands_where_the_folder_belongs_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "cells").write_text("a file")
    with pytest.raises(RunError, match=r"cells cannot be read as a folder \(Not a directory\): move it away"):
        ledger(tmp_path / "cells").files()


def test_temporary_files_are_no_cells(folder: Path) -> None:
    (folder / ".two.json.host.1.0a1b2c3d.tmp").write_text("")
    (folder / ".three.json").write_text("")
    assert set(ledger(folder).files()) == {"one"}


def status(folder: Path, capsys: pytest.CaptureFixture[str] | None = None) -> tuple[int, int]:
    """Cells of the toy's run, and those done."""
    (row,) = progress_of(folder)
    return row["cells"], row["done"]


def test_status_reads_no_cell_that_the_run_has_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from suite.experiment.runner import asked

    plan, store, _ = run(task(replicates=1), tmp_path)
    store.put_requests([asked(plan.task, "lottery run toy", ())])
    monkeypatch.setattr(Store, "cell", lambda self, key: never())
    monkeypatch.setattr(Store, "mask", lambda self, key: never())
    assert status(tmp_path) == (7, 7)


@pytest.mark.parametrize("part", ["cells", "masks"])
def test_status_still_names_a_damaged_file(part: str, tmp_path: Path) -> None:
    from suite.experiment.runner import asked

    plan, store, _ = run(task(replicates=1), tmp_path)
    store.put_requests([asked(plan.task, "lottery run toy", ())])
    used = [cell.key for cell in plan] if part == "cells" else [c.mask_key for c in plan if c.mask_key]
    path = next(path for path in (tmp_path / part).iterdir() if path.stem in used)
    content = bytearray(path.read_bytes())
    content[-80 if part == "cells" else -1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=f"{path.name} is corrupted"):
        status(tmp_path)
