"""Vectorised environments for stable-baselines3 whose whole state can be copied out and put back.

stable-baselines3 expects an environment that ends to be reset within the same step, its last observation handed over
in `infos[i]["terminal_observation"]`, and an end by the time limit marked `TimeLimit.truncated`.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn
from torch import Tensor

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest
from suite.experiment.settings import Reader
from suite.experiment.task import Data, Settings


class Environments(VecEnv):
    """A stable-baselines3 `VecEnv` that counts episodes and can be copied in mid-episode.

    `finished` lists the episodes that ended, in order: the environment's number and the return, undiscounted and
    unscaled; whoever reads it clears it. `running` holds the returns of the episodes in progress.
    """

    finished: list[tuple[int, float]]
    running: NDArray[np.float64]

    @abstractmethod
    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, named `environment.…`, and JSON from which `restore` continues bit for bit."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave; other tensors may lie between them."""

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Value of an attribute of this object, once per environment; `render_mode` is None."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Raises AttributeError: there are no single environments."""
        raise AttributeError(f"{attr_name!r} cannot be set: the environments are one object, stepped as arrays")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Raises AttributeError: there are no single environments."""
        raise AttributeError(f"{method_name!r} cannot be called: the environments are one object, stepped as arrays")

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """False for every environment."""
        return [False for _ in self._get_indices(indices)]


class CartPole(Environments):
    """CartPoles over gymnasium's own vectorised dynamics: `envs_per_seed` in a row for each seed.

    The environments of a seed start from random numbers of their own, whatever the others do. Observations are float32
    of shape (num_envs, 4), actions integers in {0, 1}. Rewards handed to the agent are those of CartPole-v1 (1 a step)
    times `reward_scale`; an episode that reaches `max_episode_steps` is truncated.
    """

    def __init__(
        self, envs_per_seed: int, seeds: Sequence[int], max_episode_steps: int = 500, reward_scale: float = 1.0
    ) -> None:
        num_envs = envs_per_seed * len(seeds)
        # Typed loosely: gymnasium declares the state, an array of shape (4, num_envs), as None.
        self.dynamics: Any = CartPoleVectorEnv(num_envs, max_episode_steps=max_episode_steps)
        super().__init__(num_envs, self.dynamics.single_observation_space, self.dynamics.single_action_space)
        self.reward_scale = np.float32(reward_scale)
        self.random = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        self.finished = []
        self.running = np.zeros(num_envs)
        self._actions = np.zeros(num_envs, dtype=np.int64)
        self._quiet: dict[str, Any] = {}
        self.reset()

    def reset(self) -> NDArray[np.float32]:
        """Start every episode anew from this object's random numbers."""
        # The seed is irrelevant: all starting states are drawn from `self.random`.
        self.dynamics.reset(seed=0)
        self.running[:] = 0
        self._start(np.ones(self.num_envs, dtype=np.bool_))
        return self._observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One step in every environment; those that end are reset in the same step."""
        _, reward, terminated, truncated, _ = self.dynamics.step(self._actions)
        observed = self._observe()
        self.running += reward
        done = terminated | truncated
        infos = [self._quiet] * self.num_envs
        if done.any():
            for i in np.flatnonzero(done):
                self.finished.append((int(i), float(self.running[i])))
                infos[i] = {
                    "terminal_observation": observed[i].copy(),
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                }
            self.running[done] = 0
            self._start(done)
            observed = self._observe()
        return observed, reward * self.reward_scale, done, infos

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Physical states, step counts, running returns and the random numbers' state."""
        arrays = {"state": self.dynamics.state, "steps": self.dynamics.steps, "running": self.running}
        tensors = {f"environment.{name}": torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        # As text: a generator's state is of 128-bit integers, which canonical JSON refuses.
        states = [json.dumps(random.bit_generator.state) for random in self.random]
        return tensors, {"random": states, "finished": [list(episode) for episode in self.finished]}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self.dynamics.state = tensors["environment.state"].numpy().copy()
        self.dynamics.steps = tensors["environment.steps"].numpy().copy()
        self.dynamics.prev_done[:] = False
        self.running = tensors["environment.running"].numpy().copy()
        for random, state in zip(self.random, meta["random"], strict=True):
            random.bit_generator.state = json.loads(state)
        self.finished = [(int(i), float(value)) for i, value in meta["finished"]]

    def _start(self, which: NDArray[np.bool_]) -> None:
        low, high = self.dynamics.low, self.dynamics.high
        counts = which.reshape(len(self.random), -1).sum(1)
        starts = [r.uniform(low, high, size=(4, n)) for r, n in zip(self.random, counts, strict=True) if n]
        self.dynamics.state[:, which] = np.concatenate(starts, axis=1)
        self.dynamics.steps[which] = 0
        # gymnasium would reset at the next step, ignoring its action; stable-baselines3 needs it done by now.
        self.dynamics.prev_done[:] = False

    def _observe(self) -> NDArray[np.float32]:
        # Row-major always: another layout may take another matrix product, with other bits.
        return np.ascontiguousarray(self.dynamics.state.T, dtype=np.float32)


Make = Callable[[int, Sequence[int], Settings], Environments]
"""(environments per seed, seeds, settings) -> environments."""


def _cartpole(envs_per_seed: int, seeds: Sequence[int], settings: Settings) -> Environments:
    read = Reader("data.settings", settings)
    limit, scale = read.whole("max_episode_steps"), read.number("reward_scale")
    read.close()
    return CartPole(envs_per_seed, seeds, limit, scale)


ENVIRONMENTS: dict[str, Make] = {"CartPole-v1": _cartpole}


def make(data: Data, envs_per_seed: int, seeds: Sequence[int]) -> Environments:
    """The environments of a task; raises UsageError for an unknown name."""
    if data.name not in ENVIRONMENTS:
        near = nearest(data.name, ENVIRONMENTS)
        raise UsageError(f"unknown environment {data.name!r}{near}: one of {', '.join(ENVIRONMENTS)}")
    return ENVIRONMENTS[data.name](envs_per_seed, seeds, data.settings)


def fingerprint(data: Data) -> str:
    """SHA-256 of the settings and of a canonical rollout: 8 environments, seed 0, 64 steps of fixed actions.

    Numbers are rounded to 4 decimals, since sine and cosine differ in the last bit between processors.
    """
    envs = make(data, envs_per_seed=8, seeds=[0])
    seen: list[Any] = [envs.reset()]
    for t in range(64):
        # Every second environment alternates, so long and short episodes both occur.
        actions = np.array([(t + i) % 2 if i % 2 else (t // (i + 1)) % 2 for i in range(8)])
        seen.extend(envs.step(actions)[:3])
    text = [data.name, json.dumps(data.settings, sort_keys=True), *map(_rounded, seen)]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _rounded(numbers: NDArray[Any]) -> str:
    return " ".join(f"{round(float(x), 4) + 0.0:.4f}" for x in numbers.ravel())
