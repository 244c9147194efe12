"""How the tables of task files are put together: one over another, several tasks out of one, steps or epochs."""

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from suite.experiment.errors import UsageError

EPOCHS_FOR = {"total_steps": "epochs", "rewind_step": "rewind_epoch"}
"""How a number of steps is called where it is given in epochs; every other one is called `<name>_epochs`."""

AFRESH = ("data", "model", "training.optimizer", "training.schedule")
"""Tables that start afresh where they name another component, since its settings are its own.

Data are the same component up to the first hyphen: what follows is a label (`kjv-genesis`, `kjv-ruth`).
"""

Table = Mapping[str, Any]


def merged(base: Table, over: Table, where: str = "") -> dict[str, Any]:
    """A table over another: nested tables are merged, anything else is replaced.

    A number of steps replaces the same one in epochs, and the other way round.
    """
    if where in AFRESH and "name" in over and "name" in base and _component(over, where) != _component(base, where):
        base = {}
    kept = {key: value for key, value in base.items() if _other_unit(key) not in over}
    both = {**kept, **over}
    return {
        key: merged(kept[key], value, f"{where}.{key}".lstrip("."))
        if isinstance(value, dict) and isinstance(kept.get(key), dict)
        else _copied(value)
        for key, value in both.items()
    }


def _component(table: Table, where: str) -> str:
    name = str(table["name"])
    return name.split("-", maxsplit=1)[0] if where == "data" else name


def _other_unit(key: str) -> str:
    """`epochs` for `total_steps`, `warmup` for `warmup_epochs`, and back."""
    for steps, epochs in EPOCHS_FOR.items():
        if key in (steps, epochs):
            return epochs if key == steps else steps
    return key.removesuffix("_epochs") if key.endswith("_epochs") else f"{key}_epochs"


def _copied(value: Any) -> Any:
    return merged({}, value) if isinstance(value, dict) else value


def refuse_two_units(table: Table, where: str) -> None:
    """Raise UsageError for a number that a table gives in steps and in epochs."""
    for key in table:
        if _other_unit(key) in table:
            raise UsageError(f"{where} has {key} and {_other_unit(key)}, which are the same number: give one of them")


def dotted(table: Table, prefix: str = "") -> list[str]:
    """The keys of a table and of the tables in it, joined by dots."""
    found: list[str] = []
    for key, value in table.items():
        found += dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found


def changed(table: Table, key: str, value: Any) -> dict[str, Any]:
    """A table with the entry of a dotted key put in."""
    first, _, rest = key.partition(".")
    under = table.get(first)
    entry = changed(under if isinstance(under, dict) else {}, rest, value) if rest else value
    return {**{k: v for k, v in table.items() if k != _other_unit(first) or rest}, first: entry}


def extended(
    table: Table, fragment: Callable[[str], Table], origin: str, within: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A task file's table over the fragments that its `extends` names, in their order; those may extend others.

    A name is that of a file beside the one it stands in. A variant may extend fragments of its own, which lie over the
    file and under the variant.

    Raises UsageError for an `extends` that is no list of names, and for fragments that extend each other in a circle.
    """
    own = dict(table)
    names = own.pop("extends", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{origin}: extends = {names!r}: a list of file names is needed")
    base: dict[str, Any] = {}
    folder = posixpath.dirname(within[-1]) if within else ""
    for name in (posixpath.normpath(posixpath.join(folder, name)) for name in names):
        if name in within:
            raise UsageError(f"{origin}: extends goes in a circle: {' -> '.join((*within, name))}")
        try:
            found = fragment(name)
        except UsageError as error:
            raise UsageError(f"{origin}: {error}") from error
        base = merged(base, extended(found, fragment, name, (*within, name)))
    if isinstance(named := own.get("variants"), dict):
        own["variants"] = {
            name: extended(over, fragment, origin, within) if isinstance(over, dict) else over
            for name, over in named.items()
        }
    return merged(base, own)


def variants(table: Table, origin: str) -> list[dict[str, Any]]:
    """The tables of the tasks that one file holds: one for each of `[variants.<name>]`, else the file's own.

    A variant is merged over the file. `{variant}` in id, title and about stands for its name; an id without it gets the
    name behind a hyphen.
    """
    own = dict(table)
    named = own.pop("variants", None)
    if named is None:
        return [own]
    if not isinstance(named, dict) or not named or not all(isinstance(each, dict) for each in named.values()):
        raise UsageError(f"{origin}: variants = {named!r}: tables [variants.<name>] are needed")
    return [_variant(own, name, over) for name, over in named.items()]


def _variant(common: Table, name: str, over: Table) -> dict[str, Any]:
    table = merged(common, over)
    task_id = str(table.get("id", ""))
    table["id"] = task_id if "{variant}" in task_id or "id" in over else f"{task_id}-{name}"
    for key in ("id", "title", "about"):
        if isinstance(table.get(key), str):
            table[key] = table[key].replace("{variant}", name)
    return table
