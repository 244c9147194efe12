"""What a task's learner refuses is found by building it once, before anything is trained."""

from collections.abc import Mapping, Sequence

from suite.experiment.carrying import carried
from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest
from suite.experiment.plan import Cell
from suite.experiment.runtime import Runtime
from suite.experiment.task import TaskSpec
from suite.experiment.trainee import build, trainee


def check_learner(cell: Cell, runtime: Runtime) -> None:
    """Build a task's learner, and its cohort if the cell is of one; raises UsageError for what they refuse.

    It is also raised for a ticket of another task that does not fit.
    """
    try:
        _check_prunable(cell.spec, {name: tuple(p.shape) for name, p in build(cell, runtime).model.named_parameters()})
        if cell.cohort:
            trainee([cell], runtime)
        source = cell.start.foreign(cell.spec)
        if source is not None:
            carried(source, cell.spec, runtime)
    except UsageError as error:
        raise UsageError(f"{cell.spec.id} {cell.spec.scale}: {error}") from error


def _check_prunable(spec: TaskSpec, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise UsageError unless `prunable` and `output_layer` name parameters, and `prune_…` agree with them."""
    for field, names in (("prunable", spec.prunable), ("output_layer", spec.output_layer)):
        for name in names:
            if name not in shapes:
                near = nearest(name, shapes)
                raise UsageError(f"{field} names {name!r}, no parameter of the model{near}: one of {', '.join(shapes)}")
    biases = [name for name in spec.prunable if name.endswith(".bias") or len(shapes[name]) == 1]
    _check_truth("prune_biases", spec.prune_biases, biases, "biases (tensors of one dimension)")
    if spec.output_layer:
        outputs = [name for name in spec.prunable if name in spec.output_layer]
        _check_truth("prune_output_layer", spec.prune_output_layer, outputs, "tensors of the output layer")


def _check_truth(field: str, stated: bool, found: Sequence[str], what: str) -> None:
    if stated != bool(found):
        has = ", ".join(found) or "none"
        raise UsageError(f"{field} = {str(stated).lower()}, but prunable has of the {what}: {has}; change one of them")
