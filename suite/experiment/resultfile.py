"""A result as bytes: canonical JSON (RFC 8785) and its SHA-256, so that checking it makes nothing canonical again."""

import hashlib
import json

import rfc8785
from pydantic import ValidationError

from suite.experiment.frozen import digest
from suite.experiment.result import CellResult

_BEFORE, _BETWEEN, _AFTER = b'{"cell":', b',"sha256":"', b'"}'
_TAIL = len(_BETWEEN) + 64 + len(_AFTER)


class BadResult(Exception):
    """What is no result, or not the one that was asked for: why, in one line."""


def to_bytes(result: CellResult) -> bytes:
    """The file's content; raises ValueError for a number that is none."""
    cell = rfc8785.dumps(result.model_dump(mode="json"))
    return b"".join((_BEFORE, cell, _BETWEEN, hashlib.sha256(cell).hexdigest().encode(), _AFTER))


def from_bytes(content: bytes, key: str | None = None) -> CellResult:
    """The result in a file, of a key if one is named; raises BadResult.

    Files of other forms are read too, such as those written before with line breaks: their digest is of the same text.
    """
    try:
        cell, stated, end = content[len(_BEFORE) : -_TAIL], content[-_TAIL:], content[-len(_AFTER) :]
        if content.startswith(_BEFORE) and stated.startswith(_BETWEEN) and end == _AFTER:
            whole = hashlib.sha256(cell).hexdigest().encode() == stated[len(_BETWEEN) : -len(_AFTER)]
        else:
            table = json.loads(content)
            whole = table["sha256"] == digest(table["cell"])
            cell = json.dumps(table["cell"]).encode()
        if not whole:
            raise BadResult("its content does not have the digest it states")
        result = CellResult.model_validate_json(cell)
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError, OverflowError) as error:
        raise BadResult(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if key is not None and result.key != key:
        raise BadResult(f"it holds cell {result.key}")
    return result
