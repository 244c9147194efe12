"""The named methods of `--method`: the suite's own, those of installed packages, and those of plugin files.

A method is a TOML table of fields of `Method` that it changes of the task's own, and a word `about` it. Third parties
add theirs by the entry-point group `lottery.methods` (TOML text or a Path), or as `METHODS` (TOML text) in a plugin.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest, refusal
from suite.experiment.method import Method
from suite.experiment.tables import EPOCHS_FOR

Methods = Mapping[str, Mapping[str, Any]]
"""Fields and `about` by name."""


@cache
def methods() -> dict[str, dict[str, Any]]:
    """The named methods that come with the suite."""
    return tomllib.loads(files("suite.experiment").joinpath("methods.toml").read_text("utf-8"))


def known_methods(plugins: Iterable[Path] = ()) -> dict[str, dict[str, Any]]:
    """All named methods that are known here; raises UsageError for one that is wrong, or has the name of another."""
    from suite.experiment.plugins import load_entry_point, method_texts

    found = dict(methods())
    texts: list[tuple[object, str]] = [
        (load_entry_point(point), f"entry point {point.name} of lottery.methods")
        for point in entry_points(group="lottery.methods")
    ]
    texts += [(text, f"plugin {path}") for path in plugins for text in method_texts(path)]
    for value, origin in texts:
        text = value.read_text("utf-8") if isinstance(value, Path) else value
        if not isinstance(text, str):
            raise UsageError(f"{origin} gives {type(value).__name__}: TOML text or a Path is needed")
        for name, fields in read_methods(text, origin).items():
            if name in found:
                raise UsageError(f"{origin}: method {name!r} exists already, choose another name")
            found[name] = fields
    return found


def read_methods(text: str, origin: str) -> dict[str, dict[str, Any]]:
    """Parse tables of methods and check their fields; raises UsageError naming the origin, the field and the remedy."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin}: its methods are no TOML: {error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("about"), str):
            raise UsageError(f"{origin}: method {name!r} is no table with a word `about` it")
        apart = ("about", *EPOCHS_FOR.values())  # epochs are steps of the task
        fields = {"name": name, **{key: value for key, value in table.items() if key not in apart}}
        try:
            Method(**fields)
        except ValidationError as error:
            raise UsageError(f"{origin}: {refusal(error, Method, fields, name)}") from error
    return tables


def method_changes(name: str, known: Methods | None = None) -> dict[str, Any]:
    """Fields that a named method sets; raises UsageError for an unknown name, with the nearest."""
    known = methods() if known is None else known
    if name not in known:
        raise UsageError(f"unknown method {name!r}{nearest(name, known)}: one of {', '.join(known)}")
    return {"name": name, **{key: value for key, value in known[name].items() if key != "about"}}
