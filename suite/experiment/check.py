"""What a task's learner refuses is found by building it once, before anything is trained."""

from suite.experiment.carrying import carried
from suite.experiment.errors import UsageError
from suite.experiment.parameters import check_prunable
from suite.experiment.plan import Cell
from suite.experiment.runtime import Runtime
from suite.experiment.trainee import build, trainee


def check_learner(cell: Cell, runtime: Runtime) -> None:
    """Build a task's learner, and its cohort if the cell is of one; raises UsageError for what they refuse.

    It is also raised for a ticket of another task that does not fit.
    """
    try:
        check_prunable(cell.spec, {name: tuple(p.shape) for name, p in build(cell, runtime).model.named_parameters()})
        if cell.cohort:
            trainee([cell], runtime)
        source = cell.start.foreign(cell.spec)
        if source is not None:
            carried(source, cell.spec, runtime)
    except UsageError as error:
        raise UsageError(f"{cell.spec.id} {cell.spec.scale}: {error}") from error
