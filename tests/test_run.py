"""A run from end to end, in this process: what it leaves behind when things are unusual."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite import run as run_module
from suite.choose import choose
from suite.experiment.errors import RunError, UsageError, in_words
from suite.experiment.executors.worker import _sendable
from suite.experiment.request import written
from suite.experiment.runner import Outcome
from suite.experiment.store import Store
from suite.experiment.taskfile import Task
from suite.finished import progress_of, view_of
from suite.results.report import as_json, write_report
from suite.run import Report, run_tasks
from tests.commands import lottery
from tests.experiment import toy

TUTORIAL = Path(__file__).parent / "data" / "breast_cancer.py"


def tasks(changes: Sequence[str] = (), **options: Any) -> list[Task]:
    few: Mapping[str, Any] = {"executor": "inline", "levels": 1, "replicates": 1, **options}
    plugin = Path(str(few.get("plugin", TUTORIAL)))
    return choose(
        ["tutorial/breast-cancer"], None, [], {k: v for k, v in few.items() if k != "plugin"},
        ["training.total_steps=15", *changes], [plugin],
    )  # fmt: skip


def run(out: Path, changes: Sequence[str] = (), **options: Any) -> tuple[Outcome, Report]:
    plugin = Path(str(options.get("plugin", TUTORIAL)))
    return run_tasks(tasks(changes, **options), out, [plugin], [], "lottery run")


def test_a_task_whose_reference_models_fail_still_has_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when one domain of a collection is not installed."""

    def fail(*_: object) -> dict[str, dict[str, float]]:
        raise RunError("needs 'tokenizers', which is not installed")

    monkeypatch.setattr(run_module, "references", fail)
    outcome, report = run(tmp_path / "run")
    assert not outcome.failed
    assert report.path.is_file()
    assert list(report.view.tasks[0].scores) == ["dense"]


def test_a_source_that_is_no_run_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        run_tasks(tasks(), tmp_path / "out", [TUTORIAL], [tmp_path / "nowhere"], "lottery run")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_page")
def test_a_run_with_a_plugin_can_be_read_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.py").write_text(TUTORIAL.read_text())
    monkeypatch.chdir(tmp_path / "here")
    run(tmp_path / "run", plugin="mine.py")
    monkeypatch.chdir(tmp_path)
    assert [row["done"] for row in progress_of(tmp_path / "run")] == [4]


@pytest.mark.usefixtures("no_page")
def test_a_plugin_that_was_mended_takes_the_place_of_its_broken_self(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(TUTORIAL.read_text().replace("F.cross_entropy", "F.crossentropy"))
    broken, _ = run(tmp_path / "run", plugin=str(plugin))
    assert broken.failed
    plugin.write_text(TUTORIAL.read_text())
    mended, report = run(tmp_path / "run", plugin=str(plugin))
    assert not mended.failed
    assert len(report.view.tasks) == 1


def test_a_ladder_trained_for_its_masks_alone_is_not_missed(tmp_path: Path) -> None:
    _, report = run(tmp_path / "run", levels=2, arms=("reinit",))
    (task,) = as_json(report.view)["tasks"]
    assert task["missing"] == []


def test_nothing_left_is_a_density_too(tmp_path: Path) -> None:
    outcome, report = run(tmp_path / "run", ["rate=1"])
    assert not outcome.failed
    (task,) = as_json(report.view)["tasks"]
    assert task["arms"]["winning"][1]["density"] == 0
    assert report.path.is_file()


def test_a_report_that_cannot_be_written_names_its_folder(tmp_path: Path) -> None:
    run(tmp_path / "run")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "report").write_text("a file where the folder belongs")
    with pytest.raises(UsageError, match=r"cannot write the report to .*blocked"):
        run_module.write(view_of(tmp_path / "run"), blocked)


def test_levels_as_the_task_has_them_leave_its_choice_of_at_alone() -> None:
    (own,) = choose(["nlp/kjv-lstm"], "lite", [], {"levels": 14}, [], [])
    (other,) = choose(["nlp/kjv-lstm"], "lite", [], {"levels": 13}, [], [])
    assert own.options.at == (2, 5, 8, 11, 14)
    assert other.options.at is None


@pytest.mark.usefixtures("no_page")
def test_status_report_and_compare_name_a_damaged_mask(tmp_path: Path) -> None:
    """`compare` judges the view that the report shows."""
    run(tmp_path / "run", levels=2)
    (path, *_) = sorted((tmp_path / "run" / "masks").iterdir())
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for shown in (progress_of, view_of):
        with pytest.raises(RunError, match=rf"{path.name} .*: delete it and run again"):
            shown(tmp_path / "run")


@pytest.mark.usefixtures("no_page")
def test_status_and_report_name_a_deleted_mask_and_the_same_run_makes_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, levels=2)
    (made,) = [mask for mask in Store(folder).mask_keys() if Store(folder).mask(mask).level == 1]
    (folder / "masks" / f"{made}.safetensors").unlink()
    said = (
        f"level 1 replicate 0 (masks/{made}.safetensors); the same `lottery run` makes it again, or says why it cannot."
    )
    (row,) = progress_of(folder)
    assert row["missing_masks"] == [{"level": 1, "replicate": 0, "file": f"masks/{made}.safetensors"}]
    for shown in (lottery("status", folder), lottery("report", folder)):
        assert said in " ".join(shown.stdout.split())
    assert said in write_report(view_of(folder), tmp_path / "page").read_text()
    run(folder, levels=2)
    assert Store(folder).has_mask(made)
    assert [row["missing_masks"] for row in progress_of(folder)] == [[]]


@pytest.mark.usefixtures("no_page")
def test_a_run_of_another_schema_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1', 1))
    with pytest.raises(RunError, match="has schema 1, this suite reads 2: move it away and run the same command again"):
        Store(tmp_path / "run").requests()


@pytest.mark.usefixtures("no_page")
def test_a_run_of_another_version_is_refused_in_one_line_before_anything_is_done(tmp_path: Path) -> None:
    run(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    table = json.loads(path.read_text())["requests"]
    table[0]["spec"]["since"] = 2
    path.write_bytes(written(table))
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"run.json is of another version .*: run again with another --out"):
        run(tmp_path / "run", levels=2)
    assert path.read_bytes() == before


def test_a_value_that_a_learner_refuses_ends_the_run_before_it_leaves_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^tutorial/breast-cancer smoke: training\.optimizer\.name = 'foo'"):
        run(tmp_path / "run", ["training.optimizer.name=foo"])
    assert not (tmp_path / "run").exists()


def test_a_cohort_that_cannot_be_built_ends_the_run_before_it_leaves_anything(tmp_path: Path) -> None:
    task = toy.task(exec="cohort")
    spec = task.spec.model_copy(update={"cohort": "tests.experiment.toy:Nothing"})
    with pytest.raises(UsageError, match=r"'tests\.experiment\.toy:Nothing' does not exist"):
        run_tasks([replace(task, spec=spec)], tmp_path / "run", [], [], "lottery run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["import nowhere_to_be_found", "raise ValueError('broken')"])
def test_a_task_that_cannot_be_built_otherwise_leaves_the_others_their_run(tmp_path: Path, fault: str) -> None:
    """As when the libraries of one domain of a collection are not installed."""
    plugin = tmp_path / "other.py"
    text = TUTORIAL.read_text().replace("tutorial/breast-cancer", "tutorial/other")
    plugin.write_text(text.replace("        inputs, labels = ", f"        {fault}\n        inputs, labels = "))
    options = {"executor": "inline", "levels": 1, "replicates": 1}
    names = ["tutorial/other", "tutorial/breast-cancer"]
    both = choose(names, None, [], options, ["training.total_steps=15"], [plugin, TUTORIAL])
    outcome, _ = run_tasks(both, tmp_path / "run", [plugin, TUTORIAL], [], "lottery run")
    assert outcome.finished == 4
    assert len(outcome.failed) == 1
    assert "tutorial/other dense" in next(iter(outcome.failed.values()))


@pytest.mark.usefixtures("no_page")
def test_a_constructor_that_crashes_fails_its_own_cells_and_the_other_tasks_go_on(tmp_path: Path) -> None:
    crash = "import ctypes; ctypes.string_at(0)"
    plugin = tmp_path / "other.py"
    text = TUTORIAL.read_text().replace("tutorial/breast-cancer", "tutorial/other")
    plugin.write_text(text.replace("        inputs, labels = ", f"        {crash}\n        inputs, labels = "))
    options = {"executor": "local", "jobs": 1, "levels": 1, "replicates": 1, "arms": ("winning",)}
    names = ["tutorial/other", "tutorial/breast-cancer"]
    both = choose(names, None, [], options, ["training.total_steps=15"], [plugin, TUTORIAL])
    outcome, report = run_tasks(both, tmp_path / "run", [plugin, TUTORIAL], [], "lottery run")
    assert outcome.finished == 2
    (failure,) = outcome.failed.values()
    assert failure.startswith("tutorial/other dense replicate 0: its process ended with SIGSEGV")
    assert report.path.is_file()


@pytest.mark.usefixtures("no_page")
def test_an_error_of_a_plugin_says_in_which_of_its_lines(tmp_path: Path) -> None:
    plugin, mistake = tmp_path / "mine.py", "        torch.zeros(2) @ torch.zeros(3)"
    text = TUTORIAL.read_text().replace("        rows = self._order", f"{mistake}\n        rows = self._order")
    plugin.write_text(text)
    outcome, _ = run(tmp_path / "run", plugin=str(plugin), arms=("winning",))
    (failure,) = outcome.failed.values()
    assert failure.startswith("tutorial/breast-cancer dense replicate 0: RuntimeError: ")
    assert failure.endswith(f" ({plugin}, line {1 + text.splitlines().index(mistake)}, in loss)")
    (error,) = outcome.errors
    assert in_words(_sendable(error)) == in_words(error), "from a worker's process too"


@pytest.mark.usefixtures("no_page")
def test_a_run_goes_on_with_its_data_in_another_folder_which_it_does_not_keep(tmp_path: Path) -> None:
    """The data root reaches the learner, and is a path of this machine: no part of what the run is."""
    plugin = tmp_path / "mine.py"
    read = "        open(runtime.data / 'read', 'a').write('x')\n"
    plugin.write_text(TUTORIAL.read_text().replace("        inputs, labels = ", f"{read}        inputs, labels = "))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    before, _ = run(tmp_path / "run", plugin=str(plugin), data=tmp_path / "first")
    after, _ = run(tmp_path / "run", plugin=str(plugin), data=tmp_path / "second", levels=2)
    assert (before.failed, after.failed) == ({}, {})
    assert after.skipped == before.finished
    assert (tmp_path / "second" / "read").is_file()
    assert str(tmp_path / "first") not in (tmp_path / "run" / "run.json").read_text()


def test_tasks_that_want_to_compute_in_different_places_are_refused(tmp_path: Path) -> None:
    (one,) = tasks()
    other = replace(one, options=one.options.model_copy(update={"threads": 2}))
    with pytest.raises(UsageError, match=r"has threads = 1, tutorial/breast-cancer 2: a run has one, name it with --t"):
        run_tasks([one, other], tmp_path / "run", [TUTORIAL], [], "lottery run")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("prune_biases = false", "prune_biases = true", r"prune_biases = true, but prunable has .*: none; change"),
        ('"2.weight"]', '"2.bias"]', r"prune_biases = false, but prunable has .*: 2\.bias; change"),
        ('"2.weight"]', '"2.wight"]', r"prunable names '2\.wight', no parameter of the model; nearest: 2\.weight"),
        ("prune_output_layer = true", 'prune_output_layer = false\noutput_layer = ["2.weight", "2.bias"]',
         r"prune_output_layer = false, but prunable has .*: 2\.weight; change"),
        ("prune_output_layer = true", 'prune_output_layer = true\noutput_layer = ["2.bias"]',
         r"prune_output_layer = true, but prunable has .*: none; change"),
        ("prune_output_layer = true", 'prune_output_layer = true\noutput_layer = ["3.weight"]',
         r"output_layer names '3\.weight', no parameter of the model"),
    ],
)  # fmt: skip
def test_what_a_task_says_of_its_prunable_tensors_must_be_so(tmp_path: Path, old: str, new: str, words: str) -> None:
    plugin = tmp_path / "mine.py"
    assert old in TUTORIAL.read_text()
    plugin.write_text(TUTORIAL.read_text().replace(old, new))
    with pytest.raises(UsageError, match=words):
        run(tmp_path / "run", plugin=str(plugin))


def test_biases_and_the_output_layer_are_pruned_where_the_task_says_so(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    text = TUTORIAL.read_text().replace('"2.weight"]', '"2.weight", "2.bias"]\noutput_layer = ["2.weight", "2.bias"]')
    plugin.write_text(text.replace("prune_biases = false", "prune_biases = true"))
    outcome, _ = run(tmp_path / "run", plugin=str(plugin))
    assert outcome.finished == 4


@pytest.mark.usefixtures("no_page")
def test_a_strangers_run_is_read_without_its_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status and report are data; the plugin that it was made with is not even looked for."""
    run(tmp_path / "run")

    def loaded(*_: object) -> None:
        raise AssertionError("a plugin was loaded")

    for place in ("suite.experiment.plugins.load_plugin", "suite.experiment.registry.load_plugin"):
        monkeypatch.setattr(place, loaded)
    monkeypatch.setattr("suite.experiment.loading.importlib.import_module", loaded)
    (row,) = progress_of(tmp_path / "run")
    assert (row["done"], row["cells"]) == (4, 4)
    (view,) = view_of(tmp_path / "run").tasks
    assert len(view.cells) == 4
    assert run_module.write(view_of(tmp_path / "run"), tmp_path / "run").is_file()


@pytest.mark.usefixtures("no_page")
def test_a_run_into_a_folder_loads_nothing_of_the_tasks_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's run.json may name any module as the references of its task."""
    run(tmp_path / "run")
    store = Store(tmp_path / "run")
    (theirs,) = store.requests()
    spec = theirs.spec.model_copy(update={"references": "antigravity:fly", "title": "Another"})
    method = theirs.method.model_copy(update={"rewind_step": 3})
    store.put_requests([theirs.model_copy(update={"spec": spec, "method": method, "references": None})])
    asked: list[str | None] = []
    monkeypatch.setattr(run_module, "references", lambda spec, _: asked.append(spec.references) or {})
    run(tmp_path / "run")
    assert asked == [None]
    assert [request.spec.references for request in store.requests()] == ["antigravity:fly", None]
