"""When training pauses to tell how far it is and to keep what it has: by the clock, which decides no number."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PAUSE_SECONDS = 0.5
"""About the time between two pauses."""


class Pace:
    """How many steps to take until the next pause, from the time that the last ones took."""

    def __init__(self) -> None:
        self._steps, self._began = 0, time.monotonic()

    def steps(self) -> int:
        """Steps to be taken now; called once before each stretch of training."""
        now = time.monotonic()
        took, self._began = now - self._began, now
        if self._steps == 0:
            self._steps = 1
        else:
            fitting = int(self._steps * PAUSE_SECONDS / took) if took > 0 else 2 * self._steps
            self._steps = max(1, min(fitting, 2 * self._steps))  # no sooner longer than the last stretch has shown
        return self._steps


TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that was asked to end."""


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM, and what it had is kept."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


class Termination:
    """Whether SIGTERM has come."""

    asked = False


@contextmanager
def on_termination() -> Iterator[Termination]:
    """Take SIGTERM as a request to end at the next pause; outside the main thread signals are left as they are."""
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return

    def ask(number: int, frame: FrameType | None) -> None:
        termination.asked = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, before)
