"""Turns pydantic's report on a table into one line: which setting, its value, and what is needed."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from suite.experiment.errors import UsageError

ANYTHING = "a finite number, text, true or false, or a list or table of such"
"""What a free table may hold."""


def refusal(
    error: ValidationError, model: type[BaseModel], table: object, where: str = "", beside: Sequence[str] = ()
) -> UsageError:
    """The first fault of a table that `model` refused, in one line.

    `where` is the table's own name, such as `training.schedule`, and `beside` what it may hold beside settings. An
    unknown setting is told before any other fault, since a misspelt name says more than the setting it left missing.
    """
    errors = error.errors()
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    place = _settings_of(model, first["loc"])
    name = ".".join([*([where] if where else []), *place])
    if first["type"] == "extra_forbidden":
        key, known = str(first["loc"][-1]), list(_schema_at(model, place).get("properties", {}))
        known = [*(beside if not place else ()), *known]
        choice = f"one of {', '.join(known)}" if known else "there are none"
        return UsageError(f"unknown setting {f'{name}.' if name else ''}{key}{nearest(key, known)}: {choice}")
    if first["type"] == "value_error":
        words = _words_of(first)
        of_a_setting = words.split(" = ")[0] in _schema_at(model, place).get("properties", {})
        return UsageError(f"{name}{'.' if of_a_setting else ': '}{words}" if name else words)
    needed, choices = needed_for(model, place)
    if first["type"] == "missing" and len(place) == len(first["loc"]):
        return UsageError(f"{name} is missing: {needed}")
    value = _value_at(table, place)
    near = nearest(value, choices) if choices and isinstance(value, str) else ""
    return UsageError(f"{name} = {value!r}{near}: {needed}")


def needed_for(model: type[BaseModel], place: Sequence[str]) -> tuple[str, list[str]]:
    """What a setting of a model needs, in words, and the choices if it is one of some names."""
    schema = _schema_at(model, place)
    if "const" in schema or "enum" in schema:
        choices = [str(choice) for choice in schema.get("enum", [schema.get("const")])]
        return f"one of {', '.join(choices)}", choices
    return f"{_noun(schema, model.model_json_schema())} is needed", []


def nearest(name: str, known: Iterable[str]) -> str:
    """A part of a sentence that gives the names most like a misspelt one; empty when none is."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [k for k in known if name and name in k][:3]
    return f"; nearest: {', '.join(close)}" if close else ""


def _words_of(error: ErrorDetails) -> str:
    """What a validator of the model's own said."""
    return str(error.get("ctx", {}).get("error", error["msg"]))


def _settings_of(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The names of settings in pydantic's location, which also holds positions in lists and branches of unions."""
    root = model.model_json_schema()
    schema, found = root, list[str]()
    for part in location:
        inner = _entry(_resolved(schema, root), part)
        if inner is None:
            break
        found.append(str(part))
        schema = inner
    return found


def _schema_at(model: type[BaseModel], place: Iterable[str]) -> dict[str, Any]:
    root = model.model_json_schema()
    schema = root
    for part in place:
        schema = _entry(_resolved(schema, root), part) or {}
    return _resolved(schema, root)


def _entry(schema: Mapping[str, Any], key: str | int) -> dict[str, Any] | None:
    """The schema of a table's entry: one that is declared, or any of a free table."""
    declared: dict[str, Any] = schema.get("properties", {})
    free = schema.get("additionalProperties")
    return declared.get(str(key)) or (free if isinstance(free, dict) else None)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its reference followed, and `or null` left out."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        return _resolved(root["$defs"][name], root)
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return _resolved(options[0], root) if len(options) == 1 else dict(schema)


def _value_at(table: object, place: Iterable[str]) -> object:
    for part in place:
        table = table[part] if isinstance(table, Mapping) and part in table else None
    return table


def _noun(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """`a number from 0 to 1`, `a list of 2 whole numbers of at least 1`, …"""
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        options = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return ANYTHING if len(options) > 3 else " or ".join(_noun(each, root) for each in options)
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return f"a {_number(schema)}{_bounds(schema)}"
    if kind == "array":
        return _list(schema, root)
    return {"boolean": "true or false", "object": "a table"}.get(str(kind)) or _text(schema)


def _text(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "pattern" in schema:
        return f"text of the form {schema['pattern']}"
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if most is not None:
        return f"text of {least} to {most} characters"
    return f"text of at least {least} characters" if least else "text"


def _list(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    count = f"{least} " if least is not None and least == most else ""
    first: dict[str, Any] = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
    item = _resolved(first, root)
    if item.get("type") in ("integer", "number"):
        what = f"{_number(item)}s{_bounds(item)}"
    else:
        what = {"string": "texts", "boolean": "truth values"}.get(str(item.get("type")), "values")
    at_least = f", at least {least} of them" if least and not count else ""
    return f"a list of {count}{what}{at_least}"


def _number(schema: Mapping[str, Any]) -> str:
    return "whole number" if schema["type"] == "integer" else "number"


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" from {_plain(least)} to {_plain(most)}"
    low = (
        f" of at least {_plain(least)}" if least is not None else f" above {_plain(above)}" if above is not None else ""
    )
    high = f" of at most {_plain(most)}" if most is not None else f" below {_plain(below)}" if below is not None else ""
    return f"{low}{' and' if low and high else ''}{high}"


def _plain(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"
