"""The base of every specification, and the digest by which specifications are known."""

import hashlib

import rfc8785
from pydantic import BaseModel, ConfigDict

LARGEST = 2**53
"""The largest whole number that JSON holds exactly."""


class Frozen(BaseModel):
    """Base of every specification: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def digest(value: object) -> str:
    """SHA-256 in hex of the canonical JSON (RFC 8785) of a value; raises ValueError for NaN and infinity."""
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()  # type: ignore[arg-type]
