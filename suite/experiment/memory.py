"""Peak resident memory of a stretch of work."""

import resource
from pathlib import Path


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
