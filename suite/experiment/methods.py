"""The named methods of `--method`."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest


@cache
def methods() -> dict[str, dict[str, Any]]:
    """The named methods that come with the suite: fields of `Method` that differ from the task's defaults."""
    return tomllib.loads(files("suite.experiment").joinpath("methods.toml").read_text("utf-8"))


def method_changes(name: str) -> dict[str, Any]:
    """Fields that a named method sets; raises UsageError for an unknown name, with the nearest."""
    if name not in methods():
        raise UsageError(f"unknown method {name!r}{nearest(name, methods())}: one of {', '.join(methods())}")
    return {"name": name, **{key: value for key, value in methods()[name].items() if key != "about"}}
