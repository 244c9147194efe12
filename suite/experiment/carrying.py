"""What a model takes over from another task's: the tensors that both have, in equal shape."""

from functools import lru_cache
from pathlib import Path

from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.loading import builder
from suite.experiment.options import Carry
from suite.experiment.parameters import Shapes, built_shapes, declared_shapes
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec
from suite.tickets.mask import Mask

WHY = "what a transfer carries of an output layer that is pruned depends on its shape"


def carried(source: TaskSpec, target: TaskSpec, runtime: Runtime) -> frozenset[str]:
    """Names of the parameters and buffers that both tasks' models have in equal shape.

    Raises UsageError where a prunable tensor of the source, other than of its output layer, is not among them, or is
    not prunable in the target.
    """
    return _shared(source, target, shapes(source, runtime), shapes(target, runtime))


def covered(source: TaskSpec, target: TaskSpec, carry: Carry, runtime: Runtime) -> tuple[str, ...]:
    """The target's prunable tensors that a transferred ticket's mask covers, in the target's order.

    The models are built only where the source prunes its output layer, which may have another shape there, and their
    learners do not give shapes otherwise. Raises UsageError as `carried`, as far as is known without.
    """
    if carry == "weights" or source == target:
        return target.prunable
    outputs = any(name in source.output_layer for name in source.prunable)
    theirs, own = (_parameter_shapes(spec.model_dump_json(), outputs, runtime.data) for spec in (source, target))
    if theirs is None or own is None:
        return tuple(name for name in target.prunable if name in source.prunable)
    names = _shared(source, target, theirs, own)
    return tuple(name for name in target.prunable if name in source.prunable and name in names)


@lru_cache(maxsize=64)
def _parameter_shapes(spec_json: str, needed: bool, data: Path | None) -> Shapes | None:
    """Shapes of a task's parameters; None where its learner must be built for them and they are not needed."""
    spec = TaskSpec.model_validate_json(spec_json)
    declared = declared_shapes(spec)
    return built_shapes(spec, Runtime(data=data), WHY) if declared is None and needed else declared


def _shared(source: TaskSpec, target: TaskSpec, theirs: Shapes, own: Shapes) -> frozenset[str]:
    """Names that both have in equal shape; see `carried` for what is refused."""
    names = frozenset(name for name, shape in theirs.items() if own.get(name) == shape)
    for name in source.prunable:
        if name not in names and name not in source.output_layer:
            found = f"{own[name]} here" if name in own else "here there is none"
            raise UsageError(
                f"tickets of {source.id} do not fit {target.id}: {name!r} has shape {theirs[name]} there, {found}; "
                "choose tasks of one model"
            )
        if name in names and name not in target.prunable:
            raise UsageError(f"tickets of {source.id} prune {name!r}, which is not prunable in {target.id}")
    if not names.intersection(source.prunable):
        raise UsageError(f"tickets of {source.id} have no tensor in common with {target.id}")
    return names


def carried_mask(mask: Mask, names: frozenset[str]) -> Mask:
    """A ticket's mask on the tensors that are carried: what is drawn anew is not pruned, and never permuted into."""
    return Mask({name: kept for name, kept in mask.items() if name in names})


def shapes(spec: TaskSpec, runtime: Runtime) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters and buffers of a task's model."""
    return _shapes(spec.model_dump_json(), runtime.data)


@lru_cache(maxsize=8)
def _shapes(spec_json: str, data: Path | None) -> dict[str, tuple[int, ...]]:
    spec = TaskSpec.model_validate_json(spec_json)
    learner = builder(spec)(spec, Streams(spec.hash, 0), Span(0, spec.training.total_steps), Runtime(data=data))
    return {name: tuple(value.shape) for name, value in learner.model.state_dict().items()}
