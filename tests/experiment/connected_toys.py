"""Learners whose paths between two runs have known errors."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suite.experiment.learner import Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import SupervisedLearner, evaluating
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task
from tests.experiment import toy

SHARE = {"metric.lowest": 0.0, "metric.highest": 1.0}


def task(learner: str = "", prunable: str = "", changes: Mapping[str, Any] | None = None, **run: Any) -> Task:
    """The toy task with an error in percent; of a learner of this file and its prunable tensor, if they are named."""
    made = toy.task(changes={**SHARE, **(changes or {})}, **{"arms": ("winning",), **run})
    own = {"learner": f"{__name__}:{learner}", "prunable": (prunable,)} if learner else {}
    return Task(made.spec.model_copy(update=own), made.method, made.options, made.code)


class Separable(SupervisedLearner):
    """Tells two far clusters apart by a line: all lines that do are a convex set, so no path has errors."""

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        super().__init__(spec, streams, span, runtime, lambda: nn.Linear(2, 2))

    def loss(self, step: int) -> Tensor:
        return F.cross_entropy(self.model(_clusters(self._streams.seed("data", step))[0]), _clusters(0)[1])

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        inputs, labels = _clusters({"train": 1, "validation": 2, "test": 3}[split])
        return {"accuracy": float((self.model(inputs).argmax(1) == labels).double().mean())}


def _clusters(seed: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(32) % 2
    noise = 0.1 * torch.randn(32, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([labels * 4.0 - 2.0, torch.zeros(32)], 1) + noise, labels


class Scalars(nn.Module):
    """Two weights whose product is the slope: (1, 1) and (-1, -1) are the same function, and between them lies 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((2,), 0.5))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight.prod() * inputs


class TwoMinima(SupervisedLearner):
    """Its data decide by the parity of their seed which of two minima it jumps to; at either it makes no error."""

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        super().__init__(spec, streams, span, runtime, Scalars)
        self.goal = 1.0 - 2.0 * (streams.seed("data") % 2)

    def loss(self, step: int) -> Tensor:
        total: Tensor = (self.model.weight - self.goal).square().sum()  # type: ignore[operator, union-attr]
        return total

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        inputs = torch.linspace(-1, 1, 10)
        return {"accuracy": float(((self.model(inputs) > 0) == (inputs > 0)).double().mean())}


class Normed(SupervisedLearner):
    """Batch norm whose running mean lags far behind the data's: only recalibrated statistics tell the classes apart."""

    recalibrates = True

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        def build() -> nn.Module:
            return nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, momentum=1e-4, affine=False))

        super().__init__(spec, streams, span, runtime, build)
        with torch.no_grad():
            self.model[0].weight.fill_(1.0)  # type: ignore[union-attr, operator, index]

    def _inputs(self) -> Tensor:
        return torch.linspace(10, 12, 20)[:, None]

    def loss(self, step: int) -> Tensor:
        total: Tensor = self.model(self._inputs()).square().mean()
        return total

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        with evaluating(self.model):
            found = self.model(self._inputs()) > 0
        return {"accuracy": float((found == (self._inputs() > 11)).double().mean())}

    @torch.no_grad()
    def recalibrate(self, n: int) -> None:
        if self.recalibrates:
            self.model[1].momentum = None  # type: ignore[index]
            for _ in range(n):
                self.model(self._inputs())


class Unrecalibrated(Normed):
    """Has batch norm, and the learner's method that leaves it as it is."""

    recalibrates = False
