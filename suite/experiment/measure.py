"""What a training step of a task takes on this machine: a few real steps, of few examples where that is possible."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from suite.experiment.arithmetic import reproducible
from suite.experiment.learner import Learner, Span
from suite.experiment.loading import builder, installed
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

LEAST_EXAMPLES = 2
"""Batch norm needs more than one."""
TELLING_SECONDS = 0.2
"""The time of a step of so long says something: two such batches, of which one is this long, are enough."""
LONG_SECONDS = 1.0
"""Of a step of so long the update of the weights is a small part: one batch is enough."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of a dense training step (of one core, if on the processor), and in words how they were found."""

    seconds: float
    how: str


def step_time(spec: TaskSpec, runtime: Runtime) -> StepTime:
    """Time a few steps of a task; raises RunError where its learner cannot be built here, such as for want of data.

    A learner that offers a `stand_in` needs no data and is timed at growing batches: the task's own is reckoned from
    the last two, along a line, since an update of the weights costs the same whatever the batch. Another one takes two
    steps as it is.
    """
    with reproducible(runtime), installed(spec):
        stand_in: Callable[[TaskSpec, Runtime], Learner] | None = getattr(builder(spec), "stand_in", None)
        if stand_in is not None:
            return _by_growing_batches(spec, lambda small: stand_in(small, runtime), runtime)
        span = Span(0, spec.training.total_steps)
        seconds = _second_step(builder(spec)(spec, Streams(spec.hash, 0), span, runtime), runtime)
    return StepTime(seconds, f"a step took {seconds:.3g} s")


def _by_growing_batches(spec: TaskSpec, make: Callable[[TaskSpec], Learner], runtime: Runtime) -> StepTime:
    whole = spec.training.batch
    times: dict[int, float] = {}
    size = min(LEAST_EXAMPLES, whole)
    while not _enough(times, whole):
        training = spec.training.model_copy(update={"batch": size})
        times[size] = _second_step(make(spec.model_copy(update={"training": training})), runtime)
        size = min(2 * size, whole)
    seconds = reckoned(times, whole)
    steps = " and ".join(f"{size} examples {seconds:.3g} s" for size, seconds in list(times.items())[-2:])
    return StepTime(seconds, f"a step of {steps}" + ("" if whole in times else f", so of {whole} {seconds:.3g} s"))


def _enough(times: dict[int, float], batch: int) -> bool:
    longest = max(times.values(), default=0.0)
    return batch in times or longest >= LONG_SECONDS or (len(times) > 1 and longest >= TELLING_SECONDS)


def reckoned(times: dict[int, float], batch: int) -> float:
    """Seconds at a batch, along the line through the times at the two largest batches that were timed.

    Noise must not tilt it: each further example costs at most its share of the largest batch, and at least half of it.
    """
    largest = max(times)
    if batch in times:
        return times[batch]
    smaller = max((size for size in times if size < largest), default=0)
    each = times[largest] / largest
    slope = (times[largest] - times.get(smaller, 0.0)) / (largest - smaller)
    return times[largest] + min(max(slope, each / 2), each) * (batch - largest)


def _second_step(learner: Learner, runtime: Runtime) -> float:
    """Seconds of a step behind a first one, in which memory is taken and code is chosen."""
    learner.advance(learner.step + 1)
    began = _now(runtime)
    learner.advance(learner.step + 1)
    return _now(runtime) - began


def _now(runtime: Runtime) -> float:
    """The processor's own time, which others' load does not lengthen, or the clock when a device has done its work."""
    if runtime.kind == "cpu":
        return time.process_time()
    if runtime.kind == "cuda":
        torch.cuda.synchronize(runtime.device)
    return time.perf_counter()
