"""A result as bytes: canonical JSON (RFC 8785) and its SHA-256, so that checking it makes nothing canonical again."""

import hashlib
import json
from typing import Final, TypeVar

import rfc8785
from pydantic import ValidationError

from suite.experiment.frozen import digest
from suite.experiment.result import CellResult, ConnectionResult

Result = TypeVar("Result", CellResult, ConnectionResult)

WORDS: Final[dict[type, str]] = {CellResult: "cell", ConnectionResult: "connection"}
_BETWEEN, _AFTER = b',"sha256":"', b'"}'
_TAIL = len(_BETWEEN) + 64 + len(_AFTER)


class BadResult(Exception):
    """What is no result, or not the one that was asked for: why, in one line."""


def to_bytes(result: CellResult | ConnectionResult) -> bytes:
    """The file's content; raises ValueError for a number that is none."""
    content = rfc8785.dumps(result.model_dump(mode="json"))
    before = _before(WORDS[type(result)])
    return b"".join((before, content, _BETWEEN, hashlib.sha256(content).hexdigest().encode(), _AFTER))


def from_bytes(content: bytes, key: str | None = None) -> CellResult:
    """The result of a cell in a file, of a key if one is named; raises BadResult.

    Files of other forms are read too, such as those written before with line breaks: their digest is of the same text.
    """
    return read(CellResult, content, key)


def read(kind: type[Result], content: bytes, key: str | None = None) -> Result:
    """The result of a kind in a file; see `from_bytes`."""
    word = WORDS[kind]
    before = _before(word)
    try:
        held, stated, end = content[len(before) : -_TAIL], content[-_TAIL:], content[-len(_AFTER) :]
        if content.startswith(before) and stated.startswith(_BETWEEN) and end == _AFTER:
            whole = hashlib.sha256(held).hexdigest().encode() == stated[len(_BETWEEN) : -len(_AFTER)]
        else:
            table = json.loads(content)
            whole = table["sha256"] == digest(table[word])
            held = json.dumps(table[word]).encode()
        if not whole:
            raise BadResult("its content does not have the digest it states")
        result = kind.model_validate_json(held)
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError, OverflowError) as error:
        raise BadResult(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if key is not None and result.key != key:
        raise BadResult(f"it holds {word} {result.key}")
    return result


def _before(word: str) -> bytes:
    return f'{{"{word}":'.encode()
