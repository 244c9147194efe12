"""Counting a learner's step: without its arithmetic, else with it, else by a step, else not at all."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from suite.experiment import step_flops as counting
from suite.experiment.errors import Diverged
from suite.experiment.learner import Span
from suite.experiment.runtime import Runtime
from suite.experiment.step_flops import step_flops
from suite.experiment.streams import Streams
from tests.experiment.running import results, run
from tests.experiment.toy import ToyLearner, task

DENSE = 2 * 16 * (2 * 2 * 16 + 3 * 16 * 3)  # batch x (two products with 2 x 16 weights, three with 16 x 3), two each
CPU = torch.device("cpu")


def _made(kind: type[ToyLearner] = ToyLearner, **changes: Any) -> ToyLearner:
    spec = task(changes=changes).spec
    return kind(spec, Streams(spec.hash, 0), Span(0, spec.training.total_steps), Runtime())


class Looking(ToyLearner):
    """Needs the numbers of its loss."""

    def loss(self, step: int) -> Tensor:
        found = super().loss(step)
        return found if found.item() > 0 else found * 0


class Twice(ToyLearner):
    """Takes two losses a step."""

    def _take_step(self) -> None:
        self.loss(self._step).backward()
        super()._take_step()


class Infinite(ToyLearner):
    def loss(self, step: int) -> Tensor:
        return super().loss(step) / 0.0


class Broken(ToyLearner):
    def loss(self, step: int) -> Tensor:
        raise NotImplementedError


def test_a_loss_is_counted_with_weights_that_have_no_numbers() -> None:
    learner = _made()
    found = counting._without_arithmetic(learner)
    assert found is not None
    batch = 64 / 16  # the toy task draws 64 points whatever its batch
    assert found.dense == DENSE * batch


@pytest.mark.parametrize(("kind", "times"), [(ToyLearner, 1), (Looking, 1), (Infinite, 1), (Twice, 2)])
def test_every_learner_is_counted_as_it_steps(kind: type[ToyLearner], times: int) -> None:
    found = step_flops(lambda: _made(kind), CPU)
    assert found is not None
    assert found.dense == DENSE * 4 * times


def test_what_cannot_be_counted_is_not() -> None:
    assert step_flops(lambda: _made(Broken), CPU) is None

    def make() -> ToyLearner:
        raise Diverged("in the constructor")

    assert step_flops(make, CPU) is None


def test_counting_draws_no_random_number() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    step_flops(_made, CPU)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_a_result_whose_flops_are_not_counted_is_a_result(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> None:
        raise ValueError("no formula")

    from suite.experiment import cell

    cell._step_flops.cache_clear()
    for way in ("_without_arithmetic", "_with_arithmetic", "_by_a_step"):
        monkeypatch.setattr(counting, way, failing)
    failing.__name__ = "failing"
    plan, store, _ = run(task(levels=1, replicates=1, arms=("winning",)), tmp_path)
    cell._step_flops.cache_clear()
    for result in results(plan, store).values():
        assert (result.spent.flops_dense, result.spent.flops_sparse) == (None, None)
        assert not result.diverged
