"""What is kept is whole, or it is not there."""

import errno
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from suite.experiment.adopt import adopt
from suite.experiment.errors import RunError, UsageError
from suite.experiment.runner import make_plan
from suite.experiment.store import DiskFull, Store
from tests.experiment.running import run
from tests.experiment.toy import task


def test_a_full_disk_is_said_in_one_line_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store, _ = run(task(), tmp_path)
    result = store.cell(plan.cells[0].key)
    assert result is not None

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(path.name for path in (tmp_path / "cells").iterdir())
    with pytest.raises(DiskFull, match="is full: free some space and run again, finished cells are kept"):
        store.put_cell(result.model_copy(update={"key": "another"}))
    assert sorted(path.name for path in (tmp_path / "cells").iterdir()) == before


def test_a_full_disk_is_said_by_a_worker_process_as_by_this_one() -> None:
    error = DiskFull(Path("run"))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, DiskFull)
    assert str(again) == str(error)


def test_a_full_disk_ends_the_run_with_its_finished_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = Store._write, []

    def limited(self: Store, path: Path, content: bytes) -> None:
        if len(written) == 6:
            raise DiskFull(self.root)
        written.append(path)
        write(self, path, content)

    monkeypatch.setattr(Store, "_write", limited)
    with pytest.raises(DiskFull):
        run(task(), tmp_path)
    kept = len(list((tmp_path / "cells").iterdir()))
    monkeypatch.setattr(Store, "_write", write)
    plan, _, outcome = run(task(), tmp_path)
    assert outcome.skipped == kept > 0
    assert outcome.finished == len(plan.cells) - kept


@pytest.mark.parametrize("damage", [b"", b"{", b'{"sha256": "0", "cell": {}}', b"\x00\xff", b"[]"])
def test_a_corrupted_cell_is_named_with_the_remedy(damage: bytes, tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=0), tmp_path)
    path = tmp_path / "cells" / f"{plan.cells[0].key}.json"
    path.write_bytes(damage)
    with pytest.raises(RunError, match=f"{plan.cells[0].key}.json is corrupted .*: delete it and run again"):
        store.cell(plan.cells[0].key)


def test_a_cell_under_another_name_is_not_believed(tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=0, replicates=2), tmp_path)
    first, second = (tmp_path / "cells" / f"{cell.key}.json" for cell in plan.cells)
    second.write_bytes(first.read_bytes())
    with pytest.raises(RunError, match="it holds cell"):
        store.cell(plan.cells[1].key)


def test_a_folder_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*choose another folder with --out"):
        Store.create(tmp_path / "file" / "run")


def test_a_folder_without_a_run_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        Store.open(tmp_path)


def test_a_damaged_cache_is_only_a_cache(tmp_path: Path) -> None:
    _, store, _ = run(task(changes={"rewind_step": 3}), tmp_path)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:50])
        assert store.snapshot(path.name.removesuffix(".safetensors")) is None
    _, _, outcome = run(task(changes={"rewind_step": 3}, levels=3), tmp_path)
    assert not outcome.failed


def test_one_flipped_bit_of_a_cached_tensor_is_seen(tmp_path: Path) -> None:
    """Otherwise another rate would be pruned from damaged weights, under the right key."""
    _, store, _ = run(task(changes={"rewind_step": 3}, levels=0), tmp_path)
    for path in (tmp_path / "cache").iterdir():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        name = path.name.removesuffix(".safetensors")
        assert store.snapshot(name) is not None
        path.write_bytes(content)
        assert store.snapshot(name) is None


def test_cells_adopted_from_elsewhere_are_checked(tmp_path: Path) -> None:
    plan, source, _ = run(task(levels=0), tmp_path / "a")
    path = tmp_path / "a" / "cells" / f"{plan.cells[0].key}.json"
    path.write_text(path.read_text().replace("accuracy", "acuracy"))
    with pytest.raises(RunError, match="corrupted"):
        adopt(Store.create(tmp_path / "b"), source, plan.cells[:1])


@pytest.mark.parametrize("part", ["cells", "masks"])
def test_what_came_out_otherwise_elsewhere_is_not_adopted(part: str, tmp_path: Path) -> None:
    """As on another machine type: equal keys, other bits."""
    _, here, _ = run(task(levels=1, replicates=1), tmp_path / "here")
    _, there, _ = run(task(levels=2, replicates=1), tmp_path / "there")
    cells = make_plan(task(levels=2, replicates=1)).cells
    dense = there.cell(cells[0].key)
    assert dense is not None
    if part == "cells":
        there.put_cell(dense.model_copy(update={"weights_digest": "ab" * 32}))
    else:
        key = cells[0].prunes[0].key
        there.put_mask(key, replace(there.mask(key), replicate=7))
    before = sorted((tmp_path / "here").rglob("*.json"))
    with pytest.raises(RunError, match=r"dense replicate 0 came out otherwise in .*there than in .*here"):
        adopt(here, there, cells)
    assert sorted((tmp_path / "here").rglob("*.json")) == before
