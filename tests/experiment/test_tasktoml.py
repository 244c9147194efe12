"""What `lottery show` prints is a task: it loads, it is the same one, and it says what every setting is."""

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, Field

from suite.experiment.component import Component, Components, Settings
from suite.experiment.registry import Registry
from suite.experiment.resolve import components_of, read_components
from suite.experiment.taskfile import Task, read_task
from suite.experiment.tasktoml import as_toml
from tests.experiment.toy import TOML, ToyLearner

HERE = "tests.experiment.test_tasktoml"
TASKS = Registry().ids


class Crop(Settings):
    """A nested table."""

    padding: int = Field(description="pixels added at each side")
    mode: str = Field(default="zero", description="what they hold")


class Shapes(Component):
    """Models of many settings."""

    table: ClassVar[str] = "model"
    default: ClassVar[str | None] = "shape"


class Shape(Shapes):
    """A network
    of two layers."""

    name: ClassVar[str] = "shape"

    hidden: int = Field(description="units")
    dropout: float = Field(description="probability")
    rates: tuple[float, ...] = Field(default=(0.5, 1.0), description="several numbers")
    label: str = Field(default='a "quoted" \\ word', description="x " * 80)
    crop: Crop | None = Field(default=None, description="how images are cut")


class Shaped(ToyLearner):
    """A learner whose model has settings of every sort."""

    components = Components(model=Shapes)


def shaped(model: str) -> Task:
    text = TOML.replace("tests.experiment.toy:ToyLearner", f"{HERE}:Shaped")
    return read_task(text.replace("{hidden = 16, dropout = 0.0}", model), "toy.toml").at("smoke")


def again(task: Task, text: str | None = None) -> Task:
    return read_task(text or as_toml(task), "saved.toml").at(task.spec.scale)


@pytest.mark.parametrize("task_id", TASKS)
def test_a_shown_task_is_the_same_task_at_every_scale(task_id: str) -> None:
    file = Registry().find(task_id)
    for scale in file.scales:
        task = file.at(scale)
        saved = again(task)
        assert saved == task
        assert saved.spec.hash == task.spec.hash


def test_values_of_every_sort_come_back() -> None:
    task = shaped(
        '{hidden = 16, dropout = 0.0, rates = [1.0, 1e-7], label = "ein \\"Wort\\" \\\\ ü\\n", crop = {padding = 4}}'
    )
    assert again(task) == task
    assert task.spec.model["crop"] == {"padding": 4}


def test_a_shown_task_under_another_id_is_another_task_that_plans(tmp_path: Path) -> None:
    from suite.choose import choose
    from suite.run import plans_of

    text = as_toml(Registry().find("vision/mnist5k-lenet300").at("smoke"))
    saved = tmp_path / "mine.toml"
    saved.write_text(
        text.replace('id = "vision/mnist5k-lenet300"', 'id = "vision/mine"').replace("batch = 60", "batch = 50")
    )
    (task,) = choose(["vision/mine"], None, [], {}, (), [saved])
    (plan,) = plans_of([task], [saved])
    assert (task.spec.id, task.spec.training.batch) == ("vision/mine", 50)
    assert len(plan.cells) == 14


def described(model: type[BaseModel]) -> list[tuple[str, str]]:
    return [(name, field.description or "") for name, field in model.model_fields.items()]


@pytest.mark.parametrize("task_id", TASKS)
def test_every_setting_of_every_component_is_shown_with_what_it_is(task_id: str) -> None:
    task = Registry().find(task_id).at("smoke")
    words = " ".join(line.removeprefix("# ") for line in as_toml(task).splitlines())
    found: dict[str, Any] = read_components(components_of(task.spec), task.spec)
    for component in found.values():
        for name, description in described(type(component)):
            assert f"{name} =" in words
            assert description
            assert " ".join(description.split()) in words
    for model in (type(task.spec), type(task.spec.metric), type(task.spec.cost), type(task.method), type(task.options)):
        assert all(text for name, text in described(model) if name not in ("data", "training", "metric", "cost"))


def test_a_default_is_a_comment_that_gives_it_when_its_sign_is_taken_away() -> None:
    text = as_toml(shaped("{hidden = 16, dropout = 0.0}"))
    assert "rates" not in tomllib.loads(text)["model"]
    assert tomllib.loads(text.replace("# rates", "rates"))["model"]["rates"] == [0.5, 1.0]
    assert tomllib.loads(text.replace("# label", "label"))["model"]["label"] == 'a "quoted" \\ word'
    assert "# crop =  # (unset) how images are cut" in text
    assert "# A network of two layers.\n[model]" in text
