"""What a stretch of work costs in time and memory, over interruptions."""

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class Meter:
    """Wall and CPU seconds since it was made, on top of what was spent before an interruption."""

    def __init__(self) -> None:
        reset_peak()
        self._before = (0.0, 0.0)
        self._started = (time.perf_counter(), time.process_time())

    @property
    def seconds(self) -> tuple[float, float]:
        """(wall, CPU) seconds."""
        wall, cpu = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
        return self._before[0] + wall, self._before[1] + cpu

    def add(self, seconds: Sequence[float]) -> None:
        """Count (wall, CPU) seconds that an earlier process spent."""
        wall, cpu = seconds
        self._before = (self._before[0] + wall, self._before[1] + cpu)


def reset_peak() -> None:
    """Start the peak anew where the system allows it: worker processes run many cells."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> int:
    """Peak resident memory in bytes, since the reset on Linux, of the whole process elsewhere."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
