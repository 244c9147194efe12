"""What is left open in a task's tables until the task is chosen: epochs, patterns of parameter names, components.

All of it needs the task's learner, and with it torch, so it is done for the tasks that are chosen and for no others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any

from suite.experiment.component import Component, Components, Epochs, Settings
from suite.experiment.domain import PACKAGE
from suite.experiment.errors import RunError, UsageError
from suite.experiment.explain import nearest
from suite.experiment.learner import Span
from suite.experiment.loading import builder, installed
from suite.experiment.plugins import code_of, load_entry_point
from suite.experiment.runtime import HERE
from suite.experiment.streams import Streams
from suite.experiment.tables import EPOCHS_FOR, Table
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import draft

OWN_PACKAGES = ("suite", PACKAGE)
"""Packages whose code is known by result versions; any other component is known by a digest of its file."""


@dataclass(frozen=True)
class Resolved:
    """A task with nothing left open, its method's table, and the digests of third parties' components."""

    spec: TaskSpec
    method: dict[str, Any]
    code: tuple[str, ...]


def resolve(table: Table, method: Table, parse: Callable[[Table], TaskSpec], changed: Sequence[str] = ()) -> Resolved:
    """A task from its tables: components checked, epochs counted, patterns of parameter names matched.

    `changed` are the dotted keys that a user changed: where a component's name is among them, settings of the former
    one that the new one has not are dropped. Raises UsageError for what a component refuses or what cannot be resolved.
    """
    drafted = draft(table, parse)
    kinds = components_of(drafted)
    table = _fitting(table, kinds, changed)
    steps = _EpochSteps(kinds, draft(table, parse))
    training = in_steps(table["training"], steps)
    if isinstance(training.get("schedule"), Mapping):
        training["schedule"] = in_steps(training["schedule"], steps)
    spec = parse({**table, "training": training})
    components = read_components(kinds, spec)
    names = parameter_names(spec)
    lists = {field: matched(field, getattr(spec, field), names) for field in ("prunable", "output_layer")}
    return Resolved(spec.model_copy(update=lists), in_steps(method, steps), _code_of(components.values()))


def components_of(spec: TaskSpec) -> Components:
    """What reads the tables of a task, as its learner declares; empty for a learner that declares nothing.

    It is empty too when the learner cannot be imported here: then the task's cells say what is missing.
    """
    _load_entry_points()
    try:
        declared = getattr(builder(spec), "components", None)
    except UsageError:
        raise
    except Exception:  # a library that is missing, or whatever a third party's module raises
        return Components()
    return declared if isinstance(declared, Components) else Components()


def read_components(kinds: Components, spec: TaskSpec) -> dict[str, Settings]:
    """The components and settings that a task names, by table; raises UsageError for what they refuse."""
    training = spec.training
    found: dict[str, Settings] = {}
    if kinds.data:
        found["data.settings"] = kinds.data.of_data(spec.data.name, spec.data.settings)
    if kinds.model:
        found["model"] = kinds.model.of(spec.model)
    if kinds.optimizer:
        found["training.optimizer"] = kinds.optimizer.of(training.optimizer)
    if kinds.schedule:
        found["training.schedule"] = kinds.schedule.of(training.schedule)
    if kinds.settings:
        found["training.settings"] = kinds.settings.read(training.settings, "training.settings")
    return found


def known_settings(spec: TaskSpec) -> list[str]:
    """The dotted keys of all settings that the task's components, or others of their kinds, may have."""
    kinds = components_of(spec)
    found = [f"training.settings.{field}" for field in (kinds.settings.model_fields if kinds.settings else ())]
    for kind in filter(None, (kinds.data, kinds.model, kinds.optimizer, kinds.schedule)):
        if kind is not kinds.data:
            found.append(f"{kind.table}.name")
        for name in kind.names():
            found += [f"{kind.table}.{field}" for field in kind.named(name, kind.table).model_fields]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _EpochSteps:
    """Steps in one pass over a task's training data, counted when first asked for."""

    kinds: Components
    spec: TaskSpec

    def __call__(self) -> int:
        spec, kinds = self.spec, self.kinds
        data = kinds.data.of_data(spec.data.name, spec.data.settings) if kinds.data else None
        settings = kinds.settings.read(spec.training.settings, "training.settings") if kinds.settings else None
        if not isinstance(data, Epochs):
            raise UsageError(f"data {spec.data.name} have no epochs here: give total_steps, rewind_step, … in steps")
        with installed(spec):
            steps = data.epoch_steps(spec.training.batch, settings)
        if steps < 1:
            raise UsageError(f"training.batch = {spec.training.batch} exceeds the training data: lower it")
        return steps


def _fitting(table: Table, kinds: Components, keys: Sequence[str]) -> dict[str, Any]:
    """A table without the settings of a component that was replaced by one that has them not."""
    fitted = dict(table)
    for kind in (kinds.model, kinds.optimizer, kinds.schedule):
        if kind is None or f"{kind.table}.name" not in keys:
            continue
        *parents, last = kind.table.split(".")
        within = fitted
        for parent in parents:
            within[parent] = dict(within[parent])
            within = within[parent]
        fields = kind.named(within[last].get("name"), f"{kind.table}.name").model_fields
        kept = {"name", *fields, *(key.removeprefix(f"{kind.table}.") for key in keys)}
        within[last] = {key: value for key, value in within[last].items() if key.removesuffix("_epochs") in kept}
    return fitted


def _code_of(components: Iterable[Settings]) -> tuple[str, ...]:
    """Digests of the third parties' files that components stand in; empty when all are the suite's own."""
    classes = [type(each) for each in components if isinstance(each, Component)]
    return tuple(code_of(each) for each in classes if each.__module__.split(".")[0] not in OWN_PACKAGES)


def in_steps(table: Mapping[str, Any], epoch: Callable[[], int]) -> dict[str, Any]:
    """A table with every number of epochs replaced by the nearest number of steps, `epoch` giving the steps of one."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        steps = _steps_name(key)
        found[steps or key] = _times(value, epoch(), key) if steps else value
    return found


def matched(field: str, patterns: Sequence[str], names: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Parameter names that patterns stand for: `*`, `?` and `[…]` as in file names, a dot being like any character.

    Each pattern gives its names in the model's order, every name once. Raises UsageError for a pattern without any.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if not is_pattern(pattern):
            found[pattern] = None
            continue
        hits = [name for name in names() if fnmatchcase(name, pattern)]
        if not hits:
            near = nearest(pattern, names())
            raise UsageError(
                f"{field} = {pattern!r} matches no parameter of the model{near}: one of {', '.join(names())}"
            )
        found |= dict.fromkeys(hits)
    return tuple(found)


def is_pattern(name: str) -> bool:
    """Whether a parameter's name is a pattern for several."""
    return any(sign in name for sign in "*?[")


def parameter_names(spec: TaskSpec) -> Callable[[], Sequence[str]]:
    """The names of the parameters of a task's model, found when first asked for.

    A learner class says them without its data by `parameter_names(spec)`; one that does not is built for them.
    Raises UsageError when that fails.
    """
    return cache(partial(_parameter_names, spec))


def _parameter_names(spec: TaskSpec) -> Sequence[str]:
    build = builder(spec)
    declared = getattr(build, "parameter_names", None)
    if declared is not None:
        return list(declared(spec))
    try:
        made = build(spec, Streams(spec.hash, 0), Span(0, spec.training.total_steps), HERE)
    except (UsageError, RunError):
        raise
    except Exception as error:
        raise UsageError(
            f"patterns in prunable or output_layer need the names of the model's parameters, and the learner could not "
            f"be built for them ({type(error).__name__}: {error}): list the names, or give the learner a classmethod "
            f"parameter_names(spec)"
        ) from error
    return [name for name, _ in made.model.named_parameters()]


def _steps_name(key: str) -> str | None:
    """What a number in epochs is called in steps; None for any other key."""
    for steps, epochs in EPOCHS_FOR.items():
        if key == epochs:
            return steps
    return key.removesuffix("_epochs") if key.endswith("_epochs") else None


def _times(value: Any, epoch: int, key: str) -> Any:
    if isinstance(value, list):
        return [_times(each, epoch, key) for each in value]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UsageError(f"{key} = {value!r}: a number of at least 0 is needed")
    return int(value * epoch + 0.5)


@cache
def _load_entry_points() -> None:
    for point in entry_points(group="lottery.components"):
        load_entry_point(point)
