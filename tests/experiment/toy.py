"""A task small enough to run many times: three-class points on a plane, a two-layer network, forty steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suite.experiment.learner import Cohort, Snapshot, Span, Split
from suite.experiment.options import RunOptions
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import SupervisedLearner, evaluating
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task, read_task

TOML = """
id = "toy/points"
version = "1.0.0"
title = "Points on a plane"
learner = "tests.experiment.toy:ToyLearner"
cohort = "tests.experiment.toy:ToyCohort"
probes = true
prunable = ["0.weight", "2.weight"]
prune_output_layer = true
prune_biases = false
data = {name = "points", fingerprint = "none"}
model = {hidden = 16, dropout = 0.0}
training = {total_steps = 40, batch = 16, optimizer = {name = "adam", lr = 0.02}, schedule = {name = "cosine"}}
metric = {name = "accuracy", unit = "fraction", higher_is_better = true, chance = 0.33, margin = 0.02}
cost = {seconds_per_step = 1e-3, flops_per_step = 1e3}
method = {rate = 0.4}
run = {levels = 2, replicates = 2}
[scales.smoke]
"""


def task(scale: str = "smoke", changes: Mapping[str, Any] | None = None, **options: Any) -> Task:
    """The toy task with settings and options changed."""
    made = read_task(TOML, "toy.toml").at(scale, changes)
    return Task(made.spec, made.method, RunOptions(**{**made.options.model_dump(), **options}), made.code)


def points(seed: int) -> tuple[Tensor, Tensor]:
    """Labelled points [64, 2]."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(64) % 3
    angles = labels * 2.1
    return torch.stack([angles.cos(), angles.sin()], 1) + 0.5 * torch.randn(64, 2, generator=generator), labels


class ToyLearner(SupervisedLearner):
    """Fresh points every step; dropout where the task says so."""

    outputs = 3

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        hidden, dropout = spec.model["hidden"], spec.model["dropout"]
        assert isinstance(hidden, int)
        assert isinstance(dropout, float)

        def build() -> nn.Module:
            return nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, self.outputs), nn.Dropout(dropout))

        super().__init__(spec, streams, span, runtime, build)

    def loss(self, step: int) -> Tensor:
        inputs, labels = points(self._streams.seed("data", step))
        return F.cross_entropy(self.model(inputs), labels)

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        inputs, labels = points({"train": 1, "validation": 2, "test": 3}[split])
        with evaluating(self.model):
            return {"accuracy": float((self.model(inputs).argmax(1) == labels).double().mean())}

    def probes(self, n: int) -> Sequence["ToyProbe"]:
        return [ToyProbe(self.model, *points(index)) for index in range(n)]


class WideLearner(ToyLearner):
    """The same with one output more than there are classes."""

    outputs = 4


class ToyProbe:
    def __init__(self, model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        self._model, self._inputs, self._labels = model, inputs, labels

    def loss(self) -> Tensor:
        return F.cross_entropy(self._model(self._inputs), self._labels)

    def flow(self) -> Tensor:
        total: Tensor = self._model(torch.ones(1, 2, dtype=next(self._model.parameters()).dtype)).sum()
        return total


class ToyCohort(Cohort):
    """The same networks stacked: parameter `n` of slot i is row i of the stacked `n`."""

    def __init__(self, spec: TaskSpec, streams: Sequence[Streams], span: Span, runtime: Runtime) -> None:
        self._slots = [ToyLearner(spec, own, span, runtime) for own in streams]
        self.model = nn.Sequential(*(nn.Module() for _ in range(3)))
        for name, _ in self._slots[0].model.named_parameters():
            layer, local = name.split(".")
            stacked = torch.stack([dict(s.model.named_parameters())[name].detach() for s in self._slots])
            setattr(self.model[int(layer)], local, nn.Parameter(stacked))
        self._rate = self._slots[0].optimizer.param_groups[0]["lr"]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self._rate)
        self._span, self._step = span, span.first

    @property
    def step(self) -> int:
        return self._step

    @property
    def total_steps(self) -> int:
        return self._span.last

    def advance(self, until: int) -> None:
        while self._step < until:
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate * self._slots[0]._factor(self._step)
            batches = [points(slot._streams.seed("data", self._step)) for slot in self._slots]
            losses = [F.cross_entropy(self._scores(i, inputs), labels) for i, (inputs, labels) in enumerate(batches)]
            self.optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            self.optimizer.step()
            self._step += 1

    def diverged(self) -> Sequence[bool]:
        return [False for _ in self._slots]

    @torch.no_grad()
    def evaluate(self, split: Split) -> Sequence[Mapping[str, float]]:
        inputs, labels = points({"train": 1, "validation": 2, "test": 3}[split])
        found = [(self._scores(i, inputs).argmax(1) == labels).double().mean() for i in range(len(self._slots))]
        return [{"accuracy": float(value)} for value in found]

    def traces(self) -> Sequence[Sequence[Mapping[str, float]]]:
        return [[] for _ in self._slots]

    def snapshot(self) -> Snapshot:
        return Snapshot({n: v.clone() for n, v in self.model.state_dict().items()}, {"step": self._step})

    def restore(self, snapshot: Snapshot) -> None:
        self.model.load_state_dict(snapshot.tensors)
        self._step = snapshot.meta["step"]

    def _scores(self, slot: int, inputs: Tensor) -> Tensor:
        own = {name: stacked[slot] for name, stacked in self.model.named_parameters()}
        return torch.func.functional_call(self._slots[slot].model, own, (inputs,))
