"""Learners that cannot be built, each in its own way."""

import sys


class Exiting:
    """Wants to end the process it is built in."""

    def __init__(self, *_: object) -> None:
        sys.exit("enough")


class OddError(Exception):
    """Cannot be made again from its message, as pickle does."""

    def __init__(self, part: int, whole: int) -> None:
        super().__init__(f"{part} of {whole}")


class Odd:
    """Fails with such an error."""

    def __init__(self, *_: object) -> None:
        raise OddError(1, 2)
