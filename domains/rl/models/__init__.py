"""The actor-critic networks that a task may name, one family a file."""

from abc import abstractmethod
from typing import Any, ClassVar

from stable_baselines3.common.policies import ActorCriticPolicy

from suite.experiment.component import Component


class Model(Component):
    """A policy of stable-baselines3, which draws its weights from torch's default generator."""

    table: ClassVar[str] = "model"
    default: ClassVar[str | None] = "mlp"
    policy: ClassVar[str | type[ActorCriticPolicy]]

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """What stable-baselines3 calls `policy_kwargs`."""
