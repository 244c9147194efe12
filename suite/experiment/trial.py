"""Tries a stranger's import in a forked copy of this process first, since one that crashes would end the suite."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable

_SURVIVED = b"!"


def crash_of(load: Callable[[], object], source: bytes) -> str | None:
    """How a copy of this process ends when it loads the code of that source; None when it lives, whatever is raised.

    Tried on Linux alone, where a process can be copied safely. The copy's output is thrown away.
    """
    if sys.platform != "linux":
        return None
    if b"torch" in source or b"suite." in source:
        import torch  # noqa: F401 (imported here, it is shared with the copy and not imported twice)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _try(load, reading, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        survived = pipe.read() == _SURVIVED
    _, status = os.waitpid(child, 0)
    if survived:
        return None
    code = os.waitstatus_to_exitcode(status)
    return f"its process ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _try(load: Callable[[], object], reading: int, writing: int) -> None:
    """What the copy does; it never returns, and ends without flushing what it shares."""
    try:
        os.close(reading)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        sys.stdout = sys.stderr = os.fdopen(nowhere, "w")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        faulthandler.disable()  # its dump of a crash would go to where the original writes
        load()
    except BaseException:
        pass
    finally:
        os.write(writing, _SURVIVED)
        os._exit(0)
