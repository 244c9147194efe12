"""Task files share numbers by `extends` and variants, count in epochs, and name tensors by patterns."""

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from suite.experiment.component import Component, Components
from suite.experiment.errors import UsageError
from suite.experiment.plugins import folder_of
from suite.experiment.supervised import SupervisedLearner
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task, TaskFile, read_task, read_tasks
from tests.experiment.toy import TOML, ToyLearner


class Points(Component):
    """Data of a hundred points."""

    table: ClassVar[str] = "data.settings"
    name: ClassVar[str] = "points"
    size: int = 100

    def epoch_steps(self, batch: int, settings: Any) -> int:
        return self.size // batch


class Counted(ToyLearner):
    """A learner whose data have epochs, and which is never built for the names of its parameters."""

    components = Components(
        data=Points, optimizer=SupervisedLearner.components.optimizer, schedule=SupervisedLearner.components.schedule
    )

    @classmethod
    def parameter_shapes(cls, spec: object) -> dict[str, tuple[int, ...]]:
        return {"0.weight": (16, 2), "0.bias": (16,), "2.weight": (3, 16), "2.bias": (3,)}

    @classmethod
    def check_spec(cls, spec: TaskSpec) -> None:
        if spec.training.total_steps == 13:
            raise UsageError("13 steps with points: another number is needed")


HERE = "tests.experiment.test_taskfile"
COUNTED = TOML.replace("tests.experiment.toy:ToyLearner", f"{HERE}:Counted")


def at(text: str, **changes: Any) -> Task:
    return read_task(text, "toy.toml").at("smoke", {key.replace("__", "."): value for key, value in changes.items()})


def test_fragments_are_merged_in_order_and_the_file_over_them(tmp_path: Path) -> None:
    """What a fragment extends lies beside it."""
    (tmp_path / "fragments").mkdir()
    (tmp_path / "fragments" / "one.toml").write_text(
        "[training]\nbatch = 8\ntotal_steps = 10\n[scales.quick]\ntraining.batch = 4"
    )
    (tmp_path / "fragments" / "two.toml").write_text('extends = ["one.toml"]\n[training]\ntotal_steps = 20')
    (tmp_path / "base.toml").write_text(TOML)
    text = 'extends = ["base.toml", "fragments/two.toml"]\nid = "toy/other"\n[training]\noptimizer = {lr = 0.5}'
    (task,) = read_tasks(text, "other.toml", fragments=folder_of(tmp_path))
    smoke, quick = task.at("smoke").spec, task.at("quick").spec
    assert task.id == "toy/other"
    assert (smoke.training.batch, quick.training.batch) == (8, 4)
    assert smoke.training.total_steps == 20
    assert smoke.training.optimizer == {"name": "adam", "lr": 0.5}


def test_a_task_that_extends_is_hashed_as_if_all_were_written_in_it(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(TOML)
    (task,) = read_tasks('extends = ["base.toml"]', "other.toml", fragments=folder_of(tmp_path))
    assert task.at("smoke").spec.hash == at(TOML).spec.hash


def test_data_are_the_same_component_up_to_the_first_hyphen(tmp_path: Path) -> None:
    """So a scale that reads another part of a text changes its name and its part alone."""
    data = '{name = "points-a", fingerprint = "none", settings = {n = 3}}'
    base = TOML.replace('{name = "points", fingerprint = "none"}', data)
    (tmp_path / "base.toml").write_text(base)
    for name, kept in (("points-b", {"n": 3}), ("points", {"n": 3}), ("pointers", {})):
        text = f'extends = ["base.toml"]\ndata = {{name = "{name}", fingerprint = "other"}}'
        (task,) = read_tasks(text, "other.toml", fragments=folder_of(tmp_path))
        assert task.at("smoke").spec.data.settings == kept


def test_a_table_that_names_another_component_starts_afresh(tmp_path: Path) -> None:
    """The momentum of SGD is none of Adam's business."""
    (tmp_path / "base.toml").write_text(
        TOML.replace('{name = "adam", lr = 0.02}', '{name = "adam", betas = [0.5, 0.9]}')
    )
    text = 'extends = ["base.toml"]\n[training]\noptimizer = {name = "sgd", lr = 0.5}'
    (task,) = read_tasks(text, "other.toml", fragments=folder_of(tmp_path))
    assert task.at("smoke").spec.training.optimizer == {"name": "sgd", "lr": 0.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "base.toml"', r"extends = 'base.toml': a list of file names is needed"),
        (
            'extends = ["none.toml"]',
            r"toy.toml: extends names 'none.toml' in .*, which cannot be read .*: a name is rel",
        ),
        ('extends = ["lost.toml"]', r"lost.toml: extends names 'none.toml' in .*, which cannot be read"),
        ('extends = ["circle.toml"]', r"extends goes in a circle: circle.toml -> circle.toml"),
        ('extends = ["broken.toml"]', r"broken.toml is no TOML"),
    ],
)
def test_a_fragment_that_cannot_be_used_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "circle.toml").write_text('extends = ["circle.toml"]')
    (tmp_path / "lost.toml").write_text('extends = ["none.toml"]')
    (tmp_path / "broken.toml").write_text("= 3")
    with pytest.raises(UsageError, match=words):
        read_tasks(text, "toy.toml", fragments=folder_of(tmp_path))


def test_fragments_in_two_folders_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fragments").mkdir()
    (tmp_path / "one.toml").write_text('extends = ["fragments/two.toml"]')
    (tmp_path / "fragments" / "two.toml").write_text('extends = ["../one.toml"]')
    with pytest.raises(UsageError, match=r"circle: one.toml -> fragments/two.toml -> one.toml"):
        read_tasks('extends = ["one.toml"]', "toy.toml", fragments=folder_of(tmp_path))


def test_a_text_that_is_no_file_cannot_extend() -> None:
    with pytest.raises(UsageError, match=r"extends names 'base.toml', but this task is no file"):
        read_tasks('extends = ["base.toml"]', "an entry point")


def variants(text: str) -> dict[str, TaskFile]:
    return {task.id: task for task in read_tasks(text, "toy.toml")}


def test_one_file_holds_a_task_for_each_variant() -> None:
    text = TOML.replace("Points on a plane", "Points of {variant}") + (
        "[variants.wide]\nmodel.hidden = 64\n[variants.long]\nscales.smoke.training.total_steps = 80"
    )
    found = variants(text)
    assert set(found) == {"toy/points-wide", "toy/points-long"}
    assert found["toy/points-wide"].at("smoke").spec.model["hidden"] == 64
    assert found["toy/points-wide"].at("smoke").spec.title == "Points of wide"
    assert found["toy/points-long"].at("smoke").spec.training.total_steps == 80


def test_the_variants_name_goes_where_the_id_has_it() -> None:
    text = TOML.replace("toy/points", "toy/points-{variant}-net") + "[variants.a]\n[variants.b]"
    assert set(variants(text)) == {"toy/points-a-net", "toy/points-b-net"}


def test_a_variant_extends_fragments_of_its_own_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "sgd.toml").write_text('training.optimizer = {name = "sgd", lr = 0.1}')
    text = f'{TOML}[variants.a]\nextends = ["sgd.toml"]\ntraining.optimizer.lr = 0.2\n[variants.b]'
    found = {task.id: task.at("smoke").spec.training for task in read_tasks(text, "t.toml", "", folder_of(tmp_path))}
    assert found["toy/points-a"].optimizer == {"name": "sgd", "lr": 0.2}
    assert found["toy/points-b"].optimizer == at(TOML).spec.training.optimizer


def test_variants_that_are_no_tables_are_refused() -> None:
    with pytest.raises(UsageError, match=r"toy.toml: variants = 3: tables \[variants.<name>\] are needed"):
        read_tasks(f"variants = 3\n{TOML}", "toy.toml")


def test_epochs_are_steps_of_the_splits_size_and_the_batch() -> None:
    """A hundred points in batches of 16 are six steps."""
    text = COUNTED.replace("total_steps = 40", "epochs = 5").replace(
        '{name = "cosine"}', '{name = "step", milestones_epochs = [1, 2.5], warmup_epochs = 0.5}'
    )
    made = at(text.replace("rate = 0.4", "rate = 0.4, rewind_epoch = 1"))
    assert made.spec.training.total_steps == 30
    assert made.spec.training.schedule == {"name": "step", "milestones": [6, 15], "warmup": 3}
    assert made.method.rewind_step == 6
    written = COUNTED.replace("total_steps = 40", "total_steps = 30").replace(
        '{name = "cosine"}', '{name = "step", milestones = [6, 15], warmup = 3}'
    )
    assert made.spec.hash == at(written).spec.hash


def test_epochs_at_a_scale_replace_steps_and_the_other_way_round() -> None:
    assert at(f"{COUNTED}training.epochs = 2\nmethod.rewind_epoch = 1").method.rewind_step == 6
    assert at(f"{COUNTED}training.epochs = 2").spec.training.total_steps == 12
    in_epochs = COUNTED.replace("total_steps = 40", "epochs = 5")
    assert at(f"{in_epochs}training.total_steps = 7").spec.training.total_steps == 7
    assert at(COUNTED, training__epochs=3, rewind_epoch=0.5).spec.training.total_steps == 18
    assert at(COUNTED, rewind_epoch=0.5).method.rewind_step == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TOML.replace("total_steps = 40", "epochs = 5"), r"data points have no epochs here: give total_steps"),
        (COUNTED.replace("total_steps = 40", "epochs = inf"), r"epochs = inf: a number of at least 0 is needed"),
        (
            COUNTED.replace("= 40", "= 40, epochs = 2"),
            r"training has total_steps and epochs, which are",
        ),
        (
            COUNTED.replace('"cosine"', '"cosine", warmup = 1, warmup_epochs = 2'),
            r"schedule has warmup and warmup_epochs",
        ),
        (
            COUNTED.replace("rate = 0.4", "rewind_step = 4, rewind_epoch = 2"),
            r"method has rewind_step and rewind_e",
        ),
        (COUNTED.replace("total_steps = 40", "epochs = -1"), r"epochs = -1: a number of at least 0 is needed"),
        (COUNTED.replace("total_steps = 40", "epochs = 1").replace("= 16, o", "= 101, o"), r"batch = 101 exceeds the"),
    ],
)
def test_epochs_that_cannot_be_counted_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        at(text)


@pytest.mark.parametrize("text", [TOML, COUNTED])
def test_patterns_stand_for_parameters_in_the_models_order(text: str) -> None:
    """For a learner that says their names, and for one that is built to find them."""
    made = at(text.replace('["0.weight", "2.weight"]', '["*.weight"]'))
    assert made.spec.prunable == ("0.weight", "2.weight")
    assert made.spec.hash == at(text).spec.hash
    biased = text.replace('["0.weight", "2.weight"]', '["2.*", "?.weight"]').replace("biases = false", "biases = true")
    assert at(biased).spec.prunable == (
        "2.weight",
        "2.bias",
        "0.weight",
    )


def test_a_pattern_without_a_parameter_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"prunable = '\*\.wait' matches no parameter of the model; nearest: "):
        at(COUNTED.replace('["0.weight", "2.weight"]', '["*.wait"]'))


def test_what_a_component_refuses_is_refused_when_the_task_is_chosen() -> None:
    with pytest.raises(UsageError, match=r"toy/points smoke: unknown setting data\.settings\.sise; nearest: size"):
        at(COUNTED.replace('fingerprint = "none"', 'fingerprint = "none", settings = {sise = 3}'))
    with pytest.raises(UsageError, match=r"training\.optimizer\.name = 'adma'; nearest: adam"):
        at(COUNTED, training__optimizer__name="adma")


def test_settings_that_another_component_has_not_are_dropped_when_it_is_chosen_on_the_command_line() -> None:
    text = COUNTED.replace('{name = "adam", lr = 0.02}', '{name = "adam", lr = 0.02, betas = [0.5, 0.9]}')
    made = at(text, training__optimizer__name="sgd", training__optimizer__momentum=0.9)
    assert made.spec.training.optimizer == {"name": "sgd", "lr": 0.02, "momentum": 0.9}


def test_a_learner_that_cannot_be_imported_is_left_to_its_cells() -> None:
    """One missing library must not keep the other tasks of a run from being planned."""
    missing = TOML.replace("tests.experiment.toy:ToyLearner", "nowhere.at_all:Learner")
    assert at(missing).spec.learner == "nowhere.at_all:Learner"


def test_a_task_of_anothers_component_has_the_digest_of_its_file() -> None:
    """So an edited component never meets cells of its former edition."""
    made = at(COUNTED)
    assert made.code
    assert made.code != at(TOML).code


def test_what_a_learner_can_tell_without_its_data_is_refused_when_the_task_is_chosen() -> None:
    with pytest.raises(UsageError, match=r"13 steps with points: another number is needed"):
        at(COUNTED, training__total_steps=13)
    with pytest.raises(UsageError, match=r"prunable names '0\.wait', no parameter of the model; nearest: 0\.weight"):
        at(COUNTED.replace('"0.weight"', '"0.wait"'))
    with pytest.raises(UsageError, match=r"prune_biases = true, but prunable has of the biases .*: none"):
        at(COUNTED.replace("biases = false", "biases = true"))


def test_a_learner_that_crashes_while_it_is_built_for_its_names_is_refused() -> None:
    text = TOML.replace("tests.experiment.toy:ToyLearner", f"{HERE}:Crashing")
    with pytest.raises(UsageError, match=r"not be built to see them: its process ended with SIGKILL: list the names"):
        at(text.replace('["0.weight", "2.weight"]', '["*.weight"]'))


class Crashing(ToyLearner):
    """A learner whose constructor ends its process."""

    def __init__(self, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
