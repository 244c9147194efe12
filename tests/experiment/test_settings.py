"""A task's free tables are read strictly: what is misspelt, missing or of another kind is refused in one line."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.runtime import Runtime
from suite.experiment.schedule import learning_rate
from suite.experiment.settings import Reader
from suite.experiment.streams import Streams
from suite.experiment.supervised import SupervisedLearner, optimizer
from suite.experiment.task import TaskSpec
from tests.experiment.toy import ToyLearner, task

TABLE = {"rate": 0.5, "layers": 3, "wide": 8.0, "tied": True, "init": "torch", "hidden": [4, 5.0], "pair": (1, 2)}


def reader() -> Reader:
    return Reader("model", TABLE)


def test_each_kind_is_read_as_itself() -> None:
    read = reader()
    assert read.number("rate", least=0, most=0.5) == 0.5
    assert read.number("warmup", 7) == 7
    assert (read.whole("layers", least=3), read.whole("wide")) == (3, 8)
    assert type(read.whole("wide")) is int
    assert read.flag("tied") is True
    assert read.word("init", ("glorot", "torch")) == "torch"
    assert read.wholes("hidden", least=4) == [4, 5]
    assert read.wholes("pair", count=2) == [1, 2]
    read.close()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda read: read.number("absent"), r"model\.absent is missing: a number is needed"),
        (lambda read: read.number("init"), r"model\.init = 'torch': a number is needed"),
        (lambda read: read.number("tied"), r"model\.tied = True: a number is needed"),
        (lambda read: read.number("rate", least=1), r"model\.rate = 0\.5: a number of at least 1 is needed"),
        (lambda read: read.number("layers", least=0, most=1), r"model\.layers = 3: a number from 0 to 1 is needed"),
        (lambda read: read.whole("absent"), r"model\.absent is missing: a whole number of at least 1 is needed"),
        (lambda read: read.whole("rate"), r"model\.rate = 0\.5: a whole number of at least 1 is needed"),
        (lambda read: read.whole("tied"), r"model\.tied = True: a whole number"),
        (lambda read: read.whole("hidden"), r"model\.hidden = \[4, 5\.0\]: a whole number"),
        (lambda read: read.whole("layers", least=4), r"model\.layers = 3: a whole number of at least 4 is needed"),
        (lambda read: read.wholes("layers"), r"model\.layers = 3: a list of whole numbers of at least 1 is needed"),
        (lambda read: read.wholes("hidden", least=5), r"a list of whole numbers of at least 5 is needed"),
        (lambda read: read.wholes("hidden", count=3), r"a list of 3 whole numbers of at least 1 is needed"),
        (lambda read: read.flag("layers"), r"model\.layers = 3: true or false is needed"),
        (lambda read: read.flag("absent"), r"model\.absent is missing: true or false is needed"),
        (lambda read: read.word("init", ["troch"]), r"model\.init = 'torch'; nearest: troch: one of troch"),
        (lambda read: read.word("hidden", ["torch"]), r"model\.hidden = \[4, 5\.0\]: one of torch"),
        (lambda read: read.word("absent", ["torch"]), r"model\.absent is missing: one of torch"),
    ],
)
def test_another_value_is_refused_by_name_with_what_is_needed(ask: Callable[[Reader], object], words: str) -> None:
    with pytest.raises(UsageError, match=f"{words}$" if words.endswith("needed") else words):
        ask(reader())


def test_what_nobody_asked_for_is_refused_with_the_nearest_that_somebody_did() -> None:
    read = Reader("model", {"hidden": 3, "dropoutt": 0.1})
    read.whole("hidden")
    read.number("dropout", 0)
    with pytest.raises(
        UsageError, match=r"^unknown setting model\.dropoutt; nearest: dropout: one of hidden, dropout$"
    ):
        read.close()


def test_a_functions_parameters_are_what_its_arguments_may_be() -> None:
    def make(things: object, rate: float = 0.1, decay: float = 0) -> None:
        """Nothing."""

    read = Reader("it", {"name": "make", "rate": 2})
    read.word("name", ["make"])
    assert read.arguments(make, without=("things",)) == {"rate": 2}
    for key in ("rat", "things"):
        with pytest.raises(UsageError, match=rf"unknown setting it\.{key}.*: one of rate, decay"):
            Reader("it", {key: 2}).arguments(make, without=("things",))


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
        ({"name": "cosin"}, r"training\.schedule\.name = 'cosin'; nearest: cosine.*one of constant, cosine, linear"),
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
        ({"name": "adam", "betas": [0.9]}, r"training\.optimizer: adam refuses \{'betas': \[0\.9\]\}"),
        ({"name": "adam", "betas": [0.9, 2.0]}, r"adam refuses .*Invalid beta parameter at index 1: 2\.0"),
        ({"name": "adam", "eps": "small"}, r"adam refuses \{'eps': 'small'\}"),
        ({"name": "adam", "fused": True, "foreach": True}, r"adam refuses .*`fused` and `foreach`"),
        ({"lr": 0.1}, r"training\.optimizer\.name is missing: one of adam, adamw"),
    ],
)
def test_an_optimizer_refuses_what_it_has_not(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        optimizer([nn.Parameter(torch.zeros(1))], settings)


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


def test_a_learner_adds_settings_of_its_own_by_reading_them_first() -> None:
    class Own(ToyLearner):
        def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
            settings = Reader("training.settings", spec.training.settings)
            self.smoothing = settings.number("smoothing")
            SupervisedLearner.__init__(self, spec, streams, span, runtime, lambda: nn.Linear(2, 3), settings)

    made = built({"smoothing": 0.25, "clip": 1.0}, Own)
    assert isinstance(made, Own)
    assert made.smoothing == 0.25
    with pytest.raises(UsageError, match=r"training\.settings\.smothing"):
        built({"smoothing": 0.25, "smothing": 0.5}, Own)
