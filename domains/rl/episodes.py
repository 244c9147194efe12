"""Episodes as all environments of classic control have them: counted, cut off at a limit, begun anew in one step."""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor

from domains.rl.vectorised import Environments

Array = NDArray[Any]


class Episodes(Environments):
    """Environments of discrete actions whose observations are one array, (num_envs, …) of float32.

    An episode that reaches `max_episode_steps` is truncated. Rewards handed to the agent are those of the environment
    times `reward_scale`, in float32.
    """

    def __init__(
        self, num_envs: int, observation_space: gym.Space[Any], action_space: gym.Space[Any], max_episode_steps: int,
        reward_scale: float,
    ) -> None:  # fmt: skip
        super().__init__(num_envs, observation_space, action_space)
        self.max_episode_steps, self.reward_scale = max_episode_steps, np.float32(reward_scale)
        self.finished, self.running = [], np.zeros(num_envs)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self._actions = np.zeros(num_envs, dtype=np.int64)
        self._quiet: dict[str, Any] = {}

    @abstractmethod
    def _move(self, actions: Array) -> tuple[Array, Array]:
        """One step in every environment: rewards, and which episodes terminated."""

    @abstractmethod
    def _start(self, which: NDArray[np.bool_]) -> None:
        """Begin an episode in these environments."""

    @abstractmethod
    def _observe(self) -> NDArray[np.float32]:
        """The observations as they are now, in an array of their own."""

    def reset(self) -> NDArray[np.float32]:
        """Start every episode anew from this object's random numbers."""
        self.running[:], self.steps[:] = 0, 0
        self._start(np.ones(self.num_envs, dtype=np.bool_))
        return self._observe()

    def step_async(self, actions: Array) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One step in every environment; those that end are reset in the same step."""
        reward, terminated = self._move(self._actions)
        observed = self._observe()
        self.running += reward
        self.steps += 1
        truncated = self.steps >= self.max_episode_steps
        done = terminated | truncated
        infos = [self._quiet] * self.num_envs
        if done.any():
            for i in np.flatnonzero(done):
                self.finished.append((int(i), float(self.running[i])))
                infos[i] = {
                    "terminal_observation": observed[i].copy(),
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                }
            self.running[done], self.steps[done] = 0, 0
            self._start(done)
            observed = self._observe()
        return observed, reward.astype(np.float32, copy=False) * self.reward_scale, done, infos

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Step counts, running returns and finished episodes."""
        arrays = {"steps": self.steps, "running": self.running}
        tensors = {f"environment.{name}": torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        return tensors, {"finished": [list(episode) for episode in self.finished]}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self.steps = tensors["environment.steps"].numpy().copy()
        self.running = tensors["environment.running"].numpy().copy()
        self.finished = [(int(i), float(value)) for i, value in meta["finished"]]


class ArrayEpisodes(Episodes):
    """Environments whose whole state is one array of float64, a column each, stepped by arithmetic on whole arrays.

    `envs_per_seed` stand in a row for each seed; those of a seed start from random numbers of their own, whatever the
    others do.
    """

    state: NDArray[np.float64]

    def __init__(
        self, envs_per_seed: int, seeds: Sequence[int], observation_space: gym.Space[Any],
        action_space: gym.Space[Any], max_episode_steps: int, reward_scale: float,
    ) -> None:  # fmt: skip
        super().__init__(envs_per_seed * len(seeds), observation_space, action_space, max_episode_steps, reward_scale)
        self.random = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        self.state = np.zeros((len(self._draw(np.random.default_rng(0), 1)), self.num_envs))

    @abstractmethod
    def _draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """States of so many new episodes, a column each."""

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Physical states, step counts, running returns and the random numbers' state."""
        tensors, meta = super().snapshot()
        tensors["environment.state"] = torch.from_numpy(np.array(self.state))
        # As text: a generator's state is of 128-bit integers, which canonical JSON refuses.
        return tensors, {**meta, "random": [json.dumps(random.bit_generator.state) for random in self.random]}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        super().restore(tensors, meta)
        self.state = tensors["environment.state"].numpy().copy()
        for random, state in zip(self.random, meta["random"], strict=True):
            random.bit_generator.state = json.loads(state)

    def _start(self, which: NDArray[np.bool_]) -> None:
        counts = which.reshape(len(self.random), -1).sum(1)
        starts = [self._draw(random, int(n)) for random, n in zip(self.random, counts, strict=True) if n]
        self.state[:, which] = np.concatenate(starts, axis=1)
