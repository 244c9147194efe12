"""What a user is told: one line that says what is wrong and what to do."""


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
