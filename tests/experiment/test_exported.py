"""An exported run gives back every result and mask, and a damaged or hostile one is refused in one line."""

import json
import lzma
import zipfile
from pathlib import Path

import pytest

from suite.experiment.adopt import adopt
from suite.experiment.errors import RunError, UsageError
from suite.experiment.exported import CELLS, CONTENTS, REQUESTS, ExportedRun, export
from suite.experiment.frozen import digest
from suite.experiment.plan import Plan
from suite.experiment.request import from_bytes, written
from suite.experiment.runner import asked, make_plan
from suite.experiment.store import Store
from tests.experiment.running import run
from tests.experiment.toy import task


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Plan]]:
    """A run of two rewind steps, which share a dense run and part ways below it, and of a one-shot method."""
    folder = tmp_path_factory.mktemp("run")
    one_shot = {"schedule": "one-shot", "score_at": "start", "criterion": "random"}
    chosen = [task(levels=3, changes=changes) for changes in ({}, {"rewind_step": 7}, one_shot)]
    plans = [run(each, folder)[0] for each in chosen]
    Store(folder).put_requests([asked(each, "lottery run toy", ()) for each in chosen])
    return folder, plans


@pytest.fixture(params=["folder", "file.zip"])
def packed(request: pytest.FixtureRequest, finished: tuple[Path, list[Plan]], tmp_path: Path) -> Path:
    """The run, exported."""
    export(Store.open(finished[0]), tmp_path / request.param)
    return tmp_path / str(request.param)


def test_every_result_and_mask_comes_back(finished: tuple[Path, list[Plan]], packed: Path) -> None:
    folder, plans = finished
    store, found = Store(folder), ExportedRun(packed)
    keys = {cell.key for plan in plans for cell in plan}
    masks = {prune.key for plan in plans for cell in plan for prune in cell.prunes}
    assert keys == set(store.cell_keys())
    assert masks == set(store.mask_keys())
    assert {key: found.cell(key) for key in keys} == {key: store.cell(key) for key in keys}
    assert {key: found.mask(key).digest for key in masks} == {key: store.mask(key).digest for key in masks}
    assert found.cell("0" * 64) is None
    assert not found.has_mask("0" * 64)


def test_a_run_taken_over_from_it_has_nothing_left_to_train(
    finished: tuple[Path, list[Plan]], packed: Path, tmp_path: Path
) -> None:
    store = Store.create(tmp_path / "again")
    for plan in finished[1]:
        adopt(store, ExportedRun(packed), plan)
        _, _, outcome = run(plan.task, tmp_path / "again")
        assert (outcome.finished, outcome.skipped) == (0, len(plan.cells))


def test_masks_of_a_chain_share_a_ladder(finished: tuple[Path, list[Plan]], tmp_path: Path) -> None:
    """Three methods, two replicates; the second rewind step shares level 1 with the first."""
    export(Store.open(finished[0]), tmp_path / "out")
    ladders = json.loads((tmp_path / "out" / CONTENTS).read_text())["contents"]["ladders"]
    levels = sorted("".join(ladder["keys"]) for ladder in ladders)
    assert levels == ["123", "123", "1234", "1234", "234", "234"]


def test_equal_runs_are_equal_exports(finished: tuple[Path, list[Plan]], tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export(Store.open(finished[0]), tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_is_there_is_not_replaced(finished: tuple[Path, list[Plan]], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists: name another"):
        export(Store.open(finished[0]), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_an_export_is_no_run_to_go_on_with(finished: tuple[Path, list[Plan]], tmp_path: Path) -> None:
    export(Store.open(finished[0]), tmp_path / "out")
    with pytest.raises(UsageError, match="is an exported run: take it over with"):
        Store.open(tmp_path / "out")
    assert ExportedRun.is_one(tmp_path / "out")
    assert not ExportedRun.is_one(finished[0])


@pytest.mark.parametrize(
    ("cut", "words"),
    [(0, "is an exported run: take it over with"), (50, "nor a whole zip file of one: export")],
)
def test_of_a_zip_file_it_is_said_what_it_is(
    cut: int, words: str, finished: tuple[Path, list[Plan]], tmp_path: Path
) -> None:
    export(Store.open(finished[0]), tmp_path / "out.zip")
    whole = (tmp_path / "out.zip").read_bytes()
    (tmp_path / "out.zip").write_bytes(whole[: len(whole) - cut])
    with pytest.raises(UsageError, match=words):
        Store.open(tmp_path / "out.zip")


def test_an_export_says_what_was_typed_but_not_where_its_machine_keeps_it(tmp_path: Path) -> None:
    typed = "lottery run toy --data /one/data --out=/k=2 --from leaderboards/runs/toy --set a.b=/c --set name='a b'"
    plan, store, _ = run(task(levels=0, replicates=1), tmp_path / "run")
    store.put_requests([asked(plan.task, typed, ())])
    export(store, tmp_path / "out")
    (request,) = from_bytes((tmp_path / "out" / REQUESTS).read_bytes(), tmp_path)
    kept = "lottery run toy --data data --out=k=2 --from leaderboards/runs/toy --set a.b=c --set 'name=a b'"
    assert request == asked(plan.task, kept, ())


def test_a_damaged_request_is_not_exported(tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=0, replicates=1), tmp_path / "run")
    for command, why in (("lottery run toy --set 'a", "No closing quotation"), (None, "without its command")):
        table = asked(plan.task, "", ()).model_dump(mode="json") | {"command": command}
        (tmp_path / "run" / REQUESTS).write_bytes(written([table]))
        with pytest.raises(RunError, match=why):
            export(store, tmp_path / "out")


def test_a_damaged_cell_is_not_exported(tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=0, replicates=1), tmp_path / "run")
    store.put_requests([asked(plan.task, "lottery run toy", ())])
    (tmp_path / "run" / "cells" / f"{plan.cells[0].key}.json").write_text("{}")
    with pytest.raises(RunError, match="is corrupted"):
        export(store, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def _everything(folder: Path, plan: Plan) -> None:
    found = ExportedRun(folder)
    for cell in plan:
        assert found.cell(cell.key) is not None
        for prune in cell.prunes:
            found.mask(prune.key)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Plan]:
    """A small export in a folder."""
    plan, store, _ = run(task(levels=1, replicates=1), tmp_path / "run")
    store.put_requests([asked(plan.task, "lottery run toy", ())])
    export(store, tmp_path / "out")
    return tmp_path / "out", plan


@pytest.mark.parametrize("name", [CONTENTS, CELLS, "masks/000000.ladder"])
def test_any_flipped_byte_is_noticed(name: str, small: tuple[Path, Plan]) -> None:
    folder, plan = small
    content = (folder / name).read_bytes()
    for place in range(0, len(content), 17):
        damaged = bytearray(content)
        damaged[place] ^= 1
        if name == CONTENTS and json.loads(content) == _json_or_none(bytes(damaged)):
            continue  # a space between values
        (folder / name).write_bytes(damaged)
        with pytest.raises(RunError) as caught:
            _everything(folder, plan)
        assert f"{folder}: {name} is damaged" in str(caught.value)


def _json_or_none(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


@pytest.mark.parametrize("name", [CONTENTS, CELLS, "masks/000000.ladder"])
def test_a_missing_file_is_named(name: str, small: tuple[Path, Plan]) -> None:
    folder, plan = small
    (folder / name).unlink()
    with pytest.raises(RunError, match=f"{name} is damaged .it is missing.: export the run again"):
        _everything(folder, plan)


def test_a_decompression_bomb_ends_at_the_size_that_is_stated(small: tuple[Path, Plan]) -> None:
    folder, plan = small
    (folder / CELLS).write_bytes(lzma.compress(bytes(300 * 2**20), preset=0))
    found = ExportedRun(folder)
    with pytest.raises(RunError, match=r"not the .* bytes that contents\.json states"):
        found.cell(plan.cells[0].key)
    assert found._unpacked is not None
    assert found._unpacked.seek(0, 2) <= json.loads((folder / CONTENTS).read_text())["contents"]["bytes"] + 1


def test_a_ladder_is_no_path(small: tuple[Path, Plan]) -> None:
    folder, _ = small
    table = json.loads((folder / CONTENTS).read_text())
    table["contents"]["ladders"][0]["file"] = "../run/cells"
    table["sha256"] = digest(table["contents"])
    (folder / CONTENTS).write_text(json.dumps(table))
    with pytest.raises(RunError, match=r"contents\.json is damaged"):
        ExportedRun(folder)


def test_a_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("readme", "nothing")
    assert ExportedRun.is_one(tmp_path / "other.zip")
    with pytest.raises(RunError, match=r"other.zip: contents.json is damaged .it is missing."):
        ExportedRun(tmp_path / "other.zip")


def test_another_plan_takes_nothing_from_it(small: tuple[Path, Plan], tmp_path: Path) -> None:
    folder, _ = small
    other = make_plan(task(levels=1, replicates=1, changes={"training.batch": 8}))
    assert adopt(Store.create(tmp_path / "other"), ExportedRun(folder), other) == 0
