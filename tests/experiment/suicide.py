"""A plugin that kills the process that loads it: what a worker's death looks like to its parent."""

import os
import signal

if __name__ != "__main__":
    os.kill(os.getpid(), signal.SIGKILL)
