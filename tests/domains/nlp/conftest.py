"""Tasks at scale `smoke`, and learners of them."""

from collections.abc import Callable
from typing import Any

import pytest

from domains.nlp.learner import LanguageModelLearner, TranslationLearner
from suite.experiment.learner import Span
from suite.experiment.loading import builder
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.taskfile import Task

NAMES = (
    "kjv-lstm",
    "numbers-transformer",
    "multi30k-transformer",
    "wikitext2-lstm",
    "wmt14-transformer-base",
    pytest.param("multi30k-transformer-fairseq", marks=pytest.mark.fairseq),
    pytest.param("wikitext2-lstm-fairseq", marks=pytest.mark.fairseq),
)


def _task(name: str, scale: str = "smoke", **changes: Any) -> Task:
    return Registry().find(f"nlp/{name}").at(scale, {k.replace("__", "."): v for k, v in changes.items()})


@pytest.fixture
def task() -> Callable[..., Task]:
    """(name, scale = "smoke", dotted keys with `__` for the dots) -> task of this domain."""
    return _task


@pytest.fixture
def learner() -> Callable[..., LanguageModelLearner | TranslationLearner]:
    """(name, first, last, replicate, changes) -> a learner of a task at scale `smoke`."""

    def make(
        name: str, first: int = 0, last: int = 40, replicate: int = 1000, **changes: Any
    ) -> LanguageModelLearner | TranslationLearner:
        spec = _task(name, **changes).spec
        made = builder(spec)(spec, Streams(spec.hash, replicate), Span(first, last), Runtime())
        assert isinstance(made, LanguageModelLearner | TranslationLearner)
        return made

    return make


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each task's short name in turn."""
    return str(request.param)
