"""Which cells of a run can start, kept up to date by counting: an event costs no more than what hangs on its cell."""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator

from suite.experiment.plan import Node

Unit = tuple[Node, ...]
"""What is run as one: a cell, the cells of a cohort, or a connection."""


class Agenda:
    """The units that are left to do, parents before children and ladders before all else.

    Cells that cannot start are in `blocked` (what they start from failed, and may yet be run) or in `lost` (it diverged
    and left no mask, a result like any other), each by its key with the reason. A cohort runs without them.
    """

    def __init__(self, units: Iterable[Unit], done: Collection[str], ticketless: Callable[[Node], bool]) -> None:
        """`done`: keys of finished cells; `ticketless`: whether a cell whose needs are met has no ticket all the same.

        Every cell that is needed is done or in a unit.
        """
        self.blocked: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self._units = list(units)
        self._ticketless = ticketless
        self._done = set(done)
        self._dependents: dict[str, list[Node]] = {}
        self._unmet: dict[str, int] = {}  # by cell: runs that it starts from and that are not done
        self._unit_of: dict[str, int] = {}
        self._waiting: list[int] = []  # by unit: cells that can neither start nor be given up yet
        self._ready: list[tuple[bool, int]] = []  # a heap: units that make masks first, then in the plan's order
        for number, unit in enumerate(self._units):
            self._waiting.append(len(unit))
            for cell in unit:
                self._unit_of[cell.key] = number
                needs = [need for need in set(cell.needs) if need not in self._done]
                self._unmet[cell.key] = len(needs)
                for need in needs:
                    self._dependents.setdefault(need, []).append(cell)
        for cell in [cell for unit in self._units for cell in unit if self._unmet[cell.key] == 0]:
            self._needs_met(cell)

    def stopped(self, cell: Node) -> bool:
        """Whether a cell cannot start."""
        return cell.key in self.blocked or cell.key in self.lost

    @property
    def left(self) -> Iterator[Node]:
        """The cells of the units that are to be run, and not stopped so far."""
        return (cell for unit in self._units if self._wanted(unit) for cell in unit if not self.stopped(cell))

    def next(self) -> Unit | None:
        """Take a unit that can start; None if there is none."""
        return self._units[heapq.heappop(self._ready)[1]] if self._ready else None

    def finish(self, cells: Iterable[Node]) -> None:
        """Cells have results: what starts from them may start."""
        for cell in cells:
            if cell.key not in self._done:
                self._done.add(cell.key)
                for dependent in self._dependents.get(cell.key, ()):
                    self._unmet[dependent.key] -= 1
                    if self._unmet[dependent.key] == 0:
                        self._needs_met(dependent)

    def fail(self, cells: Iterable[Node]) -> None:
        """Cells have failed: what starts from them is blocked."""
        for cell in cells:
            self._stop_dependents(cell, self.blocked, "starts from a run that failed")

    def _needs_met(self, cell: Node) -> None:
        if self.stopped(cell):
            return
        if self._ticketless(cell):
            self._stop(cell, self.lost, "starts from a run that diverged")
        else:
            self._settle(cell)

    def _stop_dependents(self, cell: Node, why: dict[str, str], reason: str) -> None:
        for dependent in self._dependents.get(cell.key, ()):
            self._stop(dependent, why, reason)

    def _stop(self, cell: Node, why: dict[str, str], reason: str) -> None:
        """Give up a cell, and all that starts from it."""
        stack = [cell]
        while stack:
            ended = stack.pop()
            if not self.stopped(ended):
                why[ended.key] = f"{ended.name} {reason}"
                self._settle(ended)
                stack += self._dependents.get(ended.key, ())

    def _settle(self, cell: Node) -> None:
        """A cell can start or never will: its unit is ready when that is so of all its cells, and any is left to do."""
        number = self._unit_of[cell.key]
        self._waiting[number] -= 1
        unit = self._units[number]
        if self._waiting[number] == 0 and self._wanted(unit):
            heapq.heappush(self._ready, (not unit[0].prunes, number))

    def _wanted(self, unit: Unit) -> bool:
        return any(cell.key not in self._done and not self.stopped(cell) for cell in unit)
