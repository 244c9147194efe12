"""What the core trains: one learner, or a cohort whose every slot is treated as one."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from suite.experiment.copies import Copies
from suite.experiment.errors import Diverged
from suite.experiment.learner import Cohort, Copying, Learner, Noted, Outliving, Snapshot, Split
from suite.experiment.loading import builder, cohort_builder, installed
from suite.experiment.plan import Cell
from suite.experiment.randomness import RandomState, from_bytes, own_random, restore, seed, state, to_bytes
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.tickets.mask import Mask

Weights = dict[str, Tensor]
Scores = Mapping[str, float]


class Trainee(Protocol):
    """One or more training runs in step; lists have one item a cell."""

    model: nn.Module
    optimizer: torch.optim.Optimizer

    @property
    def step(self) -> int:
        """Next step to be taken."""

    def load(self, weights: Sequence[Weights | None]) -> None:
        """Put other weights in the place of the initial ones; None leaves a cell's own."""

    def mask(self, masks: Sequence[Mask]) -> Mask:
        """The cells' masks as one mask of `model`."""

    def weights(self) -> list[Weights]:
        """Copies of all parameters and buffers."""

    def advance(self, until: int) -> None:
        """Train up to a step, exclusive."""

    def diverged(self) -> list[bool]:
        """Which cells have met a loss or weight that is not finite."""

    def failures(self) -> Mapping[int, Exception]:
        """Cells, by their place, that failed while the others went on."""

    def evaluate(self, split: Split) -> Sequence[Scores]:
        """Scores on a split."""

    def traces(self) -> Sequence[Sequence[Scores]]:
        """Metrics seen in training."""

    def notes(self) -> dict[str, str]:
        """How scores are taken."""

    def snapshot(self) -> Snapshot:
        """All that is needed to go on."""

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot."""


def build(cell: Cell, runtime: Runtime) -> Learner:
    """The cell's learner at the first step of its span, with its initial weights; RunError when it cannot be built."""
    with installed(cell.spec), own_random(torch.device(runtime.device), cell.streams.seed("init")):
        return builder(cell.spec)(cell.spec, cell.streams, cell.span, runtime)


def copied(model: nn.Module) -> Weights:
    """A copy of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def trainee(cells: Sequence[Cell], runtime: Runtime) -> Trainee:
    """One cell's learner, or the cohort of several."""
    first = cells[0]
    if first.cohort is None:
        return _Alone(build(first, runtime), first.streams, torch.device(runtime.device))
    streams = [cell.streams for cell in cells]
    return _Together(cohort_builder(first.spec)(first.spec, streams, first.span, runtime), len(cells))


class _Alone:
    """One learner; its random numbers are seeded wherever it runs, its copies of its weights follow the ticket."""

    def __init__(self, learner: Learner, streams: Streams, device: torch.device) -> None:
        self._learner, self.model, self.optimizer = learner, learner.model, learner.optimizer
        own_copies = isinstance(learner, Copying)
        self._copies = None if own_copies else Copies(learner, learner.model, learner.optimizer)
        self._streams, self._device = streams, device
        self._random: RandomState | None = None
        self._started = self._diverged = False

    @property
    def step(self) -> int:
        return self._learner.step

    def load(self, weights: Sequence[Weights | None]) -> None:
        if weights[0] is not None:
            self.model.load_state_dict(weights[0])

    def mask(self, masks: Sequence[Mask]) -> Mask:
        return masks[0]

    def weights(self) -> list[Weights]:
        return [copied(self.model)]

    def advance(self, until: int) -> None:
        self._start()
        try:
            if not self._diverged:
                with own_random(self._device):
                    if self._random is None:
                        seed(self._streams.seed("dropout", self.step), self._device)
                    else:
                        restore(self._random, self._device)
                    self._learner.advance(until)
                    self._random = state(self._device)
        except Diverged:
            self._diverged = True

    def diverged(self) -> list[bool]:
        return [self._diverged]

    def failures(self) -> Mapping[int, Exception]:
        return {}

    def evaluate(self, split: Split) -> Sequence[Scores]:
        with own_random(self._device, self._streams.seed("evaluation")):
            return [self._learner.evaluate(split)]

    def traces(self) -> Sequence[Sequence[Scores]]:
        return [self._learner.trace()]

    def notes(self) -> dict[str, str]:
        return dict(self._learner.notes()) if isinstance(self._learner, Noted) else {}

    def snapshot(self) -> Snapshot:
        taken = self._learner.snapshot()
        for i, (copy, _) in enumerate(self._copies.loose if self._copies else ()):
            taken.tensors[f"copy.{i}"] = copy.detach().clone()
        if self._random is not None:
            taken.tensors["random.bytes"] = to_bytes(self._random)
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        self._start()
        self._learner.restore(snapshot)
        with torch.no_grad():
            for i, (copy, _) in enumerate(self._copies.loose if self._copies else ()):
                copy.copy_(snapshot.tensors[f"copy.{i}"])
        if "random.bytes" in snapshot.tensors:
            self._random = from_bytes(snapshot.tensors["random.bytes"])

    def _start(self) -> None:
        """Before the first step, when the ticket's weights are in the model and its mask is on them."""
        if self._started:
            return
        self._started = True
        if isinstance(self._learner, Copying):
            self._learner.weights_replaced()
        elif self._copies is not None:
            self._copies.follow()


class _Together:
    def __init__(self, cohort: Cohort, slots: int) -> None:
        self._cohort, self._slots, self.model, self.optimizer = cohort, slots, cohort.model, cohort.optimizer

    @property
    def step(self) -> int:
        return self._cohort.step

    def load(self, weights: Sequence[Weights | None]) -> None:
        with torch.no_grad():
            for name, stacked in self.model.state_dict().items():
                for slot, own in enumerate(weights):
                    if own is not None:
                        stacked[slot].copy_(own[name])

    def mask(self, masks: Sequence[Mask]) -> Mask:
        return Mask({name: torch.stack([mask[name] for mask in masks]) for name in masks[0]})

    def weights(self) -> list[Weights]:
        state = self.model.state_dict()
        return [{n: stacked[slot].detach().clone() for n, stacked in state.items()} for slot in range(self._slots)]

    def advance(self, until: int) -> None:
        self._cohort.advance(until)

    def diverged(self) -> list[bool]:
        return list(self._cohort.diverged())

    def failures(self) -> Mapping[int, Exception]:
        return self._cohort.failures() if isinstance(self._cohort, Outliving) else {}

    def evaluate(self, split: Split) -> Sequence[Scores]:
        return self._cohort.evaluate(split)

    def traces(self) -> Sequence[Sequence[Scores]]:
        return self._cohort.traces()

    def notes(self) -> dict[str, str]:
        return dict(self._cohort.notes()) if isinstance(self._cohort, Noted) else {}

    def snapshot(self) -> Snapshot:
        return self._cohort.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._cohort.restore(snapshot)
