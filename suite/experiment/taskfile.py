"""A task is a TOML file: common tables, `[scales.<scale>]` merged over them, defaults of method and run.

Top-level tables are common to all scales; `[method]` and `[run]` are the task's defaults for `Method` and `RunOptions`.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest
from suite.experiment.method import Method
from suite.experiment.options import RunOptions
from suite.experiment.task import TaskSpec

Carry = Literal["both", "mask", "weights"]


@dataclass(frozen=True)
class Task:
    """A task at one scale with its defaults, and the digest of the code that a plugin brought (empty if built in).

    Of a transfer it is the target, and its tickets come from `source`.
    """

    spec: TaskSpec
    method: Method
    options: RunOptions
    code: str = ""
    source: "Source | None" = None


@dataclass(frozen=True)
class Source:
    """The task whose tickets are transferred, and what of them is carried to the target."""

    task: Task
    carry: Carry


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


def read_task(text: str, origin: str, code: str = "") -> TaskFile:
    """Parse a task file and check it at every scale; raises UsageError naming the file, the field and the remedy."""
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{origin} is no TOML: it is nested too deeply") from error
    except ValueError as error:  # besides TOML's own error, that of a number of too many digits
        raise UsageError(f"{origin} is no TOML: {error}") from error
    scales = table.pop("scales", {})
    if not isinstance(scales, dict) or not scales:
        raise UsageError(f"{origin} has no [scales.<name>] table: give one of paper, lite, quick, smoke")
    task = TaskFile(origin, table, scales, code)
    for scale in scales:
        task.at(scale)
    return task


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


def nearest_key(key: str, known: Iterable[str]) -> UsageError:
    """The error for a `--set` key that does not exist."""
    known = list(known)
    return UsageError(f"unknown --set key {key!r}{nearest(key, known)}: one of {', '.join(known)}")
