"""What a learner's training costs beside the same training by another library: both in one run, on one core."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from suite.experiment.arithmetic import reproducible
from suite.experiment.errors import UsageError
from suite.experiment.learner import Peer, Span
from suite.experiment.loading import builder, installed
from suite.experiment.runtime import HERE
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

REPLICATE = 1000
"""One that no result is reported of."""


@dataclass(frozen=True)
class Speed:
    """One side: examples (in reinforcement learning: steps of the agent) a second, and a second of CPU time."""

    name: str
    per_second: float
    per_cpu_second: float


@dataclass(frozen=True)
class PeerTimes:
    """What `measure` found: medians over the rounds; the ratios are medians of each round's, learner to peer."""

    task: str
    scale: str
    rounds: int
    steps: int
    examples: int
    load: tuple[float, float, float]
    peer: Speed
    learner: Speed
    ratio: float
    cpu_ratio: float

    def as_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        return {"schema": 1, **asdict(self)}


def measure(spec: TaskSpec, rounds: int, steps: int) -> PeerTimes:
    """Time `steps` updates of both sides in each of `rounds` rounds, after one that is not counted.

    Raises UsageError for a task whose learner names no peer.
    """
    make = getattr(builder(spec), "peer", None)
    if make is None:
        raise UsageError(f"{spec.id} has no peer: its learner has no classmethod `peer(spec)`; name another task")
    with reproducible(HERE), installed(spec), _one_core():
        last = steps * (rounds + 1)
        long = spec.model_copy(update={"training": spec.training.model_copy(update={"total_steps": last})})
        learner = builder(spec)(long, Streams(spec.hash, REPLICATE), Span(0, last), HERE)
        peer: Peer = make(spec)
        found: list[tuple[tuple[float, float], tuple[float, float]]] = []
        for turn in range(rounds + 1):
            theirs = _timed(lambda: peer.advance(steps))
            ours = _timed(lambda: learner.advance(learner.step + steps))
            if turn:
                found.append((theirs, ours))
    examples = steps * spec.training.batch

    def speed(name: str, side: int) -> Speed:
        return Speed(name, *(median(examples / each[side][kind] for each in found) for kind in (0, 1)))

    ratio, cpu_ratio = (median(theirs[kind] / ours[kind] for theirs, ours in found) for kind in (0, 1))
    return PeerTimes(
        spec.id, spec.scale, rounds, steps, examples, os.getloadavg(), speed(peer.name, 0), speed("learner", 1),
        ratio, cpu_ratio,
    )  # fmt: skip


def _timed(take: Any) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    take()
    return time.perf_counter() - began, time.process_time() - cpu


@contextmanager
def _one_core() -> Iterator[None]:
    """This process and the threads that it starts meanwhile on one core, where the system can be told so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
