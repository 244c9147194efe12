"""What is left open in a task's tables until the task is chosen: epochs, patterns of parameter names, components.

All of it needs the task's learner, and with it torch, so it is done for the tasks that are chosen and for no others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from suite.experiment.component import Component, Components, Settings
from suite.experiment.domain import PACKAGE
from suite.experiment.epochs import Epoch, in_steps
from suite.experiment.errors import UsageError
from suite.experiment.learner import Build
from suite.experiment.loading import builder
from suite.experiment.parameters import Shapes, built_shapes, check_prunable, declared_shapes, is_pattern, matched
from suite.experiment.plugins import COMPONENTS, code_of, load_entry_point
from suite.experiment.tables import Table
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
    one that the new one has not are dropped. Raises UsageError for whatever is refused or cannot be resolved.
    """
    drafted = draft(table, parse)
    learner = _learner(drafted)
    kinds = components_of(drafted)
    table = _fitting(table, kinds, changed)
    epoch = Epoch(kinds, draft(table, parse))
    training = in_steps(table["training"], lambda: epoch.steps)
    if isinstance(training.get("schedule"), Mapping):
        training["schedule"] = in_steps(training["schedule"], lambda: epoch.steps)
    spec = parse({**table, "training": training})
    components = read_components(kinds, spec)
    spec = _named(spec, None if learner is None else declared_shapes(spec))
    check = getattr(learner, "check_spec", None)
    if check is not None:
        check(spec)
    return Resolved(spec, in_steps(method, lambda: epoch.steps), _code_of(components.values()))


def _named(spec: TaskSpec, shapes: Shapes | None) -> TaskSpec:
    """A task whose patterns stand for parameters, all of them known to be there if its learner gives their shapes."""
    fields = {"prunable": spec.prunable, "output_layer": spec.output_layer}
    if any(map(is_pattern, (*spec.prunable, *spec.output_layer))):
        known = built_shapes(spec) if shapes is None else shapes
        spec = spec.model_copy(update={field: matched(field, names, known) for field, names in fields.items()})
    if shapes is not None:
        check_prunable(spec, shapes)
        for role, names in spec.roles.items():
            matched(f"roles.{role}", names, shapes)
    return spec


def components_of(spec: TaskSpec) -> Components:
    """What reads the tables of a task, as its learner declares; empty for a learner that declares nothing."""
    declared = getattr(_learner(spec), "components", None)
    return declared if isinstance(declared, Components) else Components()


def _learner(spec: TaskSpec) -> Build | None:
    """A task's learner; None when it cannot be imported here: then the task's cells say what is missing."""
    _load_entry_points()
    try:
        return builder(spec)
    except UsageError:
        raise
    except Exception:  # a library that is missing, or whatever a third party's module raises
        return None


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


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=COMPONENTS):
        load_entry_point(point)
