"""From what a command line names to tasks: their methods, options and changes."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from suite.experiment.collection import Collection, collections
from suite.experiment.errors import UsageError
from suite.experiment.explain import needed_for
from suite.experiment.frozen import LARGEST
from suite.experiment.methods import known_methods, method_changes
from suite.experiment.options import CARRIES, RunOptions
from suite.experiment.plan import LADDER, RANDOM
from suite.experiment.registry import Registry
from suite.experiment.task import CHANGED
from suite.experiment.taskfile import METHOD_KEYS, SET, Source, Task, nearest_key

TRANSFERRED = (LADDER, RANDOM)
"""Arms of a transfer, unless others are asked for: those of Morcos et al. 2019."""


def choose(
    names: Sequence[str], scale: str | None, methods: Sequence[str], options: Mapping[str, Any],
    changes: Sequence[str], plugins: Sequence[Path], registry: Registry | None = None,
) -> list[Task]:  # fmt: skip
    """What a command line names: tasks and collections, each task once by every method, with its options and changes.

    Raises UsageError for whatever is wrong. Without a method a task has its own. What several figures of a collection
    ask for is one task, with the arms of all of them. A `registry` that knows the plugins is made where none is given.
    """
    registry, known = registry or Registry(plugins), known_methods(plugins)
    by = [method_changes(each, known) for each in dict.fromkeys(methods)] or [{}]
    chosen: list[Task] = []
    for name in names:
        if name in collections():
            chosen += _collected(collections()[name], scale, methods, options, changes, plugins, registry)
            continue
        file, at = registry.one(name, scale)
        asked = _parsed(changes, file.keys(at))
        for method in by:
            if "name" in asked and len(by) > 1:
                raise UsageError(
                    f"--set name={asked['name']} names one method, --method {','.join(methods)} asks for more"
                )
            task = (replace(file, origin=SET) if asked else file).at(at, {**method, **asked})
            if "name" not in asked and asked.keys() & set(METHOD_KEYS):
                task = replace(task, method=task.method.model_copy(update={"name": f"{task.method.name}{CHANGED}"}))
            chosen.append(replace(task, options=_changed(task.options, options)))
    return _united(chosen)


def choose_transfers(
    sources: Sequence[str], targets: Sequence[str], carry: str, scale: str | None, methods: Sequence[str],
    options: Mapping[str, Any], changes: Sequence[str], plugins: Sequence[Path], registry: Registry | None = None,
) -> list[Task]:  # fmt: skip
    """Every target with tickets from every source, by each method, under `TRANSFERRED` if no arms are asked for.

    Raises UsageError for whatever is wrong.
    """
    if carry not in CARRIES:
        raise UsageError(f"--carry {carry}: one of {', '.join(CARRIES)}")
    if not sources or not targets:
        raise UsageError("--sources and --targets need a task each, such as --sources a --targets b,c")
    options, registry = {"arms": TRANSFERRED, **options}, registry or Registry(plugins)
    origins, own = (choose(names, scale, methods, options, changes, plugins, registry) for names in (sources, targets))
    for task in (*origins, *own):
        if task.source is not None:
            raise UsageError(
                f"{task.spec.id} with tickets of {task.source.task.spec.id} is a transfer of a collection: name tasks "
                "in --sources and --targets"
            )
    return [
        replace(target, source=Source(source, CARRIES[carry]))
        for target, source in product(own, origins)
        if target.method.name == source.method.name or not methods
    ]


def _collected(
    collection: Collection, scale: str | None, methods: Sequence[str], options: Mapping[str, Any],
    changes: Sequence[str], plugins: Sequence[Path], registry: Registry,
) -> list[Task]:  # fmt: skip
    at = scale or collection.scale
    found: list[Task] = []
    for panel in collection.panels(at):
        by = tuple(methods) or panel.methods
        own = {"arms": panel.arms, **options} if panel.arms else options
        if panel.sources:
            found += choose_transfers(
                panel.sources, panel.targets, panel.carry, at, by, own, changes, plugins, registry
            )
        else:
            found += choose(panel.tasks, at, by, own, changes, plugins, registry)
    return found


def _united(tasks: Iterable[Task]) -> list[Task]:
    """Each task, by one method and with tickets of one source, once: with the arms of all that ask for it."""
    found: dict[tuple[str, ...], Task] = {}
    for task in tasks:
        known = found.setdefault(task.identity, task)
        arms = tuple(dict.fromkeys((*known.options.arms, *task.options.arms)))
        found[task.identity] = replace(known, options=known.options.model_copy(update={"arms": arms}))
    return list(found.values())


def _parsed(changes: Iterable[str], known: Sequence[str]) -> dict[str, Any]:
    """key=value pairs, values read as TOML and else as text."""
    found: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: key=value is needed, such as --set rewind_step=100")
        if key not in known:
            raise nearest_key(key, known)
        try:
            found[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = text
        if isinstance(found[key], int) and abs(found[key]) > LARGEST:
            raise UsageError(f"--set {change}: a whole number of at most {LARGEST} is needed")
    return found


def _changed(options: RunOptions, given: Mapping[str, Any]) -> RunOptions:
    """Options with those given put in; other levels than the task's make its choice of `at` void."""
    void = {"at": None} if given.get("levels", options.levels) != options.levels else {}
    try:
        return RunOptions.model_validate({**options.model_dump(), **void, **given})
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        needed, _ = needed_for(RunOptions, [field])
        option = {"first_replicate": "seed"}.get(field, field)
        raise UsageError(f"--{option} {given.get(field)}: {needed}") from error
