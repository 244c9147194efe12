"""How commands print: tables for people, JSON for programs."""

import json
from collections.abc import Sequence


def minutes(seconds: float) -> str:
    """Seconds as minutes, one decimal."""
    return f"{seconds / 60:.1f} min"


def print_json(value: object) -> None:
    """Print a JSON text of finite numbers on standard output."""
    print(json.dumps(value, indent=1, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that folds long cells; a bracket in a text is no markup."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console().print(shown, markup=False)
