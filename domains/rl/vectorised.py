"""The form in which a learner steps its environments: all at once, their whole state to be copied out and put back.

stable-baselines3 expects an environment that ends to be reset within the same step, its last observation handed over
in `infos[i]["terminal_observation"]`, and an end by the time limit marked `TimeLimit.truncated`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices
from torch import Tensor

from suite.experiment.errors import UsageError


class Environments(VecEnv):
    """A stable-baselines3 `VecEnv` that counts episodes and can be copied in mid-episode.

    `finished` lists the episodes that ended, in order: the environment's number and the return, undiscounted and
    unscaled; whoever reads it clears it. `running` holds the returns of the episodes in progress.
    """

    pictures_per_second: ClassVar[float] = 30.0
    finished: list[tuple[int, float]]
    running: NDArray[np.float64]

    @abstractmethod
    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, named `environment.…`, and JSON from which `restore` continues bit for bit."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave; other tensors may lie between them."""

    def rest(self, environment: int) -> None:
        """The episodes of this environment are not looked at any more: one that costs time to step may stand still."""

    def outlive_crashes(self) -> None:
        """From now on an environment that raises an error stands still, and is in `crashed`, while the others go on.

        Where all of them are one array, an error is that of all of them, and is raised as before.
        """

    @property
    def crashed(self) -> Mapping[int, Exception]:
        """Environments that have crashed, by number, if `outlive_crashes` was called."""
        return {}

    def picture(self, environment: int) -> NDArray[np.uint8]:
        """An environment as it is now, for people: (height, width, 3). Raises UsageError where it cannot be drawn."""
        raise UsageError(f"{type(self).__name__} cannot be drawn: it has no pictures")

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
