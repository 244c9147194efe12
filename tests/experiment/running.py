"""Runs plans in this process, for tests."""

from collections.abc import Sequence
from pathlib import Path

from suite.experiment.executors import Executor, InlineExecutor
from suite.experiment.plan import Cell, Plan
from suite.experiment.result import CellResult
from suite.experiment.runner import Outcome, execute, make_plan
from suite.experiment.store import Store
from suite.experiment.taskfile import Task


class Quiet:
    """A reporter that only remembers."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.silences: list[str] = []
        self.announced = 0

    def begin(self, cells: Sequence[Cell], skipped: int, slots: int) -> None:
        self.announced = len(cells)

    def started(self, cell: Cell, slot: int) -> None:
        """Nothing to draw."""

    def progress(self, slot: int, steps: int) -> None:
        """Nothing to draw."""

    def silent(self, cell: Cell, slot: int, seconds: float) -> None:
        self.silences.append(cell.name)

    def finished(self, cell: Cell, slot: int, value: float | None) -> None:
        """Nothing to draw."""

    def failed(self, cell: Cell, slot: int, message: str) -> None:
        self.failures.append(message)


def run(task: Task, folder: Path, executor: Executor | None = None) -> tuple[Plan, Store, Outcome]:
    """Run a task into a folder."""
    plan, store = make_plan(task), Store.create(folder)
    return plan, store, execute([plan], store, executor or InlineExecutor(), Quiet())


def results(plan: Plan, store: Store) -> dict[tuple[str, int, int], CellResult]:
    """Results by arm, level and replicate; all must be there."""
    found = {(cell.arm, cell.level, cell.replicate): store.cell(cell.key) for cell in plan}
    assert None not in found.values()
    return {place: result for place, result in found.items() if result is not None}
