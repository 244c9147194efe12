"""The environment `LunarLander-v3`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
from gymnasium.error import DependencyNotInstalled, DeprecatedEnv, UnregisteredEnv

from domains.rl.environments import Timed
from domains.rl.pictures import broken
from domains.rl.replayed import Replayed
from suite.experiment.errors import RunError


class LunarLanderV3(Timed):
    """A lander, to be set down between two flags by its three engines; Box2D computes how it moves."""

    name: ClassVar[str] = "LunarLander-v3"

    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> Replayed:
        """gymnasium's own environments, one after the other.

        Raises ModuleNotFoundError without Box2D, ImportError with one that cannot be loaded, and RunError with a
        gymnasium that has no such environment.
        """
        return Replayed(self._single, envs_per_seed, seeds, self.max_episode_steps, self.reward_scale)

    def _single(self) -> gym.Env[Any, Any]:
        try:
            return gym.make(self.name, disable_env_checker=True).unwrapped
        except DependencyNotInstalled as error:
            kind = ImportError if broken(error) else ModuleNotFoundError
            raise kind(broken(error) or str(error), name="Box2D") from error
        except (UnregisteredEnv, DeprecatedEnv) as error:
            raise RunError(
                f"gymnasium {gym.__version__} has no {self.name}: pip install 'gymnasium>=1.1,<=1.4'"
            ) from error
