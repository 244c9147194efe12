"""Draws a run in the terminal: a bar for each running cell and one for the plan, or a plain line a cell."""

import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from suite.experiment.plan import Node, cell_cost
from suite.printing import count


class Lines:
    """For logs and pipes: a plain line on standard error when a cell ends, with the time that is left."""

    def __init__(self) -> None:
        self._total = self._done = 0
        self._seconds = self._spent = 0.0
        self._began = time.monotonic()

    def begin(self, cells: Sequence[Node], skipped: int, slots: int) -> None:
        """Say what is to be done."""
        self._total, self._seconds = len(cells), sum(cell_cost(cell).seconds for cell in cells)
        self._began = time.monotonic()
        self._say(f"{count(len(cells), 'cell')} to run, {skipped} done before, {slots} at a time")

    def started(self, cell: Node, slot: int) -> None:
        """Nothing: the line comes when the cell ends."""

    def progress(self, slot: int, steps: int) -> None:
        """Nothing: the line comes when the cell ends."""

    def silent(self, cell: Node, slot: int, seconds: float) -> None:
        """One line that names the cell."""
        self._say(_silence(cell, seconds))

    def finished(self, cell: Node, slot: int, value: float | None) -> None:
        """One line with the score."""
        self._ended(cell, "diverged" if value is None else f"{cell.measured} {value:.4g}")

    def failed(self, cell: Node, slot: int, message: str) -> None:
        """One line with the reason."""
        self._ended(cell, f"FAILED: {message}")

    def _ended(self, cell: Node, what: str) -> None:
        self._done += 1
        self._spent += cell_cost(cell).seconds
        elapsed = time.monotonic() - self._began
        left = elapsed * (self._seconds - self._spent) / self._spent if self._spent else 0.0
        self._say(f"[{self._done}/{self._total}, {_clock(left)} left] {cell.name}: {what}")

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")  # at once: Ctrl-C finds no half line
        sys.stderr.flush()


class Bars:
    """For terminals: live bars on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        """`console`: where the bars are drawn; None: standard error."""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
            speed_estimate_period=300,
        )
        self._plan = TaskID(0)
        self._slots: list[TaskID] = []
        self._cells: dict[int, Node] = {}
        self._left = 0

    def begin(self, cells: Sequence[Node], skipped: int, slots: int) -> None:
        """Put up the bars."""
        self._left = len(cells)
        seconds = sum(cell_cost(cell).seconds for cell in cells)
        self._plan = self._bars.add_task(self._plan_text(), total=seconds)
        self._slots = [self._bars.add_task("waiting", total=None, visible=False) for _ in range(min(slots, len(cells)))]
        self._bars.console.print(f"{count(len(cells), 'cell')} to run, {skipped} done before, {slots} at a time")
        if cells:
            self._bars.start()

    def started(self, cell: Node, slot: int) -> None:
        """A cell takes over a slot's bar."""
        self._cells[slot] = cell
        self._bars.reset(self._slots[slot], description=cell.name, total=cell.steps, visible=True)

    def progress(self, slot: int, steps: int) -> None:
        """Move a slot's bar."""
        self._bars.update(self._slots[slot], completed=steps)

    def silent(self, cell: Node, slot: int, seconds: float) -> None:
        """Name the cell above the bars."""
        self._bars.console.print(_silence(cell, seconds), markup=False, highlight=False)

    def finished(self, cell: Node, slot: int, value: float | None) -> None:
        """Move the plan's bar and leave the score above the bars."""
        self._ended(cell, slot, "diverged" if value is None else f"{cell.measured} {value:.4g}")

    def failed(self, cell: Node, slot: int, message: str) -> None:
        """Leave the reason above the bars."""
        self._ended(cell, slot, f"FAILED: {message}")

    def close(self) -> None:
        """Take the bars down."""
        self._bars.stop()

    def _ended(self, cell: Node, slot: int, what: str) -> None:
        self._left -= 1
        self._bars.update(self._slots[slot], visible=False)
        self._bars.update(self._plan, advance=cell_cost(cell).seconds, description=self._plan_text())
        self._bars.console.print(f"{cell.name}: {what}", markup=False, highlight=False)
        if not self._left:
            self.close()

    def _plan_text(self) -> str:
        return f"plan, {count(self._left, 'cell')} left"


def _silence(cell: Node, seconds: float) -> str:
    return (
        f"{cell.name}: no sign of life for {_clock(seconds)}: its process was stopped or waits for something; "
        "the other cells go on"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
