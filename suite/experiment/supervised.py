"""What learners that follow a loss on batches have in common: steps, learning rate, streams, trace, snapshots.

A helper for adapters, no part of the core: whoever has another loop (reinforcement learning) writes a `Learner` of
their own.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from suite.experiment import snapshot as dense
from suite.experiment.component import Components, Settings
from suite.experiment.copies import other_networks
from suite.experiment.errors import Diverged, RunError, UsageError
from suite.experiment.learner import Snapshot, Span, Split
from suite.experiment.optimization import BaseRates, drop_gradients, refuse_closures
from suite.experiment.optimizers import Optimizer
from suite.experiment.randomness import own_random, seed, state
from suite.experiment.runtime import Runtime
from suite.experiment.schedules import Schedule, learning_rate
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

TRACE_POINTS = 100
_UNREAD = "losses.unread"


class BatchSettings(Settings):
    """What every learner on batches reads of `training.settings`; one with more settings derives from it."""

    clip: Annotated[float, Field(ge=0)] = Field(default=0.0, description="largest norm of the gradient; 0: not clipped")


class SupervisedLearner(ABC):
    """A `Learner` that minimises a loss: a domain gives the model, the loss of a step, and the scores of a split.

    Batch and dropout of step s depend on the streams and s alone, so a run that starts at step k, or goes on from a
    snapshot, needs no history. A constructor may give the optimizer parameter groups of its own, each of which then
    follows the schedule from its own rate, freeze parameters, and put layers in evaluation mode: they stay so. Other
    networks that it holds, such as a running mean of the weights, are part of its snapshots. `components` names what
    reads the task's tables; a learner with settings of its own names there a class that derives from `BatchSettings`.
    """

    components: ClassVar[Components] = Components(optimizer=Optimizer, schedule=Schedule, settings=BatchSettings)
    model: nn.Module
    optimizer: torch.optim.Optimizer
    draws: ClassVar[bool] = True
    """Whether `loss` may draw random numbers: each step has its own seed then, for torch, numpy and `random`.

    False: the loss itself draws none, and the model in every step or in none (dropout), which the first step shows.
    """

    def __init__(
        self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime, build: Callable[[], nn.Module]
    ) -> None:
        settings = (self.components.settings or BatchSettings).read(spec.training.settings, "training.settings")
        self._clip = settings.clip if isinstance(settings, BatchSettings) else 0.0
        self._spec, self._streams, self._span, self._step = spec, streams, span, span.first
        self.device = torch.device(runtime.device)
        with own_random(self.device, streams.seed("init")):
            self.model = build().to(self.device)
        self.optimizer = self.make_optimizer()
        self._base_rates = BaseRates(self.optimizer)
        self._factor = learning_rate(spec.training.schedule, span, spec.training.total_steps)
        self._modes: list[tuple[nn.Module, bool]] = []
        self._model_draws = self.draws
        self._trace_every = max(1, math.ceil(spec.training.total_steps / TRACE_POINTS))
        self._trace: list[dict[str, float]] = []
        self._unread: list[Tensor] = []  # losses since the last point of the trace

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The task's optimizer of the model; a learner whose library brings its own optimizers overrides this."""
        return Optimizer.of(self._spec.training.optimizer).build(self.model.parameters())

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """Mean loss on the batch of a step; called once a step, in order, in the modes that layers were left in."""

    @abstractmethod
    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Scores on a split, the task's metric among them; alters no stream and no buffer."""

    @property
    def step(self) -> int:
        """Next step to be taken."""
        return self._step

    @property
    def total_steps(self) -> int:
        """Last step of the span, exclusive."""
        return self._span.last

    def parameters(self) -> Iterable[nn.Parameter]:
        """The model's parameters, read anew."""
        return self.model.parameters()

    def advance(self, until: int) -> None:
        """Train up to step `until`, exclusive.

        Raises Diverged, which names the first step whose loss was not finite, at the next point of the trace, where
        losses are read: reading one makes a graphics card wait. Raises UsageError for an optimizer whose steps need a
        closure, and RunError when a learner that says it draws nothing does.
        """
        refuse_closures(self.optimizer)
        if not self.model.training and self._modes:  # an evaluation left the model so: its layers as they were before
            for module, mode in self._modes:
                module.training = mode
        first = self._step
        with own_random(self.device):
            before: object = None
            while self._step < until:
                if self._model_draws or self._step == first:
                    seed(self._streams.seed("dropout", self._step), self.device)
                    before = None if self._model_draws else state(self.device)
                self._take_step()
                if self._step == first + 1 and not self._model_draws:
                    self._model_draws = state(self.device) != before
            if not self._model_draws and self._step > first and state(self.device) != before:
                raise RunError(
                    f"steps {first} to {until - 1} drew random numbers and step {first} alone did not: "
                    f"say `draws = True` in {type(self).__name__}, so that every step is seeded"
                )
        self._modes = [(module, module.training) for module in self.model.modules()]

    def _take_step(self) -> None:
        step = self._step
        self._base_rates.scale(self.optimizer, self._factor(step))
        drop_gradients(self.optimizer)
        loss = self.loss(step)
        self._unread.append(loss.detach())
        shown = step % self._trace_every == 0 or step == self._span.last - 1
        value = self._read_losses() if shown else None
        loss.backward()  # type: ignore[no-untyped-call]
        if self._clip:
            nn.utils.clip_grad_norm_(self.parameters(), self._clip)
        self.optimizer.step()
        if value is not None:
            self._trace.append({"step": step, "loss": value})
        self._step += 1
        self.stepped()

    def stepped(self) -> None:
        """Called after every step, masks enforced; a learner that averages its weights overrides this."""

    def _read_losses(self) -> float:
        """The last loss; all since the last reading must be finite."""
        values: list[float] = torch.stack([loss.reshape(()) for loss in self._unread]).tolist()
        for step, value in enumerate(values, self._step - len(values) + 1):
            if not math.isfinite(value):
                raise Diverged(f"loss {value} at step {step}")
        self._unread.clear()
        return values[-1]

    def trace(self) -> Sequence[Mapping[str, float]]:
        """Training loss at about a hundred steps."""
        return list(self._trace)

    def recalibrate(self, n: int) -> None:
        """Nothing: a learner whose model has batch norm overrides this."""

    def snapshot(self) -> Snapshot:
        """Model, optimizer, other networks, trace and step."""
        taken = dense.take(self.model, self.optimizer, {"step": self._step, "trace": list(self._trace)})
        if self._unread:
            taken.tensors[_UNREAD] = torch.stack([loss.reshape(()) for loss in self._unread])
        for name, network in other_networks(self, self.model).items():
            taken.tensors.update({f"{name}.{key}": value.clone() for key, value in network.state_dict().items()})
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed learner."""
        dense.put(snapshot, self.model, self.optimizer)
        self._step, self._trace = int(snapshot.meta["step"]), list(snapshot.meta["trace"])
        self._unread = list(snapshot.tensors[_UNREAD].to(self.device)) if _UNREAD in snapshot.tensors else []
        for name, network in other_networks(self, self.model).items():
            own = {k.removeprefix(f"{name}."): v for k, v in snapshot.tensors.items() if k.startswith(f"{name}.")}
            network.load_state_dict(own)

    def generator(self, *index: int) -> torch.Generator:
        """The random numbers of an epoch's data order."""
        return torch.Generator().manual_seed(self._streams.seed("data", *index))


@dataclass(frozen=True)
class BatchProbe:
    """A fixed batch: `batch_loss` and `outputs` compute on it; see `suite.experiment.learner.Probe`."""

    model: nn.Module
    batch_loss: Callable[[], Tensor]
    outputs: Callable[[], Tensor]

    def loss(self) -> Tensor:
        """Mean training loss, in evaluation mode: no dropout, no statistics updated."""
        with evaluating(self.model):
            return self.batch_loss()

    def flow(self) -> Tensor:
        """Sum of the outputs."""
        with evaluating(self.model):
            return self.outputs().sum()


def check_batch(batch: int, examples: int) -> None:
    """Raise UsageError for a batch that the training examples do not fill."""
    if batch > examples:
        raise UsageError(f"training.batch = {batch} exceeds the {examples} training examples: lower it")


class Order:
    """The order of examples: each epoch a permutation of its own, cut into batches; a remainder is left out."""

    def __init__(self, examples: int, batch: int, generator: Callable[[int], torch.Generator]) -> None:
        check_batch(batch, examples)
        self._examples, self._batch, self._generator = examples, batch, generator
        self.epoch_steps = examples // batch
        self._epoch: tuple[int, Tensor] | None = None

    def rows(self, step: int) -> Tensor:
        """Row numbers [batch] of the batch of a step."""
        epoch, place = divmod(step, self.epoch_steps)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = epoch, torch.randperm(self._examples, generator=self._generator(epoch))
        return self._epoch[1][place * self._batch : (place + 1) * self._batch]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and every module's own mode again afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
