"""What a training step costs beside a bare loop: both sides in one run, their rounds interleaved."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from suite.bench.sides import Side, Times, against_first, timed_rounds
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
    builds: int
    rounds: int
    steps: int
    threads: int
    load: tuple[float, float, float]
    sides: tuple[Side, ...]

    def as_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        return {"schema": 1, **asdict(self)}


def measure(spec: TaskSpec, builds: int, rounds: int, steps: int, runtime: Runtime) -> StepTimes:
    """Time `steps` steps of every side in each of `rounds` rounds, after one round that is not counted.

    All of it is done `builds` times with models made anew: where their tensors come to lie in memory alone makes two
    equal sides differ by some percent. The first bare loop is what one would write by hand for the task's model, loss
    and optimizer, with its batches lying ready in memory; the second picks each batch as the learner does.
    Raises UsageError for a task whose learner follows no loss on batches.
    """
    found: dict[str, list[Times]] = {}
    with reproducible(runtime):
        for _ in range(builds):
            with ExitStack() as attached:
                for name, times in timed_rounds(
                    _sides(spec, steps, rounds, runtime, attached), rounds, steps, runtime
                ).items():
                    found.setdefault(name, []).extend(times)
    return StepTimes(spec.id, spec.scale, builds, rounds, steps, runtime.threads, os.getloadavg(), against_first(found))


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
        "bare loop that picks its batches": _picking(learner(), steps),
        "bare loop, gradients times a mask": _bare(hooked, steps),
        "learner": advancing(learner()),
        **{f"learner, masked at density {density:g}": advancing(masked(density)) for density in DENSITIES},
    }


def _bare(made: Any, steps: int) -> Callable[[], None]:
    """Steps on batches that lie in memory one by one, which leaves out even the cost of picking their rows."""
    batches: Iterator[BatchProbe] = itertools.cycle(made.probes(steps))
    made.model.train()
    return _loop(made.optimizer, lambda: next(batches).batch_loss(), steps)


def _picking(made: SupervisedLearner, steps: int) -> Callable[[], None]:
    """Steps on the batches of the learner, each picked when it is needed."""
    step = itertools.count(made.step)
    made.model.train()
    return _loop(made.optimizer, lambda: made.loss(next(step)), steps)


def _loop(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor], steps: int) -> Callable[[], None]:
    def take() -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss())
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
