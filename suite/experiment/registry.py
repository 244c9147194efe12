"""Finds tasks, methods and collections: built in, from entry points, or in a file given on the command line.

A task is a TOML file: its top-level tables are common to all scales, `[scales.<scale>]` holds what differs and is
merged over them; `[method]` and `[run]` are the task's defaults for `Method` and `RunOptions`.
"""

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from suite.experiment.settings import nearest
from suite.experiment.task import (
    Build,
    BuildCohort,
    Frozen,
    Method,
    References,
    RunError,
    RunOptions,
    TaskSpec,
    UsageError,
)

TASK_PACKAGES = ("domains.vision", "domains.rl", "domains.nlp")


@dataclass(frozen=True)
class Task:
    """A task at one scale with its defaults, and the digest of the code that a plugin brought (empty if built in)."""

    spec: TaskSpec
    method: Method
    options: RunOptions
    code: str = ""


class Collection(Frozen):
    """Several tasks run together under one name, such as `quickstart`."""

    name: str
    title: str
    scale: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class TaskFile:
    """A parsed task file: the common tables, the scales, and where it came from."""

    origin: str
    common: dict[str, Any]
    scales: dict[str, dict[str, Any]]
    code: str = ""

    @property
    def id(self) -> str:
        """The task's id."""
        return str(self.common.get("id", ""))

    def at(self, scale: str, changes: Mapping[str, Any] | None = None) -> Task:
        """The task at a scale, with settings changed by dotted key (`training.total_steps`, or a method's field).

        Raises UsageError for a scale the task has not, a field that is misspelt or a value out of range.
        """
        if scale not in self.scales:
            raise UsageError(f"{self.id} has no scale {scale!r}: one of {', '.join(self.scales)}")
        table = _merged(self.common, self._table(f"scales.{scale}", self.scales[scale]))
        method, options = (self._table(name, table.pop(name, {})) for name in ("method", "run"))
        table["scale"] = scale
        changed = {k: v for k, v in (changes or {}).items() if k not in Method.model_fields}
        method = {**method, **{k: v for k, v in (changes or {}).items() if k in Method.model_fields}}
        for key, value in changed.items():
            _set(table, key, value)
        if changed:
            table["version"] = f"{table['version']}+changed"
        with _explained(self.origin):
            return Task(TaskSpec(**table), Method(**method), RunOptions(**options), self.code)

    def keys(self, scale: str) -> list[str]:
        """What `--set` accepts: the method's fields and the task's own numbers, by dotted key."""
        table = _merged(self.common, self.scales.get(scale, {}))
        return [
            *Method.model_fields,
            *_dotted({k: table[k] for k in ("data", "model", "training", "metric") if k in table}),
        ]

    def _table(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise UsageError(f"{self.origin}: {name} = {value!r}: a table is needed")
        return value


class Registry:
    """All tasks known here, by id; plugins are loaded when they are named."""

    def __init__(self, plugins: Iterable[Path] = ()) -> None:
        self._files: dict[str, TaskFile] = {}
        for package in TASK_PACKAGES:
            for path in _toml_files(package, "tasks"):
                self._add(read_task(path.read_text("utf-8"), path.name))
        for point in entry_points(group="lottery.tasks"):
            text, origin = _text_of(point.load())
            distribution = point.dist
            self._add(read_task(text, origin, f"{distribution.name} {distribution.version}" if distribution else ""))
        for plugin in plugins:
            for task in load_plugin(plugin):
                self._add(task)

    def _add(self, task: TaskFile) -> None:
        if task.id in self._files:
            raise UsageError(f"task {task.id!r} of {task.origin} exists already in {self._files[task.id].origin}")
        self._files[task.id] = task

    @property
    def ids(self) -> list[str]:
        """Ids of all tasks, sorted."""
        return sorted(self._files)

    def find(self, task_id: str) -> TaskFile:
        """The task file of an id; raises UsageError that names the nearest ids."""
        if task_id not in self._files:
            known = [*self._files, *collections()]
            raise UsageError(f"unknown task {task_id!r}{nearest(task_id, known)}; `lottery list` names all")
        return self._files[task_id]

    def expand(self, names: Iterable[str], scale: str | None) -> list[tuple[TaskFile, str]]:
        """Tasks and scales for ids and collections; without a scale, a collection's own or `lite` (or the first)."""
        found: list[tuple[TaskFile, str]] = []
        for name in names:
            if name in collections():
                collection = collections()[name]
                found += [(self.find(task), scale or collection.scale) for task in collection.tasks]
            else:
                task = self.find(name)
                found.append((task, scale or ("lite" if "lite" in task.scales else next(iter(task.scales)))))
        return list({(task.id, at): (task, at) for task, at in found}.values())


@cache
def collections() -> dict[str, Collection]:
    """The collections of tasks that come with the suite, by name."""
    found = [Collection(**tomllib.loads(path.read_text("utf-8"))) for path in _toml_files("domains", "collections")]
    return {collection.name: collection for collection in found}


@cache
def methods() -> dict[str, dict[str, Any]]:
    """The named methods that come with the suite: fields of `Method` that differ from the task's defaults."""
    return tomllib.loads(files("suite.experiment").joinpath("methods.toml").read_text("utf-8"))


def method_changes(name: str) -> dict[str, Any]:
    """Fields that a named method sets; raises UsageError for an unknown name, with the nearest."""
    if name not in methods():
        raise UsageError(f"unknown method {name!r}{nearest(name, methods())}: one of {', '.join(methods())}")
    return {"name": name, **{key: value for key, value in methods()[name].items() if key != "about"}}


def read_task(text: str, origin: str, code: str = "") -> TaskFile:
    """Parse a task file and check it at every scale; raises UsageError naming the file, the field and the remedy."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin} is no TOML: {error}") from error
    scales = table.pop("scales", {})
    if not isinstance(scales, dict) or not scales:
        raise UsageError(f"{origin} has no [scales.<name>] table: give one of paper, lite, quick, smoke")
    task = TaskFile(origin, table, scales, code)
    for scale in scales:
        task.at(scale)
    return task


def load_plugin(path: Path) -> list[TaskFile]:
    """Run a plugin file; its tasks are `TASK` (TOML text) or `TASKS` (several); criteria and arms register themselves.

    Raises UsageError when the file does not exist or fails on import.
    """
    if not path.is_file():
        raise UsageError(f"no plugin file {path}")
    digest = sha256(path.read_bytes()).hexdigest()
    name = f"lottery_plugin_{digest[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"plugin {path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # whatever the stranger's code raises is said in one line
            del sys.modules[name]
            raise UsageError(f"plugin {path} fails on import: {type(error).__name__}: {error}") from error
    module = sys.modules[name]
    texts = [*getattr(module, "TASKS", ()), *([module.TASK] if hasattr(module, "TASK") else [])]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"plugin {path}: TASK is TOML text, TASKS a list of such texts")
    return [read_task(text.replace('"plugin:', f'"{name}:'), str(path), digest) for text in texts]


def load_extensions(plugins: Iterable[Path]) -> None:
    """Make third parties' criteria and arms known in this process: entry points first, then plugin files."""
    for group in ("lottery.scores", "lottery.arms"):
        for point in entry_points(group=group):
            point.load()
    for plugin in plugins:
        load_plugin(plugin)


def builder(spec: TaskSpec) -> Build:
    """The function that makes a task's learner; raises RunError naming the extra when its libraries are missing."""
    return cast(Build, _load(spec.learner, spec))


def cohort_builder(spec: TaskSpec) -> BuildCohort:
    """The function that makes a task's cohorts; the task must offer one."""
    if spec.cohort is None:
        raise UsageError(f"{spec.id} offers no cohort: run it without --exec cohort")
    return cast(BuildCohort, _load(spec.cohort, spec))


def _load(reference: str, spec: TaskSpec) -> object:
    module_name, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        package = f"'lottery-suite[{spec.domain}]'" if reference.startswith("domains.") else error.name
        raise RunError(f"{spec.id} needs {error.name!r}, which is not installed: pip install {package}") from error
    except AttributeError as error:
        raise UsageError(f"{spec.id}: learner {reference!r} does not exist") from error


def nearest_key(key: str, known: Iterable[str]) -> UsageError:
    """The error for a `--set` key that does not exist."""
    known = list(known)
    return UsageError(f"unknown --set key {key!r}{nearest(key, known)}: one of {', '.join(known)}")


def _toml_files(package: str, folder: str) -> list[Traversable]:
    where = files(package).joinpath(folder)
    return (
        sorted((p for p in where.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name) if where.is_dir() else []
    )


def _text_of(value: object) -> tuple[str, str]:
    if isinstance(value, Path):
        return value.read_text("utf-8"), value.name
    if isinstance(value, str):
        return value, "an entry point of lottery.tasks"
    raise UsageError(f"entry point of lottery.tasks gives {type(value).__name__}: TOML text or a Path is needed")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {**base, **over}
    return {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else _copied(value)
        for key, value in both.items()
    }


def _copied(value: Any) -> Any:
    return _merged({}, value) if isinstance(value, dict) else value


def _dotted(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in table.items():
        found += _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        table = table[parent]
    table[last] = value


@contextmanager
def _explained(origin: str) -> Iterator[None]:
    """Turns pydantic's report into one line: file, field, what is wrong."""
    try:
        yield
    except ValidationError as error:
        errors = error.errors()  # a misspelt name says more than the field that it left missing
        first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise UsageError(f"{origin}: field {field} is missing") from error
        misspelt = first["type"] == "extra_forbidden"
        near = nearest(str(first["loc"][-1]), _fields(error.title, first["loc"][:-1])) if misspelt else ""
        where = {"Method": "method.", "RunOptions": "run."}.get(error.title, "") if misspelt else ""
        raise UsageError(f"{origin}: {where}{field} = {first['input']!r}: {first['msg']}{near}") from error


def _fields(title: str, place: Sequence[str | int]) -> Iterable[str]:
    """The fields of the part of a task, method or request at a place: `("training", "optimizer")`."""
    model: Any = {each.__name__: each for each in (TaskSpec, Method, RunOptions)}[title]
    for part in place:
        model = model.model_fields[part].annotation
    names: Iterable[str] = model.model_fields
    return names


def code_of(function: object) -> str:
    """Empty for the suite's own code; for a third party's, SHA-256 of the file it stands in, so that edits count."""
    while isinstance(function, partial):
        function = function.func
    module = getattr(function, "__module__", "")
    if module.split(".")[0] == "suite":
        return ""
    source = getattr(sys.modules.get(module), "__file__", None)
    return sha256(Path(source).read_bytes()).hexdigest() if source else module


def references(spec: TaskSpec) -> dict[str, dict[str, float]]:
    """Test scores of simple models on the task's data, if the task offers any."""
    if spec.references is None:
        return {}
    found = cast(References, _load(spec.references, spec))(spec)
    return {name: dict(scores) for name, scores in found.items()}
