"""Walks the plans over an executor: skips what the store has, runs what is ready, reports what happens."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from suite.experiment.agenda import Agenda, Unit
from suite.experiment.connection import Connection
from suite.experiment.domain import result_versions
from suite.experiment.errors import CellsFailed, UsageError, told
from suite.experiment.executors import Executor
from suite.experiment.executors.executor import Job, WorkerDied
from suite.experiment.pacing import Terminated, on_termination
from suite.experiment.plan import ArmFacts, Cell, CriterionFacts, Facts, Node, Plan
from suite.experiment.planner import plan
from suite.experiment.plugins import code_of
from suite.experiment.request import Request, request_of
from suite.experiment.roles import pruned_by
from suite.experiment.runtime import HERE, Runtime
from suite.experiment.store import DiskFull, Store, StoreSurvey
from suite.experiment.taskfile import Task
from suite.experiment.transfer import plan_transfer

if TYPE_CHECKING:
    from suite.tickets.arms import Arm

POLL_SECONDS = 0.25

SILENT_SECONDS = 180.0
"""After so long without a sign of life a cell's process is named: it was stopped, or waits for something."""


class Reporter(Protocol):
    """Is told what a run does; the command line draws it."""

    def begin(self, cells: Sequence[Node], skipped: int, slots: int) -> None:
        """The cells that are left to do, and how many the store had."""

    def started(self, cell: Node, slot: int) -> None:
        """A cell runs in a slot."""

    def progress(self, slot: int, steps: int) -> None:
        """Steps taken by the cell in a slot."""

    def silent(self, cell: Node, slot: int, seconds: float) -> None:
        """The process of a cell has given no sign of life for so long; it is left alone, and the others go on."""

    def finished(self, cell: Node, slot: int, value: float | None) -> None:
        """A cell is done; `value` is its test score, None when it diverged."""

    def failed(self, cell: Node, slot: int, message: str) -> None:
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


def make_plan(task: Task) -> Plan:
    """The plan of a task, or of a transfer to it, under the arms and criteria that are registered.

    Raises UsageError for an unknown arm or criterion, or a criterion that needs probes of a task that has none.
    """
    _check_known(task)
    if task.source is None:
        return plan(task, facts_of(task))
    source = replace(task.source.task, options=task.options)
    _check_known(source)
    return plan_transfer(_covered(task), facts_of(task), facts_of(source))


def _covered(task: Task) -> Task:
    """A transfer that knows which tensors its masks cover, which takes the models' shapes; any other task as it is."""
    from suite.experiment.carrying import covered

    source = task.source
    if source is None or source.covered:
        return task
    found = covered(source.task.spec, task.spec, source.carry, task.options.runtime)
    ladder = task if source.carry == "weights" else source.task
    pruned = pruned_by(ladder.spec, ladder.method)
    return replace(task, source=replace(source, covered=tuple(name for name in found if name in pruned)))


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
    return request_of(_covered(task), facts_of(task), command, plugins, source)


def execute(
    plans: Iterable[Plan],
    store: Store,
    executor: Executor,
    reporter: Reporter,
    plugins: tuple[Path, ...] = (),
    runtime: Runtime = HERE,
) -> Outcome:
    """Run all cells and connections that the store does not have; a cell that fails takes only its descendants with it.

    Raises RunError for a corrupted store file, before anything is run, and KeyboardInterrupt with finished cells kept.
    """
    units = _united(plans)
    survey = store.survey()
    done = {cell.key for unit in units.values() for cell in unit if _is_done(cell, survey, store)}
    survey.keep()
    agenda = Agenda(units.values(), done, store.ticketless)
    left = tuple(agenda.left)
    outcome = Outcome(blocked=agenda.blocked, lost=agenda.lost)
    outcome.skipped = sum(map(len, units.values())) - len(left) - len(outcome.lost)
    reporter.begin(left, outcome.skipped, executor.slots)
    running: dict[Future[None], tuple[Unit, int]] = {}
    free = list(range(executor.slots))
    silent: set[str] = set()
    with on_termination() as termination:
        try:
            while True:
                while free and (unit := agenda.next()) is not None:
                    slot = free.pop(0)
                    reporter.started(unit[0], slot)
                    running[executor.submit(Job(unit, store.root, plugins, runtime), slot)] = (unit, slot)
                if not running:
                    break
                ended, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for unit, slot in running.values():
                    reporter.progress(slot, executor.steps(slot))
                    _name_if_silent(unit[0], slot, executor.silence(slot), silent, reporter)
                if termination.asked:
                    raise Terminated
                for future in ended:
                    unit, slot = running.pop(future)
                    free.append(slot)
                    _settle(unit, slot, future, store, agenda, outcome, reporter)
        finally:
            executor.close()
    return outcome


def _name_if_silent(cell: Node, slot: int, seconds: float, named: set[str], reporter: Reporter) -> None:
    """Name a cell once for each silence."""
    if seconds < SILENT_SECONDS:
        named.discard(cell.key)
    elif cell.key not in named:
        named.add(cell.key)
        reporter.silent(cell, slot, seconds)


def _is_done(cell: Node, survey: StoreSurvey, store: Store) -> bool:
    """Whether there is a result, and of a cell all masks that are wanted; raises RunError naming a damaged file."""
    if isinstance(cell, Connection):
        return store.connection(cell.key) is not None
    found = survey.cell(cell.key)
    if found is None:
        return False
    there = [survey.has_mask(prune.key) or prune.optional for prune in cell.left_masks(found.diverged)]
    return all(there)  # each was looked at: a damaged one is named


def _united(plans: Iterable[Plan]) -> dict[str, Unit]:
    """All units by the key of their first cell; where plans share a cell it makes the masks that each of them wants."""
    units: dict[str, tuple[Cell, ...]] = {}
    connections: dict[str, Unit] = {}
    for each in plans:
        for unit in each.units():
            shared = units.get(unit[0].key, unit)
            units[unit[0].key] = tuple(map(Cell.shared_with, shared, unit))
        connections.update((connection.key, (connection,)) for connection in each.connections)
    return {**units, **connections}


def _settle(
    unit: Unit, slot: int, future: Future[None], store: Store, agenda: Agenda, outcome: Outcome, reporter: Reporter
) -> None:
    """Tell what came of a unit: each of its cells that could start has finished or failed."""
    cells = [cell for cell in unit if not agenda.stopped(cell)]
    error = future.exception()
    messages = _messages(error, cells)
    failed = [cell for cell in cells if cell.key in messages]
    finished = [cell for cell in cells if cell.key not in messages]
    for cell in finished:
        result = store.connection(cell.key) if isinstance(cell, Connection) else store.cell(cell.key)
        outcome.finished += 1
        reporter.finished(cell, slot, result.value if result else None)
    agenda.finish(finished)
    for cell in failed:
        outcome.failed[cell.key] = f"{cell.name}: {messages[cell.key]}"
        reporter.failed(cell, slot, messages[cell.key])
    agenda.fail(failed)
    if error is not None:
        outcome.errors.append(error)
    if isinstance(error, DiskFull):
        raise error


def _messages(error: BaseException | None, cells: Sequence[Node]) -> Mapping[str, str]:
    """What is told of each cell that failed, by its key: an error is that of all cells, unless it says of which."""
    from suite.tickets.mask import TicketError

    if error is None:
        return {}
    if isinstance(error, CellsFailed):
        return error.messages
    message = str(error) if isinstance(error, WorkerDied | TicketError) else told(error)
    return {cell.key: message for cell in cells}
