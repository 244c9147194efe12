"""What a domain's input costs beside the usual way to read the same data: both in one run, their rounds interleaved."""

import importlib
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from suite.bench.sides import Side, interleaved
from suite.experiment.arithmetic import reproducible
from suite.experiment.comparison import Offer
from suite.experiment.domain import domains
from suite.experiment.errors import UsageError
from suite.experiment.runtime import Runtime


@dataclass(frozen=True)
class Compared:
    """What was found of one comparison."""

    name: str
    steps: int
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class InputTimes:
    """What `measure` found, and under which conditions."""

    domain: str
    rounds: int
    threads: int
    workers: int
    load: tuple[float, float, float]
    comparisons: tuple[Compared, ...]

    def as_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        return {"schema": 1, **asdict(self)}


def measure(domain: str, rounds: int, runtime: Runtime) -> InputTimes:
    """Time a domain's comparisons; raises UsageError for a domain that has none."""
    offering = {name: known.input_bench for name, known in domains().items() if known.input_bench}
    if domain not in offering:
        raise UsageError(f"--domain {domain}: one of {', '.join(offering)}, which have input to time")
    module, _, function = str(offering[domain]).partition(":")
    offer = cast(Offer, getattr(importlib.import_module(module), function))
    with reproducible(runtime), tempfile.TemporaryDirectory(prefix="lottery-bench-") as folder:
        found = tuple(
            Compared(each.name, each.steps, interleaved(each.sides, rounds, each.steps, runtime))
            for each in offer(Path(folder), runtime)
        )
    return InputTimes(domain, rounds, runtime.threads, runtime.workers, os.getloadavg(), found)
