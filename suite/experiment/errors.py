"""What a user is told: one line that says what is wrong and what to do."""

from collections.abc import Mapping


class Diverged(Exception):
    """Training met a loss or a weight that is not finite: the cell is recorded as diverged."""


class UsageError(Exception):
    """A wrong request (unknown name, bad value): one line that says what is wrong and what to do; exit code 2."""


class RunError(Exception):
    """A failure while running: one line that says what is wrong and what to do; exit code 1."""


def in_words(error: BaseException) -> str:
    """An unforeseen error in a line: its kind, what it says, and where a third party's code raised it (its notes)."""
    notes = [f" ({note})" for note in getattr(error, "__notes__", ())]
    return f"{type(error).__name__}: {error}{''.join(notes)}"


def told(error: BaseException) -> str:
    """An error in a line: ours in its own words, any other with its kind."""
    return str(error) if isinstance(error, RunError | UsageError) else in_words(error)


class CellsFailed(RunError):
    """Members of a cohort have failed, and all others have their results: messages by the cell's key."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        super().__init__(messages)  # a mapping, so that it can be made again in another process
        self.messages = messages

    def __str__(self) -> str:
        return "; ".join(self.messages.values())
