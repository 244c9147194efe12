"""stable-baselines3's A2C with the limits of Yu et al. 2019 (arXiv 1906.02768) on probability ratio and advantage."""

from typing import Any

import torch
import torch.nn.functional as F
from stable_baselines3 import A2C


class ClippedA2C(A2C):
    """A2C whose policy gradient has its importance ratio clamped and its advantages clipped.

    A sample's policy gradient is multiplied by the ratio of its action's probability now and when it was taken, at most
    `ratio_clamp`; stable-baselines3 updates on what the present policy has just played, where the ratio is 1, so that
    this limit binds only where the policy computes otherwise in training, as with dropout. Advantages are clipped to
    `advantage_clip` on either side, after their normalisation if there is one; the critic's targets are not. None: no
    limit. All else, the order of its sums included, is stable-baselines3's `A2C.train`.
    """

    def __init__(
        self, *args: Any, ratio_clamp: float | None = None, advantage_clip: float | None = None, **kwargs: Any
    ) -> None:
        self.ratio_clamp, self.advantage_clip = ratio_clamp, advantage_clip
        super().__init__(*args, **kwargs)

    def train(self) -> None:
        """One optimizer step on the whole rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        (rollout,) = self.rollout_buffer.get(batch_size=None)
        values, log_prob, entropy = self.policy.evaluate_actions(rollout.observations, rollout.actions.long().flatten())
        assert entropy is not None  # a distribution of discrete actions has one
        advantages = rollout.advantages
        if self.normalize_advantage:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        if self.advantage_clip is not None:
            advantages = advantages.clamp(-self.advantage_clip, self.advantage_clip)
        ratio = (log_prob.detach() - rollout.old_log_prob).exp()
        weight = advantages * ratio.clamp(max=self.ratio_clamp) if self.ratio_clamp is not None else advantages
        policy_loss = -(weight * log_prob).mean()
        value_loss = F.mse_loss(rollout.returns, values.flatten())
        entropy_loss = -entropy.mean()
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        self.policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self.logger.record("train/policy_loss", policy_loss.item())
        self.logger.record("train/value_loss", value_loss.item())
