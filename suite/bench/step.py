"""What a training step costs beside a bare loop: both sides in one run, their rounds interleaved."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from suite.bench.sides import Side, interleaved
from suite.experiment.arithmetic import reproducible
from suite.experiment.errors import UsageError
from suite.experiment.learner import Learner, Span
from suite.experiment.loading import builder
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchProbe, SupervisedLearner
from suite.experiment.task import TaskSpec
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

DENSITIES = (1.0, 0.2, 0.01)
REPLICATE = 1000
"""One that no result is reported of."""


@dataclass(frozen=True)
class StepTimes:
    """What `measure` found, and under which conditions."""

    task: str
    scale: str
    rounds: int
    steps: int
    threads: int
    load: tuple[float, float, float]
    sides: tuple[Side, ...]

    def as_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        return {"schema": 1, **asdict(self)}


def measure(spec: TaskSpec, rounds: int, steps: int, runtime: Runtime) -> StepTimes:
    """Time `steps` steps of every side in each of `rounds` rounds, after one round that is not counted.

    The bare loop is what one would write by hand for the task's model, loss and optimizer, its batches lying in memory.
    Raises UsageError for a task whose learner follows no loss on batches.
    """
    with reproducible(runtime), ExitStack() as attached:
        sides = _sides(spec, steps, rounds, runtime, attached)
        found = interleaved(sides, rounds, steps, runtime)
    return StepTimes(spec.id, spec.scale, rounds, steps, runtime.threads, os.getloadavg(), found)


def _sides(
    spec: TaskSpec, steps: int, rounds: int, runtime: Runtime, attached: ExitStack
) -> dict[str, Callable[[], None]]:
    def learner() -> SupervisedLearner:
        # As many steps as are asked for, whatever the task says: a schedule's factor costs the same at every step.
        long = spec.model_copy(
            update={"training": spec.training.model_copy(update={"total_steps": steps * (rounds + 1)})}
        )
        made: Learner = builder(spec)(long, Streams(spec.hash, REPLICATE), Span(0, steps * (rounds + 1)), runtime)
        if not isinstance(made, SupervisedLearner) or not hasattr(made, "probes"):
            raise UsageError(f"{spec.id} has no loss on fixed batches to write a bare loop of: name another task")
        return made

    def masked(density: float) -> SupervisedLearner:
        made = learner()
        attached.enter_context(enforce(made.model, made.optimizer, random_mask(made.model, spec.prunable, density)))
        return made

    def advancing(made: SupervisedLearner) -> Callable[[], None]:
        return lambda: made.advance(made.step + steps)

    hooked = learner()
    for parameter in (hooked.model.get_parameter(name) for name in spec.prunable):
        parameter.register_post_accumulate_grad_hook(_times(torch.ones_like(parameter)))  # type: ignore[no-untyped-call]
    return {
        "bare loop": _bare(learner(), steps),
        "bare loop, gradients times a mask": _bare(hooked, steps),
        "learner": advancing(learner()),
        **{f"learner, masked at density {density:g}": advancing(masked(density)) for density in DENSITIES},
    }


def _bare(made: Any, steps: int) -> Callable[[], None]:
    """Steps on batches that lie in memory one by one, which leaves out even the cost of picking their rows."""
    batches: Iterator[BatchProbe] = itertools.cycle(made.probes(steps))
    optimizer = made.optimizer
    made.model.train()

    def take() -> None:
        for batch in itertools.islice(batches, steps):
            optimizer.zero_grad(set_to_none=True)
            loss = batch.batch_loss()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return take


def _times(ones: Tensor) -> Callable[[Tensor], None]:
    def hook(parameter: Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad.mul_(ones)

    return hook


def random_mask(model: nn.Module, prunable: Sequence[str], density: float) -> Mask:
    """A mask of each tensor's share of weights drawn at random."""
    generator = torch.Generator().manual_seed(REPLICATE)
    dense = Mask.dense(model, prunable)
    return Mask({name: torch.rand(kept.shape, generator=generator) < density for name, kept in dense.items()})
