"""Writes a task as commented TOML: all its numbers at one scale, ready to be saved as a task of one's own.

Every setting's comment is its component's own description. Settings that a task leaves at their default stand as
comments too, so that the text names all there are.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from suite.experiment.component import Component, Settings
from suite.experiment.method import Method
from suite.experiment.options import RunOptions
from suite.experiment.resolve import components_of, read_components
from suite.experiment.task import Data, StepCost, TaskMetric, TaskSpec, Training
from suite.experiment.taskfile import Task

WIDTH = 120
TABLES = ("data", "model", "training", "metric", "cost")
PLAIN = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class _Field:
    """A setting: its value or its default, what it is, and whether the task gives it."""

    key: str
    value: Any
    about: str
    given: bool


@dataclass(frozen=True)
class _Section:
    """A table of the file: its name (empty for the top), what it is, and its settings."""

    name: str
    about: str
    fields: tuple[_Field, ...]


def as_toml(task: Task) -> str:
    """A task with its method and run as a TOML file of one scale.

    Fragments, variants, epochs and patterns are resolved in it, so that it stands alone.
    """
    spec = task.spec
    written = spec.model_dump(mode="json")
    head = (
        f"{spec.id} {spec.version} at {spec.scale}, with nothing left open; hash {spec.hash}. "
        f"To make a task of your own of it, save it as FILE.toml, change the id and what you like, and name it: "
        f"lottery run ID --plugin FILE.toml"
    )
    lines = [*_comment(head), ""]
    for section in _sections(spec, written, task):
        lines += _lines(section)
    return "\n".join([*lines, f"[scales.{spec.scale}]", ""])


def _sections(spec: TaskSpec, written: Mapping[str, Any], task: Task) -> Iterator[_Section]:
    found = read_components(components_of(spec), spec)
    yield _Section("", "", _fields(TaskSpec, written, without=("scale", *TABLES)))
    yield _Section("data", _about(found.get("data.settings")), _fields(Data, written["data"], ("settings",)))
    yield from _tables("data.settings", "", found.get("data.settings"), written["data"]["settings"])
    yield from _tables("model", _about(found.get("model")), found.get("model"), written["model"])
    training = written["training"]
    yield _Section("training", "", _fields(Training, training, ("optimizer", "schedule", "settings")))
    for name in ("optimizer", "schedule", "settings"):
        component = found.get(f"training.{name}")
        yield from _tables(f"training.{name}", _about(component), component, training[name])
    yield _Section("metric", "", _fields(TaskMetric, written["metric"]))
    yield _Section("cost", "", _fields(StepCost, written["cost"]))
    yield _Section("method", "", _fields(Method, task.method.model_dump(mode="json")))
    yield _Section("run", "", _fields(RunOptions, task.options.model_dump(mode="json")))


def _about(component: Settings | None) -> str:
    """The first sentence of a component's docstring."""
    if not isinstance(component, Component):
        return ""
    return (type(component).__doc__ or "").split("\n\n")[0]


def _tables(name: str, about: str, settings: Settings | None, table: Mapping[str, Any]) -> Iterator[_Section]:
    """A free table and the tables in it, each setting with what its component says of it."""
    model = type(settings) if settings is not None else None
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    names = [_Field("name", table["name"], "", True)] if "name" in table else []
    fields = _fields(model, table, ("name", *inner)) if model is not None else ()
    known = set(model.model_fields) if model is not None else set()
    rest = [_Field(key, table[key], "", True) for key in table if key not in (*known, *inner, "name")]
    yield _Section(name, about, (*names, *fields, *rest))
    for key, value in inner.items():
        part = getattr(settings, key, None)
        yield from _tables(f"{name}.{_key(key)}", "", part if isinstance(part, Settings) else None, value)


def _fields(model: type[BaseModel], table: Mapping[str, Any], without: Iterable[str] = ()) -> tuple[_Field, ...]:
    """The settings of a model: those that a table gives, and the others at their defaults."""
    left_out = set(without)
    found = []
    for key, field in model.model_fields.items():
        if key in left_out:
            continue
        given = table.get(key) is not None
        default = None if field.default is PydanticUndefined else field.default
        found.append(_Field(key, table[key] if given else default, field.description or "", given))
    return tuple(found)


def _lines(section: _Section) -> list[str]:
    lines = _comment(" ".join(section.about.split())) if section.about else []
    if section.name:
        lines.append(f"[{section.name}]")
    for field in section.fields:
        lines += _field(field)
    return [*lines, ""]


def _field(field: _Field) -> list[str]:
    """`key = value  # what it is`, the comment above where the line would be too long.

    A setting that is not given is commented out, so that taking the first `# ` away gives it.
    """
    about = " ".join(field.about.split())
    entry = f"{_key(field.key)} = {'' if field.value is None else _value(field.value)}".rstrip()
    if not field.given:
        entry = f"# {entry}"
        about = f"({'unset' if field.value is None else 'default'}) {about}".rstrip()
    if not about:
        return [entry]
    line = f"{entry}  # {about}"
    return [line] if len(line) <= WIDTH else [*_comment(about), entry]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)]


def _key(key: str) -> str:
    return key if PLAIN.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    """A value in TOML; basic strings have JSON's escapes."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
