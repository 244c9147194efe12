"""Ways to do the same work, timed in one run: their rounds are interleaved, and each is compared with the first."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from suite.experiment.runtime import Runtime

Times = tuple[float, float]
"""Wall and CPU seconds of a step."""


@dataclass(frozen=True)
class Side:
    """One way to take steps: median wall and CPU seconds of a step over the rounds, and both against the first side's.

    A ratio is the median of the rounds' ratios, each of two neighbours in time, so that a machine that slows down for a
    while slows both. On a busy machine the CPU's is the better one; on a graphics card it says nothing, and of work
    that other processes do it knows nothing.
    """

    name: str
    seconds: float
    ratio: float
    cpu_seconds: float
    cpu_ratio: float


def interleaved(
    sides: Mapping[str, Callable[[], None]], rounds: int, steps: int, runtime: Runtime
) -> tuple[Side, ...]:  # fmt: skip
    """Time every side, a call of which takes `steps` steps, once in each round, after a round that is not counted."""
    return against_first(timed_rounds(sides, rounds, steps, runtime))


def timed_rounds(
    sides: Mapping[str, Callable[[], None]], rounds: int, steps: int, runtime: Runtime
) -> dict[str, list[Times]]:  # fmt: skip
    """The times of every side, one a round, as `interleaved` takes them."""
    found: dict[str, list[Times]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, take in sides.items():
            started, cpu = time.perf_counter(), time.process_time()
            take()
            if runtime.kind == "cuda":
                torch.cuda.synchronize(runtime.device)
            if turn:
                ended = time.perf_counter(), time.process_time()
                found[name].append(((ended[0] - started) / steps, (ended[1] - cpu) / steps))
    return found


def against_first(found: Mapping[str, Sequence[Times]]) -> tuple[Side, ...]:
    """The sides from their times in each round."""
    first = next(iter(found.values()))

    def compared(times: Sequence[Times], kind: int) -> tuple[float, float]:
        ratios = (mine[kind] / base[kind] for mine, base in zip(times, first, strict=True))
        return median(each[kind] for each in times), median(ratios)

    return tuple(Side(name, *compared(times, 0), *compared(times, 1)) for name, times in found.items())
