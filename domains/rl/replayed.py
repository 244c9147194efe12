"""Single environments of gymnasium side by side, whose physics nobody can copy: a snapshot is what led to them.

An engine such as Box2D hides its contacts and warm starts, so that equal positions and speeds do not go on equally. An
episode is made again from the random numbers it began with and the actions taken since.

The environments live in a thread of their own, one step at a time, for the sake of memory alone: Box2D never gives back
some kilobytes of an episode, which in one heap with a learner's weights come to lie between those, so that none of the
gaps fits the next gradient and the process grows by a gradient at every update. A thread has its own heap.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domains.rl.episodes import Array, Episodes
from domains.rl.pictures import drawn


class Replayed(Episodes):
    """`envs_per_seed` environments in a row for each seed, every one with random numbers of its own.

    `build` makes one without wrappers: what ends an episode by time is `max_episode_steps`.
    """

    def __init__(
        self, build: Callable[[], gym.Env[Any, Any]], envs_per_seed: int, seeds: Sequence[int],
        max_episode_steps: int, reward_scale: float,
    ) -> None:  # fmt: skip
        self._thread = ThreadPoolExecutor(1)
        self._single = [build() for _ in range(envs_per_seed * len(seeds))]
        spaces = self._single[0].observation_space, self._single[0].action_space
        super().__init__(len(self._single), *spaces, max_episode_steps, reward_scale)
        own = [seed for root in seeds for seed in np.random.SeedSequence(root).spawn(envs_per_seed)]
        for single, seed in zip(self._single, own, strict=True):
            single.np_random = np.random.Generator(np.random.PCG64(seed))
        self._resting: set[int] = set()
        self._outlives = False
        self._crashed: dict[int, Exception] = {}
        self._observed = np.zeros((self.num_envs, *(spaces[0].shape or ())), dtype=np.float32)
        self._began = [""] * self.num_envs
        self._taken: list[list[int]] = [[] for _ in self._single]

    def rest(self, environment: int) -> None:
        """Leave this environment as it is from now on: it is neither stepped nor begun anew."""
        self._resting.add(environment)

    def outlive_crashes(self) -> None:
        """From now on an environment that raises an error rests, and is in `crashed`."""
        self._outlives = True

    @property
    def crashed(self) -> Mapping[int, Exception]:
        """Environments that have crashed, by number, with their errors."""
        return self._crashed

    def picture(self, environment: int) -> NDArray[np.uint8]:
        """The environment as gymnasium draws it."""
        return drawn(self._single[environment])

    def close(self) -> None:
        """Close every environment."""
        for single in self._single:
            single.close()
        self._thread.shutdown()

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Of every episode the random numbers' state at its start and the actions since; and what `Episodes` keeps."""
        tensors, meta = super().snapshot()
        actions = [action for taken in self._taken for action in taken]
        tensors["environment.actions"] = torch.tensor(actions, dtype=torch.int64)
        return tensors, {**meta, "began": list(self._began), "taken": [len(taken) for taken in self._taken]}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Play every episode again up to where it was."""
        super().restore(tensors, meta)
        self._thread.submit(self._play_again, tensors["environment.actions"].tolist(), meta).result()

    def _play_again(self, taken: Sequence[int], meta: Mapping[str, Any]) -> None:
        actions = iter(taken)
        for i, (began, count) in enumerate(zip(meta["began"], meta["taken"], strict=True)):
            self._single[i].np_random.bit_generator.state = json.loads(began)
            with self._watched(i):
                self._begin(i)
            for action in islice(actions, count):
                with self._watched(i):
                    self._act(i, action)

    def _move(self, actions: Array) -> tuple[Array, Array]:
        return self._thread.submit(self._act_all, actions.tolist()).result()

    def _act_all(self, actions: Sequence[int]) -> tuple[Array, Array]:
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=np.bool_)
        for i, action in enumerate(actions):
            if i not in self._resting:
                with self._watched(i):
                    rewards[i], terminated[i] = self._act(i, action)
        return rewards, terminated

    @contextmanager
    def _watched(self, i: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever the environment's engine raises
            if not self._outlives:
                raise
            self._crashed[i] = error
            self._resting.add(i)

    def _act(self, i: int, action: int) -> tuple[float, bool]:
        self._observed[i], reward, terminated, _, _ = self._single[i].step(action)
        self._taken[i].append(action)
        return float(reward), terminated

    def _start(self, which: NDArray[np.bool_]) -> None:
        self._thread.submit(self._begin_all, np.flatnonzero(which).tolist()).result()

    def _begin_all(self, which: Sequence[int]) -> None:
        for i in which:
            if i not in self._resting:
                with self._watched(i):
                    self._begin(i)

    def _begin(self, i: int) -> None:
        self._began[i] = json.dumps(self._single[i].np_random.bit_generator.state)
        self._taken[i] = []
        self._observed[i] = self._single[i].reset()[0]

    def _observe(self) -> NDArray[np.float32]:
        return self._observed.copy()
