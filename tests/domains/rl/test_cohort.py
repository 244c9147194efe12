"""Slots of a cohort compute what stable-baselines3 computes for each run alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch

from domains.rl import environments
from domains.rl.cohort import A2CCohort
from domains.rl.environments import Environment
from domains.rl.environments.cartpole import CartPole
from domains.rl.learner import A2CLearner
from suite.experiment.errors import UsageError
from suite.experiment.learner import Cohort, Snapshot, Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data, Settings, TaskSpec
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask


def _spec(changes: Mapping[str, Any] | None = None) -> TaskSpec:
    """The shipped task at its smallest, with some values replaced."""
    return Registry().find("rl/cartpole").at("smoke", changes).spec


def _streams(spec: TaskSpec, slots: int) -> list[Streams]:
    return [Streams(spec.hash, 1000 + i) for i in range(slots)]


def _cohort(spec: TaskSpec, slots: int, span: Span) -> A2CCohort:
    return A2CCohort(spec, _streams(spec, slots), span, Runtime())


def _assert_slot(cohort: A2CCohort, slot: int, learner: A2CLearner, tolerance: float) -> None:
    stacked = cohort.model.state_dict()
    single = learner.model.state_dict()
    assert list(stacked) == list(single)
    for name, weights in single.items():
        torch.testing.assert_close(stacked[name][slot], weights, rtol=tolerance, atol=tolerance, msg=name)


def _squares(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [optimizer.state[p]["square_avg"] for p in optimizer.param_groups[0]["params"]]


def test_a_cohort_fulfils_the_contract() -> None:
    cohort = _cohort(_spec(), 2, Span(0, 3))
    assert isinstance(cohort, Cohort)
    assert (cohort.step, cohort.total_steps) == (0, 3)
    with pytest.raises(UsageError, match="CPU"):
        A2CCohort(_spec(), _streams(_spec(), 1), Span(0, 1), Runtime(device="cuda"))


@pytest.mark.parametrize("span", [Span(0, 20), Span(3, 20), Span(3, 20, 3)])
def test_slots_begin_with_the_weights_of_single_learners(span: Span) -> None:
    cohort = _cohort(_spec(), 2, span)
    for slot, streams in enumerate(_streams(_spec(), 2)):
        _assert_slot(cohort, slot, A2CLearner(_spec(), streams, span, Runtime()), 0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_grad_norm": 0.01},
        {"ent_coef": 0.05, "gae_lambda": 0.9, "normalize_advantage": True},
    ],
    ids=["task", "clipped", "other losses"],
)
@pytest.mark.parametrize("span", [Span(0, 20), Span(5, 20), Span(5, 20, held=True)])
def test_every_slot_takes_the_updates_of_stable_baselines3(settings: dict[str, Any], span: Span) -> None:
    # What is compared of the evaluation is of training: few fresh episodes do.
    settings = settings | {"evaluation_episodes": 2}
    spec = _spec({f"training.settings.{key}": value for key, value in settings.items()})
    cohort = _cohort(spec, 2, span)
    cohort.advance(span.first + 8)
    for slot, streams in enumerate(_streams(spec, 2)):
        learner = A2CLearner(spec, streams, span, Runtime())
        learner.advance(span.first + 8)
        _assert_slot(cohort, slot, learner, 2e-5)
        for stacked, single in zip(_squares(cohort.optimizer), _squares(learner.optimizer), strict=True):
            torch.testing.assert_close(stacked[slot], single, rtol=2e-3, atol=1e-9)
        assert cohort.evaluate("test")[slot]["training_return"] == learner.evaluate("test")["training_return"]
        assert cohort.traces()[slot] == learner.trace()


def test_truncated_episodes_are_bootstrapped_as_in_stable_baselines3() -> None:
    settings: Settings = {"max_episode_steps": 3, "reward_scale": 1.0}
    found = environments.fingerprint(Data(name="CartPole-v1", fingerprint="", settings=settings))
    spec = _spec({"data.fingerprint": found, **{f"data.settings.{k}": v for k, v in settings.items()}})
    cohort = _cohort(spec, 2, Span(0, 20))
    cohort.advance(6)
    for slot, streams in enumerate(_streams(spec, 2)):
        learner = A2CLearner(spec, streams, Span(0, 20), Runtime())
        learner.advance(6)
        _assert_slot(cohort, slot, learner, 2e-5)


def test_evaluation_plays_the_episodes_of_the_single_learner_and_alters_nothing() -> None:
    spec = _spec()
    cohort = _cohort(spec, 2, Span(0, 20))
    before = cohort.snapshot()
    scores = cohort.evaluate("validation"), cohort.evaluate("test")
    after = cohort.snapshot()
    assert before.meta == after.meta
    assert all(torch.equal(tensor, after.tensors[name]) for name, tensor in before.tensors.items())
    for slot, streams in enumerate(_streams(spec, 2)):
        learner = A2CLearner(spec, streams, Span(0, 20), Runtime())
        assert (scores[0][slot], scores[1][slot]) == (learner.evaluate("validation"), learner.evaluate("test"))


def test_masked_slots_take_the_updates_of_masked_single_learners() -> None:
    spec = _spec()
    streams, span = _streams(spec, 3), Span(0, 20)
    cohort, singles = _cohort(spec, 3, span), [A2CLearner(spec, each, span, Runtime()) for each in streams]
    generator = torch.Generator().manual_seed(0)
    masks = []
    for single in singles:
        dense = Mask.dense(single.model, spec.prunable)
        masks.append(Mask({n: torch.rand(kept.shape, generator=generator) < 0.4 for n, kept in dense.items()}))
    together = Mask({name: torch.stack([mask[name] for mask in masks]) for name in masks[0]})
    with enforce(cohort.model, cohort.optimizer, together):
        cohort.advance(5)
        for name, kept in together.items():
            parameter = cohort.model.get_parameter(name)
            assert parameter.grad is not None
            for values in (parameter.detach(), parameter.grad, cohort.optimizer.state[parameter]["square_avg"]):
                assert values[kept].any()
                assert not values[~kept].any()
    for slot, (single, mask) in enumerate(zip(singles, masks, strict=True)):
        with enforce(single.model, single.optimizer, mask):
            single.advance(5)
        _assert_slot(cohort, slot, single, 1e-5)


def test_a_slot_does_not_depend_on_its_neighbours() -> None:
    spec = _spec()
    one, three = _cohort(spec, 1, Span(0, 20)), _cohort(spec, 3, Span(0, 20))
    with torch.no_grad():
        three.model.get_parameter("action_net.weight")[1].mul_(50)
        three.model.get_parameter("value_net.weight")[2].fill_(float("nan"))
    one.advance(8)
    three.advance(8)
    assert three.diverged() == [False, False, True]
    for name, weights in one.model.state_dict().items():
        torch.testing.assert_close(three.model.state_dict()[name][0], weights[0], rtol=2e-5, atol=2e-5, msg=name)


def test_a_restored_cohort_goes_on_bit_for_bit() -> None:
    spec = _spec()
    whole = _cohort(spec, 2, Span(0, 20))
    whole.advance(10)
    taken = whole.snapshot()
    taken = Snapshot({n: t.clone() for n, t in taken.tensors.items()}, json.loads(json.dumps(taken.meta)))
    whole.advance(20)
    again = _cohort(spec, 2, Span(0, 20))
    again.restore(taken)
    again.advance(20)
    one, two = whole.snapshot(), again.snapshot()
    assert one.meta == two.meta
    assert all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())
    assert whole.evaluate("test") == again.evaluate("test")


def test_global_random_streams_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    cohort = _cohort(_spec(), 2, Span(0, 3))
    cohort.advance(3)
    cohort.evaluate("test")
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]


class _ThreeActions(CartPole):
    """Push left, push right, and push right under another number."""

    def __init__(self, envs_per_seed: int, seeds: Sequence[int]) -> None:
        super().__init__(envs_per_seed, seeds)
        self.action_space = gym.spaces.Discrete(3)

    def step_async(self, actions: Any) -> None:
        super().step_async(np.minimum(actions, 1))


class ThreeActions(Environment):
    name: ClassVar[str] = "three-actions"

    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> CartPole:
        return _ThreeActions(envs_per_seed, seeds)


def test_a_cohort_has_as_many_actions_as_its_environment() -> None:
    found = environments.fingerprint(Data(name="three-actions", fingerprint=""))
    spec = _spec()
    spec = spec.model_copy(update={"data": Data(name="three-actions", fingerprint=found)})
    cohort = _cohort(spec, 2, Span(0, 20))
    cohort.advance(6)
    for slot, streams in enumerate(_streams(spec, 2)):
        learner = A2CLearner(spec, streams, Span(0, 20), Runtime())
        learner.advance(6)
        assert learner.model.action_net.weight.shape[0] == 3
        _assert_slot(cohort, slot, learner, 2e-5)


@pytest.mark.parametrize(("name", "value"), [("advantage_clip", 1.0), ("ratio_clamp", 1.5), ("evaluation_envs", 2)])
def test_a_setting_that_only_single_runs_have_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"training\.settings\.{name} = {value}: .* take --exec single"):
        _cohort(_spec({f"training.settings.{name}": value}), 1, Span(0, 1))


def test_an_episode_whose_return_is_no_number_is_counted_and_played_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, move = _cohort(_spec({"training.settings.evaluation_episodes": 4}), 2, Span(0, 1)), CartPole._move

    def without_a_reward(self: CartPole, actions: Any) -> Any:
        rewards, terminated = move(self, actions)
        rewards = np.array(rewards)
        rewards[self.steps == 3] = np.nan
        rewards[:4] = 1.0
        return rewards, terminated

    monkeypatch.setattr(CartPole, "_move", without_a_reward)
    found = cohort.evaluate("test")
    assert [np.isnan(scores["evaluation_return"]) for scores in found] == [False, True]
