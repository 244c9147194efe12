"""The networks that a language task may name, one family a file."""

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from suite.experiment.component import Component


class LanguageModel(Component):
    """Scores the next token: (tokens [time, batch], state) -> (scores [time, batch, types], state)."""

    table: ClassVar[str] = "model"
    default: ClassVar[str | None] = "lstm"

    @abstractmethod
    def build(self, types: int) -> nn.Module:
        """The network for a number of types; its weights are drawn from torch's default generator."""


class Translator(Component):
    """Scores a translation's tokens: (source, target [batch, length]) -> scores [batch, length, types]."""

    table: ClassVar[str] = "model"
    default: ClassVar[str | None] = "transformer"

    @abstractmethod
    def build(self, types: int) -> nn.Module:
        """The network for a number of types; its weights are drawn from torch's default generator."""
