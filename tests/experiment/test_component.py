"""Components are found by name, declare their settings, and refuse in one line what they do not take."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field, model_validator
from torch import nn

from suite.experiment.component import Component, Settings
from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.optimizers import Optimizer
from suite.experiment.plugins import load_plugin
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.schedules import learning_rate
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchSettings, SupervisedLearner
from tests.experiment.toy import ToyLearner, task


class Crop(Settings):
    """A nested table."""

    padding: Annotated[int, Field(ge=0)]


class Picture(Settings):
    """Settings of every sort."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    width: Annotated[int, Field(ge=1)] = 3
    above: Annotated[float, Field(gt=0)] = 1.0
    tied: bool = True
    init: Literal["glorot", "torch"] = "torch"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (3,)
    pair: tuple[int, int] = (1, 2)
    label: Annotated[str, Field(min_length=1)] = "x"
    crop: Crop = Crop(padding=4)
    fused: bool | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Picture":
        if self.width == 13:
            raise ValueError("width = 13 with tied = true: another width is needed")
        return self


def test_each_kind_is_read_as_itself() -> None:
    read = Picture.read({"rate": 1, "width": 8.0, "hidden": [4, 5.0], "pair": (1, 2), "crop": {"padding": 2}}, "model")
    assert (read.rate, read.width, read.hidden, read.pair) == (1.0, 8, (4, 5), (1, 2))
    assert (type(read.rate), type(read.width)) == (float, int)
    assert read.crop == Crop(padding=2)
    assert read.tied is True


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"rate": "abc"}, "model.rate = 'abc': a number from 0 to 1 is needed"),
        ({"rate": 2}, "model.rate = 2: a number from 0 to 1 is needed"),
        ({"rate": True}, "model.rate = True: a number from 0 to 1 is needed"),
        ({"rate": float("nan")}, "model.rate = nan: a number from 0 to 1 is needed"),
        ({"above": 0.0}, "model.above = 0.0: a number above 0 is needed"),
        ({"width": "8"}, "model.width = '8': a whole number of at least 1 is needed"),
        ({"width": 2.5}, "model.width = 2.5: a whole number of at least 1 is needed"),
        ({"width": 0}, "model.width = 0: a whole number of at least 1 is needed"),
        ({"tied": 1}, "model.tied = 1: true or false is needed"),
        ({"fused": 1}, "model.fused = 1: true or false is needed"),
        ({"init": "troch"}, "model.init = 'troch'; nearest: torch: one of glorot, torch"),
        ({"init": 3}, "model.init = 3: one of glorot, torch"),
        ({"hidden": 3}, "model.hidden = 3: a list of whole numbers of at least 1 is needed"),
        ({"hidden": [0, 2]}, "model.hidden = [0, 2]: a list of whole numbers of at least 1 is needed"),
        ({"pair": [1]}, "model.pair = [1]: a list of 2 whole numbers is needed"),
        ({"pair": [1, 2, 3]}, "model.pair = [1, 2, 3]: a list of 2 whole numbers is needed"),
        ({"label": ""}, "model.label = '': text of at least 1 characters is needed"),
        ({"crop": 4}, "model.crop = 4: a table is needed"),
        ({"crop": {}}, "model.crop.padding is missing: a whole number of at least 0 is needed"),
        ({"crop": {"paddin": 4}}, "unknown setting model.crop.paddin; nearest: padding: one of padding"),
        ({"width": -1, "rat": 2}, "unknown setting model.rat; nearest: rate: one of rate, width, above"),
        ({"width": 13}, "model.width = 13 with tied = true: another width is needed"),
    ],
)
def test_another_value_is_refused_by_name_with_what_is_needed(table: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Picture.read(table, "model")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


class Fruit(Component):
    """A kind of component."""

    table: ClassVar[str] = "fruit"
    default: ClassVar[str | None] = "apple"


class Apple(Fruit):
    """A component without settings."""

    name: ClassVar[str] = "apple"


class Pear(Fruit):
    """A component with one."""

    name: ClassVar[str] = "pear"
    weight: float


def test_a_component_is_found_by_its_name_and_a_table_without_one_has_the_default() -> None:
    assert Fruit.names() == ["apple", "pear"]
    assert Fruit.of({"name": "pear", "weight": 2}) == Pear(weight=2.0)
    assert isinstance(Fruit.of({}), Apple)
    with pytest.raises(UsageError, match=r"^fruit\.name = 'paer'; nearest: pear, apple: one of apple, pear$"):
        Fruit.of({"name": "paer"})
    with pytest.raises(UsageError, match=r"^unknown setting fruit\.weight: one of name$"):
        Fruit.of({"weight": 1})


def test_the_name_of_data_may_carry_a_label_behind_a_hyphen() -> None:
    assert isinstance(Fruit.of_data("apple-red", {}), Apple)
    for other in ("applered", "red-apple"):
        with pytest.raises(UsageError, match=rf"^data\.name = '{other}'"):
            Fruit.of_data(other, {})


def test_two_components_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match=r"fruit: 'apple' of elsewhere exists already in tests\.experiment"):
        type("Other", (Fruit,), {"name": "apple", "__module__": "elsewhere"})


def test_what_a_task_leaves_out_is_left_to_torch() -> None:
    """So a default that is stated here cannot differ from the one that trains."""
    for name in Optimizer.names():
        chosen = Optimizer.of({"name": name})
        assert chosen.arguments == {}
        (group,) = chosen.build([nn.Parameter(torch.zeros(1))]).param_groups
        stated = chosen.model_dump()
        assert {key: group[key] for key in stated} == stated


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "cosine", "warmupp": 30}, r"unknown setting training\.schedule\.warmupp; nearest: warmup"),
        (
            {"name": "cosine", "warmup": "long"},
            r"training\.schedule\.warmup = 'long': a number of at least 0 is needed",
        ),
        ({"name": "step"}, r"training\.schedule\.milestones is missing: a list of whole numbers"),
        ({"name": "step", "milestones": [1], "gama": 2}, r"unknown setting training\.schedule\.gama; nearest: gamma"),
        ({"name": "linear", "milestones": [1]}, r"unknown setting training\.schedule\.milestones"),
        (
            {"name": "cosin"},
            r"training\.schedule\.name = 'cosin'; nearest: cosine.*one of constant, cosine, inverse-sqrt",
        ),
        ({}, r"training\.schedule\.name is missing: one of constant"),
    ],
)
def test_a_schedule_refuses_what_it_has_not(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        learning_rate(settings, Span(0, 9), 9)


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        ({"name": "constant"}, [1, 1, 1, 1]),
        ({"name": "constant", "warmup": 2}, [0.5, 1, 1, 1]),
        ({"name": "linear"}, [1, 0.75, 0.5, 0.25]),
        ({"name": "cosine"}, [1, 0.8535534, 0.5, 0.1464466]),
        ({"name": "step", "milestones": [1, 3]}, [1, 0.1, 0.1, 0.01]),
        ({"name": "step", "milestones": [1, 3], "gamma": 0.5}, [1, 0.5, 0.5, 0.25]),
        ({"name": "inverse-sqrt", "warmup": 1}, [1, 0.7071068, 0.5773503, 0.5]),
        ({"name": "inverse-sqrt-fairseq", "warmup": 2, "start": 0.2}, [0.2, 0.6, 1, 0.8164966]),
        ({"name": "inverse-sqrt-fairseq"}, [1, 1, 0.7071068, 0.5773503]),
    ],
)
def test_each_schedule_has_its_own_shape(settings: dict[str, Any], factors: list[float]) -> None:
    rate = learning_rate(settings, Span(0, 4), 4)
    assert [rate(step) for step in range(4)] == pytest.approx(factors)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "adam", "lrr": 1e-3}, r"unknown setting training\.optimizer\.lrr; nearest: lr.*: one of name, lr, "),
        ({"name": "sgd", "betas": [0.9, 0.99]}, r"unknown setting training\.optimizer\.betas"),
        ({"name": "adam", "params": 1}, r"unknown setting training\.optimizer\.params"),
        ({"name": "adam", "lr": -1.0}, r"training\.optimizer\.lr = -1\.0: a number of at least 0 is needed"),
        (
            {"name": "adam", "betas": [0.9]},
            r"training\.optimizer\.betas = \[0\.9\]: a list of 2 numbers of at least 0 and below 1 is needed",
        ),
        ({"name": "adam", "betas": [0.9, 2.0]}, r"betas = \[0\.9, 2\.0\]: a list of 2 numbers of at least 0"),
        ({"name": "adam", "eps": "small"}, r"eps = 'small': a number of at least 0 is needed"),
        ({"name": "adam", "fused": True, "foreach": True}, r"adam refuses .*`fused` and `foreach`"),
        ({"lr": 0.1}, r"training\.optimizer\.name is missing: one of adam, adamw"),
    ],
)
def test_an_optimizer_refuses_what_it_has_not(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Optimizer.of(settings).build([nn.Parameter(torch.zeros(1))])


def built(settings: dict[str, Any], of: type[SupervisedLearner] = ToyLearner) -> SupervisedLearner:
    spec = task().spec
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"settings": settings})})
    return of(spec, Streams(spec.hash, 1000), Span(0, 4), Runtime())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clipp": 1.0}, r"^unknown setting training\.settings\.clipp; nearest: clip: one of clip$"),
        ({"clip": "hard"}, r"training\.settings\.clip = 'hard': a number of at least 0 is needed"),
        ({"clip": -1}, r"training\.settings\.clip = -1: a number of at least 0 is needed"),
    ],
)
def test_a_learner_on_batches_refuses_another_setting_than_clip(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        built(settings)


def test_a_learner_adds_settings_of_its_own_by_a_class_that_declares_them() -> None:
    class Smoothed(BatchSettings):
        smoothing: float = Field(description="share of the target spread over all classes")

    class Own(ToyLearner):
        components = replace(ToyLearner.components, settings=Smoothed)

    made = built({"smoothing": 0.25, "clip": 1.5}, Own)
    assert made._clip == 1.5
    with pytest.raises(UsageError, match=r"unknown setting training\.settings\.smothing; nearest: smoothing"):
        built({"smoothing": 0.25, "smothing": 0.5}, Own)
    with pytest.raises(UsageError, match=r"training\.settings\.smoothing is missing: a number is needed"):
        built({}, Own)


def test_the_readmes_schedule_is_found_in_a_plugin_and_trains(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "class Triangle" in block)
    (tmp_path / "triangle.py").write_text(code)
    assert load_plugin(tmp_path / "triangle.py") == []
    changes = {"training.schedule.name": "triangle", "training.schedule.peak": 0.25}
    made = Registry().find("vision/mnist5k-lenet300").at("smoke", changes)
    factor = learning_rate(made.spec.training.schedule, Span(0, 40), 40)
    assert [factor(step) for step in (0, 5, 10, 25)] == pytest.approx([0, 0.5, 1, 0.5])
    assert made.code == sha256(code.encode()).hexdigest()
    with pytest.raises(UsageError, match=r"training\.schedule\.peak = 1\.5: a number above 0 and below 1 is needed"):
        Registry().find("vision/mnist5k-lenet300").at("smoke", {**changes, "training.schedule.peak": 1.5})
