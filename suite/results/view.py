"""What a report is made from: a run as it stands, finished or not."""

from dataclasses import dataclass

from suite.experiment.result import CellResult
from suite.experiment.task import Method, TaskSpec


@dataclass(frozen=True)
class TaskView:
    """One task and method of a run: what was asked for, and the cells that are there.

    `at` lists the levels at which arms beside the ladder are trained (None: all); `expected` counts the cells of the
    plan; `notes` are (label, value) pairs shown beside the curve, such as baselines.
    """

    spec: TaskSpec
    method: Method
    arms: tuple[str, ...]
    levels: int
    at: tuple[int, ...] | None
    replicates: tuple[int, ...]
    expected: int
    cells: tuple[CellResult, ...]
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RunView:
    """A run: its name, the command line that makes it again, and its tasks in order."""

    name: str
    command: str
    tasks: tuple[TaskView, ...]
