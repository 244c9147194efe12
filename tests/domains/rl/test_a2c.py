"""A2C with limits on the probability ratio and on advantages is stable-baselines3's A2C where they do not bind."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C
from torch import Tensor

from domains.rl.a2c import ClippedA2C
from domains.rl.environments.cartpole import CartPole
from domains.rl.rollout import WholeRollout


def _after_an_update(kind: type[A2C], shift: float = 0.0, lower: float = 0.0, **limits: Any) -> tuple[Tensor, A2C]:
    """Weights after one update; the rollout's log probabilities are lowered by `shift`, its advantages by `lower`."""
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
    agent.rollout_buffer.advantages -= lower
    agent._current_progress_remaining = 0.5  # half-way down a falling learning rate
    agent.train()
    return torch.cat([p.detach().flatten() for p in agent.policy.parameters()]), agent


def test_limits_that_do_not_bind_change_no_bit_and_those_that_do_change_the_update() -> None:
    plain, agent = _after_an_update(A2C)
    largest = float(abs(agent.rollout_buffer.advantages).max())
    loose, _ = _after_an_update(ClippedA2C, advantage_clip=largest * 1.01)
    tight, _ = _after_an_update(ClippedA2C, advantage_clip=largest / 4)
    assert torch.equal(plain, loose)
    assert not torch.equal(plain, tight)


@pytest.mark.parametrize("settings", [{"normalize_advantage": True}, {"learning_rate": lambda left: 7e-4 * left}])
def test_limits_that_do_not_bind_leave_all_other_settings_at_work(settings: dict[str, Any]) -> None:
    usual, _ = _after_an_update(A2C)
    plain, _ = _after_an_update(A2C, **settings)
    loose, _ = _after_an_update(ClippedA2C, **settings, advantage_clip=1e6)
    assert torch.equal(plain, loose)
    assert not torch.equal(plain, usual)


@pytest.mark.parametrize(("clamp", "factor"), [(100.0, math.e), (1.5, 1.5), (1.0, 1.0)])
def test_a_policy_fonder_of_what_it_did_counts_it_by_the_ratio_up_to_its_clamp(clamp: float, factor: float) -> None:
    _, plain = _after_an_update(A2C)
    _, weighted = _after_an_update(ClippedA2C, shift=1.0, ratio_clamp=clamp)
    assert _logged(weighted, "policy_loss") == pytest.approx(factor * _logged(plain, "policy_loss"), rel=1e-5)
    assert _logged(weighted, "value_loss") == _logged(plain, "value_loss")


def test_the_ratio_is_a_weight_that_no_gradient_goes_through() -> None:
    plain, _ = _after_an_update(A2C)
    clamped, _ = _after_an_update(ClippedA2C, shift=1.0, ratio_clamp=1.0)
    loose, _ = _after_an_update(ClippedA2C, ratio_clamp=100.0)
    weighted, _ = _after_an_update(ClippedA2C, shift=1.0, ratio_clamp=100.0)
    torch.testing.assert_close(plain, clamped)
    torch.testing.assert_close(plain, loose)
    assert float((weighted - plain).abs().max()) > 1e-4


def test_a_policy_less_fond_of_what_it_did_counts_it_by_the_ratio_however_small() -> None:
    _, plain = _after_an_update(A2C)
    _, weighted = _after_an_update(ClippedA2C, shift=-2.0, ratio_clamp=1.5)
    assert _logged(weighted, "policy_loss") == pytest.approx(math.exp(-2) * _logged(plain, "policy_loss"), rel=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.5, 2.0])
def test_advantages_are_clipped_on_either_side_and_the_critics_targets_are_not(share: float) -> None:
    _, plain = _after_an_update(A2C, lower=4.0)
    buffer = plain.rollout_buffer
    assert buffer.advantages.min() < -2 < 2 < buffer.advantages.max()
    limit = share * float(abs(buffer.advantages).max())
    _, clipped = _after_an_update(ClippedA2C, lower=4.0, advantage_clip=limit)
    by_hand = -(np.clip(buffer.advantages, -limit, limit) * buffer.log_probs).mean()
    assert _logged(clipped, "policy_loss") == pytest.approx(float(by_hand), rel=1e-4)
    assert _logged(clipped, "value_loss") == _logged(plain, "value_loss")


def _logged(agent: A2C, loss: str) -> float:
    return float(agent.logger.name_to_value[f"train/{loss}"])
