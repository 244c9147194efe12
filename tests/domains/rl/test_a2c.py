"""A2C with limits on the probability ratio and on advantages is stable-baselines3's A2C where they do not bind."""

from typing import Any

import pytest
import torch
from stable_baselines3 import A2C
from torch import Tensor

from domains.rl.a2c import ClippedA2C
from domains.rl.environments.cartpole import CartPole
from domains.rl.learner import WholeRollout


def _after_an_update(kind: type[A2C], shift: float = 0.0, **limits: Any) -> tuple[Tensor, A2C]:
    """Weights after one update; `shift` is what the log probabilities of the rollout are lowered by."""
    agent = kind(
        "MlpPolicy", CartPole(4, seeds=[0]), n_steps=8, seed=0, device="cpu", rollout_buffer_class=WholeRollout,
        ent_coef=0.01, **limits,
    )  # fmt: skip
    _, callback = agent._setup_learn(64)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        assert agent.env is not None
        agent.collect_rollouts(agent.env, callback, agent.rollout_buffer, agent.n_steps)
    agent.rollout_buffer.log_probs -= shift
    agent.train()
    return torch.cat([p.detach().flatten() for p in agent.policy.parameters()]), agent


def test_limits_that_do_not_bind_change_no_bit_and_those_that_do_change_the_update() -> None:
    plain, agent = _after_an_update(A2C)
    largest = float(abs(agent.rollout_buffer.advantages).max())
    loose, _ = _after_an_update(ClippedA2C, advantage_clip=largest * 1.01)
    tight, _ = _after_an_update(ClippedA2C, advantage_clip=largest / 4)
    assert torch.equal(plain, loose)
    assert not torch.equal(plain, tight)


def test_the_ratio_weighs_the_policys_gradient_up_to_its_clamp() -> None:
    """A policy that has become e times as fond of what it did counts it e times, or as often as the clamp allows."""
    plain, _ = _after_an_update(ClippedA2C, ratio_clamp=100.0)
    clamped, _ = _after_an_update(ClippedA2C, shift=1.0, ratio_clamp=1.0)
    weighted, _ = _after_an_update(ClippedA2C, shift=1.0, ratio_clamp=100.0)
    torch.testing.assert_close(plain, clamped)
    assert float((weighted - plain).abs().max()) > 1e-4


@pytest.mark.parametrize("advantage_clip", [0.5, 100.0])
def test_advantages_are_clipped_and_the_critics_targets_are_not(
    advantage_clip: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a policy of no say in the loss, the update is the critic's alone: no clip can change it."""
    monkeypatch.setattr(WholeRollout, "compute_returns_and_advantage", _only_returns)
    critics_alone, _ = _after_an_update(ClippedA2C, advantage_clip=1e-9)
    clipped, _ = _after_an_update(ClippedA2C, advantage_clip=advantage_clip)
    assert torch.equal(critics_alone, clipped)


def _only_returns(self: WholeRollout, last_values: Tensor, dones: Any) -> None:
    self.returns[:], self.advantages[:] = 5.0, 0.0
