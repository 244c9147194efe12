"""The contract of an executor: futures of cells, and how far the running ones are."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from suite.experiment.plan import Cell
from suite.experiment.runtime import HERE, Runtime


@dataclass(frozen=True)
class Job:
    """A cell, or a cohort, to be run on a store, with the plugins that its process has to load first."""

    cells: tuple[Cell, ...]
    store: Path
    plugins: tuple[Path, ...] = ()
    runtime: Runtime = HERE


class Executor(Protocol):
    """Runs jobs; `slots` of them at a time."""

    slots: int

    def submit(self, job: Job, slot: int) -> Future[None]:
        """Run a job; the future ends with RunError, or with `WorkerDied` when its process was lost."""

    def steps(self, slot: int) -> int:
        """Steps taken by the job that runs in a slot."""

    def close(self) -> None:
        """Stop at once: running jobs are given up, finished cells stay."""


class WorkerDied(Exception):
    """A process that ran a cell ended before the cell did."""


def work(job: Job, tell: Callable[[int, int], None]) -> None:
    """What every executor does with a job, in whatever process it is."""
    from suite.experiment.cell import run_cells
    from suite.experiment.plugins import load_extensions
    from suite.experiment.store import Store

    load_extensions(job.plugins)
    run_cells(job.cells, Store(job.store), tell, job.runtime)
