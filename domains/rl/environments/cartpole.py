"""The environment `CartPole-v1`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from numpy.typing import NDArray

from domains.rl.environments import Timed
from domains.rl.episodes import Array, ArrayEpisodes
from domains.rl.pictures import drawn


class CartPoleV1(Timed):
    """A pole on a cart, to be kept upright by pushes to the left and right (Barto, Sutton and Anderson 1983)."""

    name: ClassVar[str] = "CartPole-v1"

    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> "CartPole":
        """gymnasium's own dynamics, vectorised."""
        return CartPole(envs_per_seed, seeds, self.max_episode_steps, self.reward_scale)


class CartPole(ArrayEpisodes):
    """CartPoles over gymnasium's own vectorised dynamics: `envs_per_seed` in a row for each seed.

    Observations are of shape (num_envs, 4), actions integers in {0, 1}; the reward is 1 a step.
    """

    def __init__(
        self, envs_per_seed: int, seeds: Sequence[int], max_episode_steps: int = 500, reward_scale: float = 1.0
    ) -> None:
        # Typed loosely: gymnasium declares the state, an array of shape (4, num_envs), as None.
        self._dynamics: Any = CartPoleVectorEnv(envs_per_seed * len(seeds))
        self._drawing: Any = CartPoleEnv()
        spaces = self._dynamics.single_observation_space, self._dynamics.single_action_space
        super().__init__(envs_per_seed, seeds, *spaces, max_episode_steps, reward_scale)
        self.reset()

    def picture(self, environment: int) -> NDArray[np.uint8]:
        """Cart and pole, as gymnasium draws them."""
        self._drawing.state = self.state[:, environment].copy()
        return drawn(self._drawing)

    def _move(self, actions: Array) -> tuple[Array, Array]:
        self._dynamics.state = self.state
        _, reward, terminated, _, _ = self._dynamics.step(actions)
        # gymnasium would reset at the next step, ignoring its action; stable-baselines3 needs it done by now.
        self._dynamics.prev_done[:] = False
        self.state = self._dynamics.state
        return reward, terminated

    def _draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        return random.uniform(self._dynamics.low, self._dynamics.high, size=(4, count))

    def _observe(self) -> NDArray[np.float32]:
        # Row-major always: another layout may take another matrix product, with other bits.
        return np.ascontiguousarray(self.state.T, dtype=np.float32)
