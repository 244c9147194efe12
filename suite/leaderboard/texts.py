"""Texts of strangers: what may not stand in any of them, whatever the field."""

import unicodedata
from collections.abc import Iterator

BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows: what is read is then not what stands there."""


def unsafe(value: object, place: str = "") -> Iterator[str]:
    """Texts and keys in a JSON value that hold a control character or a bidirectional one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from unsafe(str(key), f"a key of {place}" if place else "a key")
            yield from unsafe(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from unsafe(inner, f"{place}.{i}")
    elif isinstance(value, str):
        found = next((c for c in value if c in BIDIRECTIONAL or unicodedata.category(c) == "Cc"), None)
        if found is not None:
            what = "turns the direction of text" if found in BIDIRECTIONAL else "is a control character"
            yield f"{place} holds U+{ord(found):04X}, which {what}: {ascii(value)[:80]}"
