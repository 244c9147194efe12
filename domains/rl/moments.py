"""Running mean and variance, by which observations and rewards are brought to one size.

They are buffers of the model: a ticket carries those of its rewind step, an arm that draws new weights starts them
anew, a snapshot keeps them, and an evaluation finds them as the last update left them. They are updated once an
update, behind the optimizer's step, so that a rollout is collected and learnt from at one scale.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor, nn

from domains.rl.vectorised import Environments

EPSILON = 1e-8
CLIP = 10.0
"""Standard deviations beyond which an observation is cut off; both are those of stable-baselines3's VecNormalize."""


class Moments(nn.Module):
    """Mean and variance, number by number, of all vectors seen; `slots` stand in front where several runs are stacked.

    Before the first update mean 0 and variance 1 are given, with the weight of next to no vector.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int, slots: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(*slots, size))
        self.register_buffer("variance", torch.ones(*slots, size))
        self.register_buffer("count", torch.full((*slots, 1), 1e-4))

    @torch.no_grad()
    def update(self, seen: Tensor) -> None:
        """Take in vectors, (…, n, size), as Chan, Golub and LeVeque 1979 join two samples (equation 2.1)."""
        more = seen.shape[-2]
        total = self.count + more
        apart = seen.mean(-2) - self.mean
        squares = self.variance * self.count + seen.var(-2, correction=0) * more
        self.variance.copy_((squares + apart.square() * self.count * more / total) / total)
        self.mean.add_(apart * more / total)
        self.count.copy_(total)

    @property
    def scale(self) -> Tensor:
        """Standard deviation, (…, size)."""
        return (self.variance + EPSILON).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (…, n, size) at mean 0 and variance 1, cut off at ten standard deviations."""
        return ((x - self.mean.unsqueeze(-2)) / self.scale.unsqueeze(-2)).clamp(-CLIP, CLIP)


class NormalizedObservations(FlattenExtractor):
    """What a policy of stable-baselines3 sees of an observation: the flat vector, normalised."""

    def __init__(self, observation_space: gym.Space[Any]) -> None:
        super().__init__(observation_space)
        self.moments = Moments(self.features_dim)

    def forward(self, observations: Tensor) -> Tensor:
        """Observations (n, …) as normalised vectors (n, size)."""
        normalized: Tensor = self.moments(super().forward(observations))
        return normalized


class NormalizedRewards(Environments):
    """Environments whose rewards are divided by the standard deviation of the discounted returns so far.

    `moments` has one size and as many slots as there are runs; the environments stand in their order. Returns in
    `finished` and `running` are as they were.
    """

    def __init__(self, environments: Environments, moments: Moments, gamma: float) -> None:
        super().__init__(environments.num_envs, environments.observation_space, environments.action_space)
        self._environments, self._moments, self._gamma = environments, moments, gamma
        self._discounted = np.zeros(self.num_envs)
        self._seen: list[NDArray[np.float64]] = []

    @property
    def finished(self) -> list[tuple[int, float]]:  # type: ignore[override]  # an attribute there
        """Those of the environments themselves."""
        return self._environments.finished

    @property
    def running(self) -> NDArray[np.float64]:  # type: ignore[override]  # an attribute there
        """Those of the environments themselves."""
        return self._environments.running

    def update(self) -> None:
        """Take the returns seen since the last call into the moments."""
        seen = torch.from_numpy(np.stack(self._seen)).float().to(self._moments.mean.device)
        runs = self._moments.count.numel()
        by_run = seen.view(len(self._seen), runs, -1).transpose(0, 1).reshape(runs, -1, 1)
        self._moments.update(by_run if self._moments.count.dim() > 1 else by_run[0])
        self._seen.clear()

    def reset(self) -> Any:
        """Start every episode anew."""
        self._discounted[:] = 0
        return self._environments.reset()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Hand the actions on."""
        self._environments.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """One step in every environment, its reward normalised."""
        observed, rewards, dones, infos = self._environments.step_wait()
        self._discounted = self._discounted * self._gamma + rewards
        self._seen.append(self._discounted.copy())
        self._discounted[dones] = 0
        scales = np.repeat(self._moments.scale.flatten().cpu().numpy(), self.num_envs // self._moments.count.numel())
        return observed, rewards / scales, dones, infos

    def rest(self, environment: int) -> None:
        """Hand it on."""
        self._environments.rest(environment)

    def outlive_crashes(self) -> None:
        """Hand it on."""
        self._environments.outlive_crashes()

    @property
    def crashed(self) -> Mapping[int, Exception]:
        """Those of the environments themselves."""
        return self._environments.crashed

    def close(self) -> None:
        """Close the environments."""
        self._environments.close()

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The environments' own, with the discounted returns of the episodes in progress."""
        tensors, meta = self._environments.snapshot()
        return {**tensors, "environment.discounted": torch.from_numpy(self._discounted.copy())}, meta

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self._environments.restore(tensors, meta)
        self._discounted = tensors["environment.discounted"].numpy().copy()
