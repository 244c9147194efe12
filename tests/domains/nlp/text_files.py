"""Writes small texts and sentence pairs in the very layouts of the published ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

Pair = tuple[str | None, str | None]


def write_column(place: Path, column: str, values: pyarrow.Array) -> None:
    """One parquet file of one column."""
    place.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table({column: values}), place)


def write_text(folder: Path, lines: Mapping[str, Sequence[str | bytes | None]]) -> None:
    """WikiText-2's parquet files; bytes are written as they are, whatever they mean."""
    for split, rows in lines.items():
        raw = pyarrow.array([row.encode() if isinstance(row, str) else row for row in rows], pyarrow.binary())
        values = pyarrow.Array.from_buffers(pyarrow.string(), len(raw), raw.buffers())
        write_column(folder / f"{split}-00000-of-00001.parquet", "text", values)


def write_pairs(folder: Path, pairs: Mapping[str, Sequence[Pair]]) -> None:
    """The hub's translations, English and German."""
    kind = pyarrow.struct({"de": pyarrow.string(), "en": pyarrow.string()})
    for split, rows in pairs.items():
        values = pyarrow.array([{"de": german, "en": english} for english, german in rows], kind)
        write_column(folder / f"{split}-00000-of-00001.parquet", "translation", values)
