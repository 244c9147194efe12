"""Observations and rewards are normalised by what was seen so far, and a ticket carries what was seen at its step."""

import json

import numpy as np
import pytest
import torch
from gymnasium import spaces

from domains.rl.cohort import A2CCohort
from domains.rl.environments.acrobot import Acrobot
from domains.rl.learner import A2CLearner
from domains.rl.moments import Moments, NormalizedObservations, NormalizedRewards
from suite.experiment.learner import Snapshot, Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams

SPEC = Registry().find("rl/acrobot").at("smoke").spec


def made(replicate: int = 1000) -> A2CLearner:
    return A2CLearner(SPEC, Streams(SPEC.hash, replicate), Span(0, 20), Runtime())


def test_moments_are_those_of_all_vectors_seen() -> None:
    moments, generator = Moments(3), torch.Generator().manual_seed(0)
    parts = [torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 5.0, 0.1]) + 2 for n in (7, 40, 1, 200)]
    for part in parts:
        moments.update(part)
    everything = torch.cat(parts)
    torch.testing.assert_close(moments.mean, everything.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moments.variance, everything.var(0, correction=0), rtol=1e-4, atol=1e-5)
    normal = moments(everything)
    assert float(normal.mean(0).abs().max()) < 1e-3
    assert torch.allclose(normal.std(0, correction=0), torch.ones(3), atol=1e-3)
    assert float(moments(everything + 1e6).max()) == 10.0


def test_stacked_moments_are_those_of_each_slot() -> None:
    stacked, singles = Moments(2, (3,)), [Moments(2) for _ in range(3)]
    for _ in range(4):
        seen = torch.randn(3, 5, 2) * 3 + 1
        stacked.update(seen)
        for slot, single in enumerate(singles):
            single.update(seen[slot])
    seen = torch.randn(3, 5, 2)
    for slot, single in enumerate(singles):
        torch.testing.assert_close(stacked.mean[slot], single.mean)
        torch.testing.assert_close(stacked(seen)[slot], single(seen[slot]))


def test_a_policy_sees_normalised_observations() -> None:
    extractor = NormalizedObservations(spaces.Box(-1, 1, (2,)))
    extractor.moments.update(torch.tensor([[0.0, 10.0], [2.0, 30.0]]))
    seen = extractor(torch.tensor([[1.0, 20.0], [2.0, 40.0]]))
    torch.testing.assert_close(seen, torch.tensor([[0.0, 0.0], [1.0, 2.0]]), rtol=1e-3, atol=1e-3)


def test_rewards_are_divided_by_the_standard_deviation_of_discounted_returns() -> None:
    moments, gamma = Moments(1), 0.9
    environments = NormalizedRewards(Acrobot(4, seeds=[0], max_episode_steps=6), moments, gamma)
    environments.reset()
    expected: list[float] = []
    for t in range(8):
        rewards = environments.step(np.zeros(4, dtype=int))[1]
        assert isinstance(rewards, np.ndarray)
        assert rewards.tolist() == [-1.0] * 4  # the moments are updated between rollouts only
        expected += [-sum(gamma**i for i in range(t % 6 + 1))] * 4  # the limit ends every episode after six steps
    environments.update()
    assert float(moments.variance) == pytest.approx(np.var(expected), rel=1e-3)
    rewards = environments.step(np.zeros(4, dtype=int))[1]
    np.testing.assert_allclose(rewards, -1 / np.std(expected), rtol=1e-3)
    assert environments.finished == [(i, -6.0) for i in range(4)]  # returns are as the environment pays them


def test_discounted_returns_begin_anew_with_every_episode_when_all_are_reset() -> None:
    moments = Moments(1)
    environments = NormalizedRewards(Acrobot(2, seeds=[0]), moments, gamma=0.9)
    for _ in range(2):
        environments.reset()
        environments.step(np.zeros(2, dtype=int))
    environments.update()
    assert float(moments.mean) == pytest.approx(-1.0, rel=1e-3)


def test_what_the_environments_are_told_goes_through_the_normalisation_of_rewards() -> None:
    """Else nobody would notice: environments that have nothing to do there do nothing."""
    told: list[object] = []

    class Told(Acrobot):
        def rest(self, environment: int) -> None:
            told.append(environment)

        def outlive_crashes(self) -> None:
            told.append("outlive")

        def close(self) -> None:
            told.append("close")

    environments = NormalizedRewards(Told(2, seeds=[0]), Moments(1), gamma=0.9)
    environments.rest(1)
    environments.outlive_crashes()
    environments.close()
    assert told == [1, "outlive", "close"]


def test_a_learner_takes_every_rollout_into_its_moments_and_an_evaluation_none() -> None:
    learner = made()
    seen = []
    for step in range(3):
        learner.advance(step + 1)
        seen.append(learner._agent.rollout_buffer.observations.reshape(-1, 6).copy())
    moments = learner.model.get_buffer("features_extractor.moments.mean")
    np.testing.assert_allclose(moments.numpy(), np.concatenate(seen).mean(0), rtol=1e-3, atol=1e-4)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    assert before["reward_moments.count"].item() == pytest.approx(3 * SPEC.training.batch, abs=0.01)
    learner.evaluate("test")
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())


def test_a_ticket_carries_the_moments_of_its_step_and_new_weights_start_them_anew() -> None:
    dense = made()
    dense.advance(5)
    ticket = {name: value.clone() for name, value in dense.model.state_dict().items()}
    assert ticket["features_extractor.moments.count"].item() > 1
    winning, fresh = made(), A2CLearner(SPEC, Streams(SPEC.hash, 1000).fresh(), Span(0, 20), Runtime())
    winning.model.load_state_dict(ticket)
    winning.advance(1)
    assert winning.model.get_buffer("reward_moments.count").item() == pytest.approx(6 * SPEC.training.batch, abs=0.01)
    assert fresh.model.get_buffer("reward_moments.count").item() < 1


def test_a_restored_learner_with_moments_goes_on_bit_for_bit() -> None:
    whole, again = made(), made()
    whole.advance(7)
    taken = whole.snapshot()
    taken = Snapshot({n: t.clone() for n, t in taken.tensors.items()}, json.loads(json.dumps(taken.meta)))
    whole.advance(14)
    again.restore(taken)
    again.advance(14)
    one, two = whole.snapshot(), again.snapshot()
    assert one.meta == two.meta
    assert all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())
    assert whole.evaluate("test") == again.evaluate("test")


@pytest.mark.parametrize("task", ["rl/acrobot", "rl/lunarlander"])
def test_slots_of_a_cohort_take_the_updates_of_stable_baselines3(task: str) -> None:
    spec, span = Registry().find(task).at("smoke").spec, Span(0, 20)
    streams = [Streams(spec.hash, 1000 + i) for i in range(3)]
    cohort = A2CCohort(spec, streams, span, Runtime())
    singles = [A2CLearner(spec, each, span, Runtime()) for each in streams]
    assert list(cohort.model.state_dict()) == list(singles[0].model.state_dict())
    for slot, single in enumerate(singles):
        for name, value in single.model.state_dict().items():
            assert torch.equal(cohort.model.state_dict()[name][slot], value), name
    cohort.advance(8)
    scores = cohort.evaluate("test")
    for slot, single in enumerate(singles):
        single.advance(8)
        for name, value in single.model.state_dict().items():
            torch.testing.assert_close(cohort.model.state_dict()[name][slot], value, rtol=1e-4, atol=1e-4, msg=name)
        assert scores[slot] == pytest.approx(single.evaluate("test"), rel=1e-4)


@pytest.mark.parametrize("task", ["rl/acrobot", "rl/lunarlander"])
def test_a_restored_cohort_goes_on_bit_for_bit(task: str) -> None:
    spec = Registry().find(task).at("smoke").spec
    streams = [Streams(spec.hash, 1000 + i) for i in range(2)]
    whole, again = (A2CCohort(spec, streams, Span(0, 20), Runtime()) for _ in range(2))
    whole.advance(9)
    taken = whole.snapshot()
    taken = Snapshot({n: t.clone() for n, t in taken.tensors.items()}, json.loads(json.dumps(taken.meta)))
    whole.advance(16)
    again.restore(taken)
    again.advance(16)
    one, two = whole.snapshot(), again.snapshot()
    assert one.meta == two.meta
    assert all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())
