"""What a learner's training costs beside the same training by other libraries: all in one run, on one core."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

from suite.experiment.arithmetic import reproducible
from suite.experiment.errors import UsageError
from suite.experiment.learner import Cohort, Counting, Learner, Peer, Peered, ScoringPeer, Span
from suite.experiment.loading import builder, cohort_builder, installed
from suite.experiment.runtime import HERE, Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

REPLICATE = 1000
"""One that no result is reported of."""

Times = tuple[float, float]
"""Wall and CPU seconds."""


@dataclass(frozen=True)
class Speed:
    """One side: units of work a second, and a second of CPU time; `ratio` is the learner's speed over this side's.

    The ratios are medians of each round's.
    """

    name: str
    per_second: float
    per_cpu_second: float
    ratio: float
    cpu_ratio: float


@dataclass(frozen=True)
class Compared:
    """The sides of one kind of work, the learner last: medians over the rounds, `amount` units in each."""

    what: str
    rounds: int
    amount: float
    unit: str
    sides: tuple[Speed, ...]


@dataclass(frozen=True)
class PeerTimes:
    """What `measure` found: training and, where it was asked for, scoring."""

    task: str
    scale: str
    steps: int
    load: tuple[float, float, float]
    training: Compared
    scoring: Compared | None

    def as_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        return {"schema": 2, **asdict(self)}


def measure(
    spec: TaskSpec, rounds: int, steps: int, scorings: int = 0, runtime: Runtime = HERE, slots: int = 0
) -> PeerTimes:  # fmt: skip
    """Time `steps` updates of all sides in each of `rounds` rounds, after one that is not counted.

    Then the validation set is scored so often by all sides with the learner's weights. With `slots` a cohort of so many
    runs trains in the learner's place, and its work is that of all of them. Raises UsageError for a task whose learner
    names no peers, or peers that do not score, and for a cohort that the task does not offer or that is to score.
    """
    if slots and scorings:
        raise UsageError("--cohort and --scorings: a cohort is timed in training alone; leave one of them out")
    with reproducible(runtime), installed(spec), _one_core():
        last = steps * (rounds + 1)
        long = spec.model_copy(update={"training": spec.training.model_copy(update={"total_steps": last})})
        learner = builder(spec)(long, Streams(spec.hash, REPLICATE), Span(0, last), runtime)
        peers = list(learner.peers()) if isinstance(learner, Peered) else []
        if not peers:
            raise UsageError(f"{spec.id} has no peer: its learner gives none by a method `peers()`; name another task")
        scorers = [peer for peer in peers if isinstance(peer, ScoringPeer)]
        if scorings and not scorers:
            raise UsageError(f"no peer of {spec.id} scores a split: leave --scorings out")
        if slots:
            streams = [Streams(spec.hash, REPLICATE + i) for i in range(slots)]
            cohort = cohort_builder(spec)(long, streams, Span(0, last), runtime)
            training = _training(cohort, peers, rounds, steps, spec.training.batch, slots)
        else:
            training = _training(learner, peers, rounds, steps, spec.training.batch)
        scoring = _scoring(learner, scorers, scorings) if scorings else None
    return PeerTimes(spec.id, spec.scale, steps, os.getloadavg(), training, scoring)


def _training(
    learner: Learner | Cohort, peers: Sequence[Peer], rounds: int, steps: int, batch: int, slots: int = 0
) -> Compared:  # fmt: skip
    found, amounts = [], []
    for turn in range(rounds + 1):
        first = learner.step
        times = [_timed(partial(peer.advance, steps)) for peer in peers]
        times.append(_timed(lambda: learner.advance(learner.step + steps)))
        if turn:
            found.append(times)
            amounts.append(learner.tokens(first, learner.step) if isinstance(learner, Counting) else steps * batch)
    unit = "tokens" if isinstance(learner, Counting) else "examples"
    return _compared("training", unit, [peer.name for peer in peers], found, amounts, slots)


def _scoring(learner: Learner, peers: Sequence[ScoringPeer], rounds: int) -> Compared:
    found = []
    for _ in range(rounds):
        times = [_timed(partial(peer.evaluate, "validation")) for peer in peers]
        found.append([*times, _timed(lambda: learner.evaluate("validation"))])
    return _compared("scoring the validation set", "sets", [peer.name for peer in peers], found, [1] * rounds)


def _compared(
    what: str, unit: str, names: Sequence[str], found: Sequence[Sequence[Times]], amounts: Sequence[float],
    slots: int = 0,
) -> Compared:  # fmt: skip
    names = [*names, f"a cohort of {slots}" if slots else "learner"]
    runs = [1] * len(names[:-1]) + [slots or 1]  # a cohort does the work of as many learners

    def speed(name: str, side: int) -> Speed:
        work = [amount * runs[side] for amount in amounts]
        rates = [median(n / times[side][kind] for n, times in zip(work, found, strict=True)) for kind in (0, 1)]
        faster = runs[-1] / runs[side]
        ratios = [median(faster * times[side][kind] / times[-1][kind] for times in found) for kind in (0, 1)]
        return Speed(name, *rates, *ratios)

    sides = tuple(speed(name, side) for side, name in enumerate(names))
    return Compared(what, len(found), median(amounts), unit, sides)


def _timed(take: Callable[[], object]) -> Times:
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
