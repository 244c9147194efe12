"""Tasks are found by name, read strictly, and refused in one line that names the remedy."""

from pathlib import Path

import pytest

from suite.choose import choose
from suite.experiment.collection import collections
from suite.experiment.domain import domains
from suite.experiment.errors import UsageError
from suite.experiment.loading import builder, cohort_builder
from suite.experiment.method import Method
from suite.experiment.methods import method_changes, methods
from suite.experiment.plugins import load_plugin
from suite.experiment.registry import Registry
from suite.experiment.taskfile import read_task
from suite.results.stats import LEAST_REPLICATES
from tests.experiment.toy import TOML

STARTERS = [
    "nlp/kjv-lstm",
    "nlp/numbers-transformer",
    "rl/cartpole",
    "vision/mnist5k-a-lenet300",
    "vision/mnist5k-b-lenet300",
    "vision/mnist5k-lenet300",
]


def test_every_built_in_task_reads_at_every_scale_one_of_them_for_tests() -> None:
    registry = Registry()
    for task_id in registry.ids:
        task = registry.find(task_id)
        assert "smoke" in task.scales
        assert {"lite", "quick"} <= set(task.scales) or task_id not in STARTERS
        specs = [task.at(scale).spec for scale in task.scales]
        assert len({spec.hash for spec in specs}) == len(specs)
        assert not any("{" in spec.measured_on for spec in specs)


def test_the_quickstart_asks_for_what_it_promises() -> None:
    """Six or more densities down to .1 or below; three arms, at three of them or more; the replicates that decide."""
    tasks = choose(["quickstart"], None, [], {}, [], [])
    assert len(tasks) == len(collections()["quickstart"].tasks) == 4
    for task in tasks:
        assert task.spec.scale == "quick"
        assert task.options.levels + 1 >= 6
        assert (1 - task.method.rate) ** task.options.levels <= 0.1
        assert task.options.at is not None
        assert len(task.options.at) >= 3
        assert max(task.options.at) == task.options.levels
        assert set(task.options.arms) >= {"winning", "reinit", "random"}
        assert task.options.replicates == LEAST_REPLICATES


def test_every_built_in_learner_and_cohort_has_a_result_version_and_no_version_lacks_its_learner() -> None:
    registry = Registry()
    specs = [registry.find(name).at(scale).spec for name in registry.ids for scale in registry.find(name).scales]
    named = {reference for spec in specs for reference in (spec.learner, spec.cohort) if reference is not None}
    assert {name for domain in domains().values() for name in domain.result_versions} == named
    for spec in specs:
        assert builder(spec)
        assert spec.cohort is None or cohort_builder(spec)


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="nearest: vision/mnist5k-lenet300"):
        Registry().find("vision/mnist-lenet")


def test_every_named_method_is_a_valid_method() -> None:
    assert set(methods()) == {
        "imp", "imp-actor", "imp-layerwise", "imp-no-rewind", "lr-rewind", "fine-tune", "one-shot", "snip", "grasp",
        "synflow", "random", "random-erk",
    }  # fmt: skip
    for name in methods():
        assert Method(**method_changes(name)).name == name


def test_the_hash_changes_with_every_number_and_not_with_words() -> None:
    def spec_hash(text: str) -> str:
        return read_task(text, "toy.toml").at("smoke").spec.hash

    before = spec_hash(TOML)
    assert spec_hash(TOML.replace("total_steps = 40", "total_steps = 41")) != before
    assert spec_hash(TOML.replace("margin = 0.02", "margin = 0.03")) != before
    assert spec_hash(TOML.replace("Points on a plane", "Dots")) == before
    assert spec_hash(TOML.replace("flops_per_step = 1e3", "flops_per_step = 2e3")) == before
    assert spec_hash(TOML.replace("data = ", 'output_layer = ["2.weight"]\ndata = ')) == before


def test_a_changed_task_says_so_in_its_version() -> None:
    task = read_task(TOML, "toy.toml").at("smoke", {"training.total_steps": 41})
    assert task.spec.version == "1.0.0+changed"
    assert task.spec.title == "Points on a plane, with training.total_steps = 41"
    again = read_task(TOML.replace('"1.0.0"', '"1.0.0+changed"'), "toy.toml").at("smoke", {"prune_biases": True}).spec
    assert (again.version, again.title) == ("1.0.0+changed", "Points on a plane, with prune_biases = true")
    assert read_task(TOML, "toy.toml").at("smoke", {"rewind_step": 3}).spec.version == "1.0.0"


def test_the_title_of_a_task_with_much_changed_stays_short() -> None:
    changes = {"data.fingerprint": "f" * 64, "training.total_steps": 41, "training.batch": 8}
    title = read_task(TOML, "toy.toml").at("smoke", changes).spec.title
    assert title == "Points on a plane, with data.fingerprint = …, training.total_steps = 41 and 1 more"


def test_what_a_score_is_measured_on_has_the_numbers_of_the_settings() -> None:
    changes = {"metric.measured_on": "clips at {clip}, {other}", "training.settings.clip": 3.0}
    assert read_task(TOML, "toy.toml").at("smoke", changes).spec.measured_on == "clips at 3.0, {other}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("prune_biases", "prune_bias", r"toy\.toml: unknown setting prune_bias; nearest: prune_biases"),
        ("total_steps = 40", "total_stepz = 40", r"unknown setting training\.total_stepz; nearest: total_steps"),
        ("rate = 0.4", "rat = 0.4", r"unknown setting method\.rat; nearest: rate"),
        (
            "lr = 0.02",
            "lr = inf",
            r"toy\.toml: training\.optimizer\.lr = inf: a finite number, text, true or false, or",
        ),
        (
            "hidden = 16",
            "hidden = 2020-01-01",
            r"toy\.toml: model\.hidden = datetime\.date\(2020, 1, 1\): a finite number",
        ),
        ("rate = 0.4", "rate = 1.5", r"method\.rate = 1\.5: a number from 0 to 1 is needed"),
        ("levels = 2", "levels = -1", r"run\.levels = -1: a whole number from 0 to 200 is needed"),
        ('id = "toy/points"', 'id = "points"', r"id = 'points': text of the form"),
        ('title = "Points on a plane"', 'title = "Points', r"toy\.toml is no TOML"),
        ("[scales.smoke]", "[scale.smoke]", r"no \[scales\.<name>\] table"),
        ("[scales.smoke]", "[scales]\nsmoke = 3", r"toy\.toml: scales\.smoke = 3: a table is needed"),
        ("method = {rate = 0.4}", "method = 3", r"toy\.toml: method = 3: a table is needed"),
    ],
)
def test_a_broken_task_file_is_refused_by_name_and_field(old: str, new: str, words: str) -> None:
    assert old in TOML
    with pytest.raises(UsageError, match=words):
        read_task(TOML.replace(old, new), "toy.toml")


def test_a_plugin_that_does_not_import_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nowhere_to_be_found")
    with pytest.raises(UsageError, match=r"fails on import: ModuleNotFoundError: .*nowhere_to_be_found"):
        load_plugin(broken)
    with pytest.raises(UsageError, match="no plugin file"):
        load_plugin(tmp_path / "missing.py")


def test_an_edited_plugin_meets_no_stale_cells(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(f"TASK = {TOML!r}")
    (first,) = load_plugin(plugin)
    plugin.write_text(f"TASK = {TOML!r}\n# another version")
    (second,) = load_plugin(plugin)
    assert first.code != second.code
    assert first.at("smoke").spec.hash == second.at("smoke").spec.hash


def test_a_plugin_extends_a_task_that_the_suite_ships(tmp_path: Path) -> None:
    """Which extends fragments that lie beside it, and not beside the plugin."""
    shipped = domains()["rl"].tasks / "acrobot.toml"
    (tmp_path / "mine.toml").write_text(f'extends = ["{shipped.as_posix()}"]\nid = "mine/acrobot"')
    (mine,) = load_plugin(tmp_path / "mine.toml")
    spec = mine.at("smoke").spec
    assert spec.model_copy(update={"id": "rl/acrobot"}).hash == Registry().find("rl/acrobot").at("smoke").spec.hash


def test_two_tasks_of_one_id_are_refused(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(f"TASKS = [{TOML!r}, {TOML!r}]")
    with pytest.raises(UsageError, match=r'exists already in .*plugin.py: give it an id .* id = "mine/points"'):
        Registry([plugin])
