"""Masks stay exact inside stable-baselines3's A2C, whose loop, clipping and optimizer are its own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")

from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

NAMES = ["mlp_extractor.policy_net.0.weight", "mlp_extractor.value_net.2.weight", "action_net.weight"]
STEPS_A_ROLLOUT = 16


def _agent(**policy: Any) -> A2C:
    return A2C("MlpPolicy", "CartPole-v1", n_steps=STEPS_A_ROLLOUT, policy_kwargs=policy, seed=0, device="cpu")


def _mask(policy: nn.Module, density: float = 0.3) -> Mask:
    generator = torch.Generator().manual_seed(0)
    dense = Mask.dense(policy, NAMES)
    return Mask({name: torch.rand(tensor.shape, generator=generator) < density for name, tensor in dense.items()})


def _pruned(agent: A2C, mask: Mask) -> dict[str, Tensor]:
    """Pruned entries of weights, gradients and every state tensor of their shape, by name."""
    found = {}
    for name, kept in mask.items():
        parameter = agent.policy.get_parameter(name)
        tensors = {"weight": parameter.detach(), "grad": parameter.grad, **agent.policy.optimizer.state[parameter]}
        like = {key: t for key, t in tensors.items() if isinstance(t, Tensor) and t.shape == kept.shape}
        found |= {f"{name}/{key}": tensor[~kept] for key, tensor in like.items()}
    return found


def _assert_zero(agent: A2C, mask: Mask) -> None:
    found = _pruned(agent, mask)
    assert {name.rpartition("/")[2] for name in found} == {"weight", "grad", "square_avg"}
    assert all(not tensor.any() for tensor in found.values()), found


class _AfterEveryUpdate(BaseCallback):
    """Checks when a rollout starts, which is after each call of `train`."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.mask, self.checked = mask, 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps:
            _assert_zero(self.model, self.mask)  # type: ignore[arg-type]
            self.checked += 1


@pytest.mark.parametrize("policy", [{}, {"optimizer_class": RMSpropTFLike}], ids=["RMSprop", "RMSpropTFLike"])
def test_pruned_weights_gradients_and_second_moments_are_zero_after_every_update_of_a_plain_learn(
    policy: dict[str, Any],
) -> None:
    """The TensorFlow-like variant starts its second moment at one, so weights alone at zero are not enough."""
    agent = _agent(**policy)
    mask = _mask(agent.policy)
    before = {name: agent.policy.get_parameter(name).detach().clone() for name in NAMES}
    check = _AfterEveryUpdate(mask)
    with enforce(agent.policy, agent.policy.optimizer, mask):
        agent.learn(20 * STEPS_A_ROLLOUT, callback=check)
        _assert_zero(agent, mask)
    assert check.checked == 19
    for name, kept in mask.items():
        assert (agent.policy.get_parameter(name).detach() != before[name])[kept].any(), name  # survivors do learn


def test_gradient_clipping_sees_the_gradients_of_survivors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    clip = nn.utils.clip_grad_norm_

    def watch(parameters: Any, *rest: Any) -> Tensor:
        parameters = list(parameters)
        assert all(not agent.policy.get_parameter(name).grad[~kept].any() for name, kept in mask.items())
        seen.append(float(clip(parameters, *rest)))
        return torch.tensor(seen[-1])

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", watch)
    agent = _agent()
    mask = _mask(agent.policy)
    with enforce(agent.policy, agent.policy.optimizer, mask):
        agent.learn(5 * STEPS_A_ROLLOUT)
    assert len(seen) == 5
    assert max(seen) > 0.5  # so clipping did something


def test_the_mask_holds_again_when_it_is_attached_after_a_load(tmp_path: Path) -> None:
    agent = _agent()
    agent.learn(5 * STEPS_A_ROLLOUT)  # dense: its second moments are full
    agent.save(tmp_path / "agent")
    loaded = A2C.load(tmp_path / "agent", env=agent.get_env(), device="cpu")
    mask = _mask(loaded.policy)
    assert any(tensor.any() for tensor in _pruned(loaded, mask).values())
    with enforce(loaded.policy, loaded.policy.optimizer, mask):
        loaded.learn(5 * STEPS_A_ROLLOUT)
        _assert_zero(loaded, mask)


def test_parameters_set_in_place_are_masked_again_by_the_next_update() -> None:
    """`set_parameters` loads a policy and its optimizer into the objects the hooks hang on."""
    agent, dense = _agent(), _agent()
    dense.learn(5 * STEPS_A_ROLLOUT)
    mask = _mask(agent.policy)
    with enforce(agent.policy, agent.policy.optimizer, mask):
        agent.set_parameters(dense.get_parameters())
        agent.learn(STEPS_A_ROLLOUT)
        _assert_zero(agent, mask)
