"""How commands print: tables for people, JSON for programs."""

import json
import math
from collections.abc import Sequence
from typing import Any


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 cell`, `3 cells`; `2 densities` with its plural given."""
    return f"{n} {noun if n == 1 else plural or f'{noun}s'}"


def minutes(seconds: float) -> str:
    """Seconds as minutes, one decimal."""
    return f"{seconds / 60:.1f} min"


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


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that folds long cells; a bracket in a text is no markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(title), title_justify="left")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console().print(shown, markup=False)
