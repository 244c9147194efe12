"""What a check of an entry found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found, in one line."""

    check: str
    line: str
