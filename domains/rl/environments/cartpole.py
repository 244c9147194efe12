"""The environment `CartPole-v1`."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from numpy.typing import NDArray
from pydantic import Field
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor

from domains.rl.environments import Environment
from domains.rl.vectorised import Environments


class CartPoleV1(Environment):
    """A pole on a cart, to be kept upright by pushes to the left and right (Barto, Sutton and Anderson 1983)."""

    name: ClassVar[str] = "CartPole-v1"

    max_episode_steps: Annotated[int, Field(ge=1)] = Field(description="steps after which an episode is cut off")
    reward_scale: float = Field(
        description="factor on the rewards that the agent sees; returns are reported without it"
    )

    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> "CartPole":
        """gymnasium's own dynamics, vectorised."""
        return CartPole(envs_per_seed, seeds, self.max_episode_steps, self.reward_scale)


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
