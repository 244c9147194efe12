"""The parameters of a task's model, by name and shape, and what a task says of them: prunable, output layer."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from suite.experiment.errors import RunError, UsageError
from suite.experiment.explain import nearest
from suite.experiment.learner import Span
from suite.experiment.loading import builder, installed
from suite.experiment.runtime import HERE, Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec
from suite.experiment.trial import crash_of

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of parameters by name, in the model's order."""


def declared_shapes(spec: TaskSpec) -> Shapes | None:
    """The shapes that a task's learner gives by its classmethod `parameter_shapes(spec)`; None if it has none."""
    declared = getattr(builder(spec), "parameter_shapes", None)
    with installed(spec):
        return None if declared is None else dict(declared(spec))


PATTERNS = "patterns in prunable or output_layer need the model's parameters"


def built_shapes(spec: TaskSpec, runtime: Runtime = HERE, why: str = PATTERNS) -> Shapes:
    """The shapes found by building a task's learner, first in a copy of this process.

    Raises UsageError when that fails, which says `why` they are needed.
    """
    needed = f"{why}, and the learner of {spec.id} could not be built to see them"

    def build() -> Shapes:
        made = builder(spec)(spec, Streams(spec.hash, 0), Span(0, spec.training.total_steps), runtime)
        return {name: tuple(parameter.shape) for name, parameter in made.model.named_parameters()}

    crash = crash_of(build, b"torch")
    if crash is not None:
        raise UsageError(f"{needed}: {crash}: {_REMEDY}")
    try:
        return build()
    except (UsageError, RunError):
        raise
    except Exception as error:
        raise UsageError(f"{needed}: {type(error).__name__}: {error}: {_REMEDY}") from error


_REMEDY = "list the names, or give the learner a classmethod parameter_shapes(spec)"


def is_pattern(name: str) -> bool:
    """Whether a parameter's name is a pattern for several."""
    return any(sign in name for sign in "*?[")


def matched(field: str, patterns: Sequence[str], shapes: Shapes) -> tuple[str, ...]:
    """Parameter names that patterns stand for: `*`, `?` and `[…]` as in file names, a dot being like any character.

    Each pattern gives its names in the model's order, every name once. Raises UsageError for a pattern without any.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        hits = [name for name in shapes if fnmatchcase(name, pattern)] if is_pattern(pattern) else [pattern]
        if not hits:
            near = nearest(pattern, shapes)
            raise UsageError(
                f"{field} = {pattern!r} matches no parameter of the model{near}: one of {', '.join(shapes)}"
            )
        found |= dict.fromkeys(hits)
    return tuple(found)


def check_prunable(spec: TaskSpec, shapes: Shapes) -> None:
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
