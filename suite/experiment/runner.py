"""Walks the plans over an executor: skips what the store has, runs what is ready, reports what happens."""

from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from suite.experiment.domain import result_versions
from suite.experiment.errors import RunError, UsageError
from suite.experiment.executors import Executor
from suite.experiment.executors.executor import Job, WorkerDied
from suite.experiment.plan import ArmFacts, Cell, CriterionFacts, Facts, Plan
from suite.experiment.planner import plan
from suite.experiment.plugins import code_of
from suite.experiment.request import Request, request_of
from suite.experiment.runtime import HERE, Runtime
from suite.experiment.store import DiskFull, Store
from suite.experiment.taskfile import Task
from suite.experiment.transfer import plan_transfer

if TYPE_CHECKING:
    from suite.tickets.arms import Arm

POLL_SECONDS = 0.25

SILENT_SECONDS = 180.0
"""After so long without a sign of life a cell's process is named: it was stopped, or waits for something."""

Unit = tuple[Cell, ...]
"""What is run as one: a cell, or the cells of a cohort."""


class Reporter(Protocol):
    """Is told what a run does; the command line draws it."""

    def begin(self, cells: Sequence[Cell], skipped: int, slots: int) -> None:
        """The cells that are left to do, and how many the store had."""

    def started(self, cell: Cell, slot: int) -> None:
        """A cell runs in a slot."""

    def progress(self, slot: int, steps: int) -> None:
        """Steps taken by the cell in a slot."""

    def silent(self, cell: Cell, slot: int, seconds: float) -> None:
        """The process of a cell has given no sign of life for so long; it is left alone, and the others go on."""

    def finished(self, cell: Cell, slot: int, value: float | None) -> None:
        """A cell is done; `value` is its test score, None when it diverged."""

    def failed(self, cell: Cell, slot: int, message: str) -> None:
        """A cell failed; the others go on."""


@dataclass
class Outcome:
    """What a run came to: cells by what became of them.

    Cells by key with the reason: `failed`; `blocked`, which start from one that failed and may yet be run; and `lost`,
    which start from a ticket that a diverged run has not left, a result like any other.
    """

    finished: int = 0
    skipped: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    blocked: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    def stopped(self, cell: Cell) -> bool:
        """Whether a cell cannot start."""
        return cell.key in self.blocked or cell.key in self.lost


def make_plan(task: Task) -> Plan:
    """The plan of a task, or of a transfer to it, under the arms and criteria that are registered.

    Raises UsageError for an unknown arm or criterion, or a criterion that needs probes of a task that has none.
    """
    _check_known(task)
    if task.source is None:
        return plan(task, facts_of(task))
    source = replace(task.source.task, options=task.options)
    _check_known(source)
    return plan_transfer(task, facts_of(task), facts_of(source))


def _check_known(task: Task) -> None:
    from suite.tickets.arms import ARMS
    from suite.tickets.scores import CRITERIA

    for arm in task.options.arms:
        if arm not in ARMS:
            raise UsageError(f"unknown arm {arm!r}: one of {', '.join(ARMS)}")
    criterion = CRITERIA.get(task.method.criterion)
    if criterion is None:
        raise UsageError(f"unknown criterion {task.method.criterion!r}: one of {', '.join(CRITERIA)}")
    if criterion.needs_probes and not task.spec.probes:
        without = ", ".join(name for name, known in CRITERIA.items() if not known.needs_probes)
        raise UsageError(
            f"criterion {criterion.name!r} needs probes (fixed batches to differentiate on), "
            f"which {task.spec.id} has not; criteria without: {without}"
        )
    if task.method.scope not in criterion.scopes:
        raise UsageError(
            f"criterion {criterion.name!r} means nothing under scope = {task.method.scope!r}: "
            f"use {' or '.join(criterion.scopes)}"
        )


def facts_of(task: Task) -> Facts:
    """What a plan needs to know of the code that runs a task: its arms, its criterion, and the versions."""
    from suite.tickets.arms import ARMS
    from suite.tickets.scores import CRITERIA

    criterion = CRITERIA[task.method.criterion]
    return Facts(
        {name: _arm_facts(arm) for name, arm in ARMS.items()},
        CriterionFacts(code_of(criterion.score), "rewound" in criterion.needs, criterion.steps),
        result_versions(task.trained_by),
    )


def _arm_facts(arm: "Arm") -> ArmFacts:
    codes = dict.fromkeys(code_of(part) for part in (arm.change, arm.inherit) if part is not None)
    return ArmFacts(arm.weights, " ".join(filter(None, codes)), arm.inherit is not None)


def asked(task: Task, command: str, plugins: Iterable[Path]) -> Request:
    """What `run.json` keeps of a task whose plan could be made."""
    source = None if task.source is None else facts_of(replace(task.source.task, options=task.options))
    return request_of(task, facts_of(task), command, plugins, source)


def execute(
    plans: Iterable[Plan],
    store: Store,
    executor: Executor,
    reporter: Reporter,
    plugins: tuple[Path, ...] = (),
    runtime: Runtime = HERE,
) -> Outcome:
    """Run all cells that the store does not have; a cell that fails takes only its descendants with it.

    Raises RunError for a corrupted store file, before anything is run, and KeyboardInterrupt with finished cells kept.
    """
    units = _united(plans)
    done = {cell.key for unit in units.values() for cell in unit if _is_done(cell, store)}
    waiting = {key: unit for key, unit in units.items() if not all(cell.key in done for cell in unit)}
    outcome = Outcome()
    _block(waiting, done, store, outcome)
    left = tuple(cell for unit in waiting.values() for cell in unit if not outcome.stopped(cell))
    outcome.skipped = sum(map(len, units.values())) - len(left) - len(outcome.lost)
    reporter.begin(left, outcome.skipped, executor.slots)
    running: dict[Future[None], tuple[Unit, int]] = {}
    free = list(range(executor.slots))
    silent: set[str] = set()
    try:
        while waiting or running:
            _block(waiting, done, store, outcome)
            ready = [
                unit
                for unit in waiting.values()
                if all(need in done for cell in unit if not outcome.stopped(cell) for need in cell.needs)
            ]
            ready.sort(key=lambda unit: not unit[0].prunes)  # ladders first: everything else hangs on them
            for unit in ready[: len(free)]:
                del waiting[unit[0].key]
                slot = free.pop(0)
                reporter.started(unit[0], slot)
                running[executor.submit(Job(unit, store.root, plugins, runtime), slot)] = (unit, slot)
            ended, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for unit, slot in running.values():
                reporter.progress(slot, executor.steps(slot))
                _name_if_silent(unit[0], slot, executor.silence(slot), silent, reporter)
            for future in ended:
                unit, slot = running.pop(future)
                free.append(slot)
                _settle(unit, slot, future, store, outcome, reporter)
                done.update(cell.key for cell in unit if cell.key not in outcome.failed and not outcome.stopped(cell))
    finally:
        executor.close()
    return outcome


def _name_if_silent(cell: Cell, slot: int, seconds: float, named: set[str], reporter: Reporter) -> None:
    """Name a cell once for each silence."""
    if seconds < SILENT_SECONDS:
        named.discard(cell.key)
    elif cell.key not in named:
        named.add(cell.key)
        reporter.silent(cell, slot, seconds)


def _is_done(cell: Cell, store: Store) -> bool:
    result = store.cell(cell.key)
    if result is None:
        return False
    wanted = [prune for prune in cell.prunes if not (result.diverged and prune.method.score_at == "end")]
    there = [prune for prune in wanted if store.has_mask(prune.key)]
    for prune in there:
        store.mask(prune.key)  # a corrupted one is said before anything runs
    return all(prune.optional or prune in there for prune in wanted)


def _block(waiting: dict[str, Unit], done: set[str], store: Store, outcome: Outcome) -> None:
    """Mark cells that cannot start: what they start from failed (blocked), or diverged and left no mask (lost).

    A unit leaves `waiting` when nothing of it is left to do; the rest of a cohort runs without its blocked members.
    """
    for key, unit in list(waiting.items()):
        for cell in unit:
            if {*outcome.failed, *outcome.blocked}.intersection(cell.needs):
                outcome.blocked[cell.key] = f"{cell.name} starts from a run that failed"
            elif {*outcome.lost}.intersection(cell.needs) or (done.issuperset(cell.needs) and store.ticketless(cell)):
                outcome.lost[cell.key] = f"{cell.name} starts from a run that diverged"
        if all(cell.key in done or outcome.stopped(cell) for cell in unit):
            del waiting[key]


def _united(plans: Iterable[Plan]) -> dict[str, Unit]:
    """All units by the key of their first cell; where plans share a cell it makes the masks that each of them wants."""
    units: dict[str, Unit] = {}
    for each in plans:
        for unit in each.units():
            shared = units.get(unit[0].key, unit)
            units[unit[0].key] = tuple(map(Cell.shared_with, shared, unit))
    return units


def _settle(unit: Unit, slot: int, future: Future[None], store: Store, outcome: Outcome, reporter: Reporter) -> None:
    error = future.exception()
    if error is None:
        for cell in (cell for cell in unit if not outcome.stopped(cell)):
            result = store.cell(cell.key)
            outcome.finished += 1
            reporter.finished(cell, slot, result.value if result else None)
        return
    from suite.tickets.mask import TicketError

    outcome.errors.append(error)
    expected = isinstance(error, RunError | UsageError | WorkerDied | TicketError)
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    for cell in (cell for cell in unit if not outcome.stopped(cell)):
        outcome.failed[cell.key] = f"{cell.name}: {message}"
        reporter.failed(cell, slot, message)
    if isinstance(error, DiskFull):
        raise error
