"""The contract of an executor: futures of jobs, and how far the running ones are."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from suite.experiment.connection import Connection
from suite.experiment.errors import RunError
from suite.experiment.pacing import Terminated
from suite.experiment.plan import Cell, Node
from suite.experiment.runtime import HERE, Runtime


@dataclass(frozen=True)
class Job:
    """A cell, a cohort or a connection, to be run on a store, with the plugins that its process has to load first.

    Without a store a cell is checked only: its learner is built, and what that refuses is raised.
    """

    cells: tuple[Node, ...]
    store: Path | None
    plugins: tuple[Path, ...] = ()
    runtime: Runtime = HERE


class Executor(Protocol):
    """Runs jobs; `slots` of them at a time."""

    slots: int

    def submit(self, job: Job, slot: int) -> Future[None]:
        """Run a job; the future ends with RunError, or with `WorkerDied` when its process was lost."""

    def steps(self, slot: int) -> int:
        """Steps taken by the job that runs in a slot."""

    def silence(self, slot: int) -> float:
        """Seconds since the job in a slot last gave a sign of life."""

    def close(self) -> None:
        """Stop at once: running jobs are given up, finished cells stay."""


class WorkerDied(Exception):
    """A process that ran a cell ended before the cell did."""


def work(job: Job, tell: Callable[[int, int], None]) -> None:
    """What every executor does with a job, in whatever process it is; RunError where its code wants to end that.

    Raises Terminated when the process was asked to end by SIGTERM, and what it had is kept.
    """
    from suite.experiment.cell import run_cells
    from suite.experiment.check import check_learner
    from suite.experiment.connect import connect
    from suite.experiment.plugins import load_extensions, note_place
    from suite.experiment.store import Store

    try:
        load_extensions(job.plugins, tried=True)
        cells = tuple(each for each in job.cells if isinstance(each, Cell))
        if job.store is None:
            check_learner(cells[0], job.runtime)
            return
        store = Store(job.store)
        for each in job.cells:
            if isinstance(each, Connection):
                connect(each, store, tell, job.runtime)
        if cells:
            run_cells(cells, store, tell, job.runtime)
    except Terminated:
        raise
    except SystemExit as error:
        raise RunError(f"its code called sys.exit({error.code!r})") from error
    except Exception as error:
        note_place(error)
        raise
