"""Reads files that somebody hands over: whatever is wrong with one is said in a line."""

import json
from pathlib import Path
from typing import Any, Never

from suite.files import NotRegular, read_regular

MOST_BYTES = 2**30
"""No text that is read whole is larger."""


class Unreadable(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; raises FileNotFoundError, and Unreadable for whatever else is no such file."""
    try:
        return read_regular(path, MOST_BYTES, follow=True)
    except NotRegular as error:
        raise Unreadable(str(error).removeprefix(f"{path} ")) from error
    except FileNotFoundError:
        raise
    except (OSError, ValueError, MemoryError) as error:  # ValueError: a null character in its name
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_text(path: Path) -> str:
    """The content of a UTF-8 file; raises as `read_bytes`, and Unreadable for another encoding."""
    return decode(read_bytes(path))


def decode(content: bytes) -> str:
    """UTF-8 text; raises Unreadable for another encoding."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is no UTF-8 text ({error.reason} at byte {error.start})") from error


def read_json(path: Path) -> Any:
    """The value in a JSON file; raises as `read_text`, and Unreadable for what is no JSON of finite numbers."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """The value of a JSON text; raises Unreadable for what is no JSON of finite numbers."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise Unreadable("is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"is no whole JSON text ({error})") from error


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no number of JSON")
