"""The environment `Acrobot-v1`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from numpy.typing import NDArray

from domains.rl.environments import Timed
from domains.rl.episodes import Array, ArrayEpisodes
from domains.rl.pictures import drawn


class AcrobotV1(Timed):
    """Two links, to be swung above a height by a torque on the joint between them (Sutton 1996)."""

    name: ClassVar[str] = "Acrobot-v1"

    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> "Acrobot":
        """gymnasium's own equations of motion, vectorised."""
        return Acrobot(envs_per_seed, seeds, self.max_episode_steps, self.reward_scale)


class Acrobot(ArrayEpisodes):
    """Acrobots by gymnasium's own equations of motion on whole arrays: `envs_per_seed` in a row for each seed.

    Observations are of shape (num_envs, 6), actions integers in {0, 1, 2}; the reward is -1 a step, 0 at the goal.
    """

    def __init__(
        self, envs_per_seed: int, seeds: Sequence[int], max_episode_steps: int = 500, reward_scale: float = 1.0
    ) -> None:
        self._dynamics = AcrobotEnv()
        spaces = self._dynamics.observation_space, self._dynamics.action_space
        super().__init__(envs_per_seed, seeds, *spaces, max_episode_steps, reward_scale)
        self._fastest = np.array([[self._dynamics.MAX_VEL_1], [self._dynamics.MAX_VEL_2]])
        self.reset()

    def picture(self, environment: int) -> NDArray[np.uint8]:
        """The two links, as gymnasium draws them."""
        single: Any = self._dynamics  # gymnasium declares the state as None
        single.state = self.state[:, environment].copy()
        return drawn(single)

    def _move(self, actions: Array) -> tuple[Array, Array]:
        torque = np.array(self._dynamics.AVAIL_TORQUE)[actions]
        # The classical Runge-Kutta method of fourth order, as gymnasium's `rk4`, which takes one state alone.
        dt, before = self._dynamics.dt, self.state
        k1 = self._slope(before, torque)
        k2 = self._slope(before + dt / 2 * k1, torque)
        k3 = self._slope(before + dt / 2 * k2, torque)
        k4 = self._slope(before + dt * k3, torque)
        after = before + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        angles = after[:2]  # views: changed in place
        while (above := angles > np.pi).any():
            angles[above] -= 2 * np.pi
        while (below := angles < -np.pi).any():
            angles[below] += 2 * np.pi
        after[2:] = np.clip(after[2:], -self._fastest, self._fastest)
        self.state = after
        terminated = -np.cos(after[0]) - np.cos(after[1] + after[0]) > 1.0
        return np.where(terminated, 0.0, -1.0), terminated

    def _slope(self, state: NDArray[np.float64], torque: NDArray[np.float64]) -> NDArray[np.float64]:
        # The last one is the torque's own, which stays. gymnasium leaves the function untyped.
        return np.stack(self._dynamics._dsdt(np.vstack([state, torque]))[:4])  # type: ignore[no-untyped-call]

    def _draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        # gymnasium's starts are float32.
        return random.uniform(-0.1, 0.1, size=(4, count)).astype(np.float32).astype(np.float64)

    def _observe(self) -> NDArray[np.float32]:
        first, second = self.state[:2]
        seen = np.stack([np.cos(first), np.sin(first), np.cos(second), np.sin(second), *self.state[2:]], axis=1)
        return np.ascontiguousarray(seen, dtype=np.float32)
