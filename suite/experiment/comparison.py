"""What a domain offers to `lottery bench input`: ways to the same batches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from suite.experiment.runtime import Runtime


@dataclass(frozen=True)
class Comparison:
    """Ways to the same batches, the usual one first; a call of each takes `steps` steps."""

    name: str
    steps: int
    sides: Mapping[str, Callable[[], None]]


Offer = Callable[[Path, Runtime], Iterable[Comparison]]
"""(an empty folder for data that are made up, where to compute) -> comparisons: a manifest's `input_bench` names it."""
