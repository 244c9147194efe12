"""One command at size, timed in this process, which imports no more than the command does."""

import json
import resource
import sys
import time
from pathlib import Path

COMMANDS = ("plan", "status", "report")


def timed(command: str, root: Path) -> dict[str, float]:
    """Do what a command does on a run; wall and CPU seconds, and the peak of this process's memory in bytes."""
    began, cpu = time.perf_counter(), time.process_time()
    if command == "plan":
        from suite.experiment.store import Store

        cells = sum(len(request.plan.cells) for request in Store.open(root).requests())
        assert cells
    elif command == "status":
        from suite.finished import progress_of

        progress_of(root)
    else:
        from suite.finished import view_of
        from suite.run import write

        write(view_of(root), root)
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": seconds, "cpu_seconds": spent, "memory": peak}


if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1], Path(sys.argv[2]))))
