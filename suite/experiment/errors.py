"""What a user is told: one line that says what is wrong and what to do."""


class Diverged(Exception):
    """Training met a loss or a weight that is not finite: the cell is recorded as diverged."""


class UsageError(Exception):
    """A wrong request (unknown name, bad value): one line that says what is wrong and what to do; exit code 2."""


class RunError(Exception):
    """A failure while running: one line that says what is wrong and what to do; exit code 1."""
