"""The environments that a task may name, one class a file."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from domains.rl.vectorised import Environments
from suite.experiment.component import Component
from suite.experiment.task import Data


class Environment(Component):
    """A kind of environment with discrete actions."""

    table: ClassVar[str] = "data.settings"

    @abstractmethod
    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> Environments:
        """`envs_per_seed` environments in a row for each seed, those of a seed independent of the others."""

    def fingerprint(self) -> str | None:
        """SHA-256 of what makes the environment behave as it does; None: that of a rollout, see `fingerprint`."""
        return None


class Timed(Environment):
    """A kind of environment whose episodes have a limit of steps, and whose rewards have a scale."""

    max_episode_steps: Annotated[int, Field(ge=1)] = Field(description="steps after which an episode is cut off")
    reward_scale: float = Field(
        description="factor on the rewards that the agent sees; returns are reported without it"
    )


def make(data: Data, envs_per_seed: int, seeds: Sequence[int]) -> Environments:
    """The environments of a task; raises UsageError for an unknown name and for settings that it refuses."""
    return Environment.of_data(data.name, data.settings).make(envs_per_seed, seeds)


def fingerprint(data: Data) -> str:
    """The environment's own fingerprint, or else SHA-256 of the settings and of a canonical rollout.

    The rollout is of 8 environments, seed 0, 64 steps of fixed actions. Numbers are rounded to 4 decimals, since sine
    and cosine differ in the last bit between processors.
    """
    environment = Environment.of_data(data.name, data.settings)
    own = environment.fingerprint()
    if own is not None:
        return own
    settings = json.dumps(data.settings, sort_keys=True)
    return _fingerprint(type(environment), data.model_dump_json(), settings)


@lru_cache(maxsize=8)  # once a process: stepping single environments takes a while
def _fingerprint(_kind: type[Environment], data_json: str, settings: str) -> str:
    data = Data.model_validate_json(data_json)
    envs = make(data, envs_per_seed=8, seeds=[0])
    space: Any = envs.action_space
    choices = int(space.n)
    seen: list[Any] = [envs.reset()]
    for t in range(64):
        # Every second environment takes its actions in turn, so long and short episodes both occur.
        actions = np.array([(t + i) % choices if i % 2 else (t // (i + 1)) % choices for i in range(8)])
        seen.extend(envs.step(actions)[:3])
    text = [data.name, settings, *map(_rounded, seen)]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _rounded(numbers: NDArray[Any]) -> str:
    return " ".join(f"{round(float(x), 4) + 0.0:.4f}" for x in numbers.ravel())
