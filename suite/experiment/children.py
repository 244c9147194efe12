"""Plans children: second runs of tickets with data order and dropout of their own, and the lines between; no torch.

Child 0 of a ticket is the ladder's own run, or at level 0 the dense one, and costs nothing; child 1 is a cell that no
curve shows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from suite.experiment.barrier import check_error
from suite.experiment.connection import Connection
from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.plan import DENSE, LADDER, Cell, Plan
from suite.experiment.start import Origin, Start
from suite.experiment.taskfile import Task

Draft = Callable[[Start, Span, Iterable[str]], Cell]
"""(start, span, keys of the runs that it needs) -> a cell of arm winning."""


def with_children(task: Task, cells: Sequence[Cell], draft: Draft) -> Plan:
    """The plan of a task whose options ask for connections, `cells` being all others of it.

    Raises UsageError for a level without a ticket, a method that does not rewind, a metric that has no error, and
    cohorts, whose members have their bits together alone.
    """
    asked = task.options.connected
    assert asked is not None
    _check(task)
    planned = {(cell.arm, cell.level, cell.replicate): cell for cell in cells}
    first = task.options.first_replicate
    children: list[Cell] = []
    connections: list[Connection] = []
    for level in dict.fromkeys(asked.levels):
        for replicate in range(first, first + task.options.replicates):
            place = (LADDER if level else DENSE, level, replicate)
            if place not in planned:
                raise UsageError(
                    f"connected level {level}: no winning ticket is trained there, choose of 0 to {task.options.levels}"
                )
            own = planned[place]
            planned[place] = own = replace(own, kept_steps=tuple(dict.fromkeys((*own.kept_steps, own.span.last))))
            child = _child(task, own, draft)
            children.append(child)
            ends = _end(own), _end(child)
            connections.append(Connection(ends, asked.recalibration, asked.training_error))
    return Plan(
        task, (*planned.values(), *children), frozenset(child.key for child in children), tuple(connections)
    )  # fmt: skip


def _child(task: Task, own: Cell, draft: Draft) -> Cell:
    """Child 1 of a ticket, or of the dense run at the rewind step: level 0 goes on in the dense run's own schedule."""
    if own.level:
        made = draft(replace(own.start, child=1), own.span, own.needs)
    else:
        k = task.method.rewind_step
        start = Start(task.spec, task.method, own.replicate, 0, None, replace(_end(own), step=k), child=1)
        made = draft(start, Span(k, own.span.last), (own.key,))
    return replace(made, kept_steps=(made.span.last,))


def _end(cell: Cell) -> Origin:
    line = cell.start.origin.line if cell.start.origin is not None else ()
    return Origin((*line, (cell,)), 0, cell.span.last)


def _check(task: Task) -> None:
    check_error(task.spec.metric, task.spec.id)
    if task.options.exec == "cohort":
        raise UsageError("exec = 'cohort': children of a connectivity test are trained one by one, use --exec single")
    if task.method.retraining != "rewind":
        raise UsageError(
            f"retraining = {task.method.retraining!r} goes on from final weights: children of a connectivity test "
            "start from the weights at the rewind step, choose another method"
        )
