"""How commands print: tables for people, JSON for programs."""

import json
import math
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from suite.experiment.plan import Cell, Cost

PLAN_COLUMNS = ("task", "cells", "steps", "FLOPs", "time")
"""Of the table that says what a run would cost."""


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 cell`, `3 cells`; `2 densities` with its plural given."""
    return f"{n} {noun if n == 1 else plural or f'{noun}s'}"


def minutes(seconds: float) -> str:
    """Seconds as minutes, one decimal."""
    return f"{seconds / 60:.1f} min"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them, one decimal: minutes, hours, days or years."""
    for unit, size, limit in (("min", 60.0, 180.0), ("h", 3600.0, 72.0), ("days", 86400.0, 1000.0)):
        if seconds < limit * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / (365.25 * 86400):,.1f} years"


def plan_row(name: str, cost: "Cost") -> list[str]:
    """A row of the table of a plan."""
    return [name, str(cost.cells), f"{cost.steps:,}", f"{cost.flops:.3g}", duration(cost.seconds)]


def cell_json(cell: "Cell") -> dict[str, Any]:
    """A cell of a plan for programs."""
    return {
        "key": cell.key, "task": cell.spec.id, "arm": cell.arm, "level": cell.level, "replicate": cell.replicate,
        "steps": cell.steps, "needs": list(cell.needs),
    }  # fmt: skip


def print_json(value: object) -> None:
    """Print a JSON text of finite numbers on standard output."""
    print(json.dumps(value, indent=1, allow_nan=False))


def jsonable(value: Any) -> Any:
    """Lists for tuples, null for a number that overflowed."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def wrapped(text: str, width: int, indent: str = "") -> str:
    """A text in lines of a width, cut between words; all but the first are indented two more."""
    return fill(
        text, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    """A table for the terminal: columns wrap between words and break none; a bracket in a text is no markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for i, column in enumerate(columns):
        words = [word for text in (column, *(row[i] for row in rows)) for word in text.split()]
        shown.add_column(Text(column), overflow="fold", min_width=max(map(len, words), default=1))
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a `table`."""
    from rich.console import Console

    Console().print(table(title, columns, rows), markup=False)
