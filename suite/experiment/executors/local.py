"""Runs cells side by side in spawned one-thread processes of this machine: that beats one many-threaded run.

Workers stay for many cells, because importing torch takes longer than training a small ticket. Each slot has a pool of
its own, of one worker: whenever it dies, it takes only its own cell with it.
"""

import os
import signal
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_longlong
from multiprocessing import get_context
from typing import Any

from pebble import ProcessExpired, ProcessPool

from suite.experiment.executors.executor import Job, WorkerDied, work

_progress: Any = None  # of a worker process: the array that it shares with its parent


class LocalExecutor:
    """`jobs` worker processes; `steps` are read from memory shared without a lock, which no death can leave locked."""

    def __init__(self, jobs: int) -> None:
        self.slots = jobs
        self._context = get_context("spawn")
        self._progress = self._context.RawArray(c_longlong, jobs)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = "1"  # read by the children when they load their libraries
        self._pools: dict[int, ProcessPool] = {}

    def submit(self, job: Job, slot: int) -> Future[None]:
        """Run a job in the slot's worker, which is started if need be."""
        self._progress[slot] = 0
        try:
            inner = self._pool(slot).schedule(_run, args=(job, slot))
        except RuntimeError:  # the worker has died idle, and pebble noticed only now
            inner = self._pool(slot).schedule(_run, args=(job, slot))
        outer: Future[None] = Future()

        def done(finished: "Future[None]") -> None:
            error = finished.exception()
            if isinstance(error, ProcessExpired):
                error = WorkerDied(f"its process ended with {_ending(error.exitcode)}")
            elif isinstance(error, BrokenProcessPool):
                error = WorkerDied("its process ended before it took the cell")
            if error is not None:
                outer.set_exception(error)
            else:
                outer.set_result(None)

        inner.add_done_callback(done)
        return outer

    def steps(self, slot: int) -> int:
        """Steps taken by the job in a slot."""
        return int(self._progress[slot])

    def close(self) -> None:
        """Stop the workers now."""
        for pool in self._pools.values():
            pool.stop()  # type: ignore[no-untyped-call]
        for pool in self._pools.values():
            pool.join()

    def _pool(self, slot: int) -> ProcessPool:
        """The pool of a slot; a new one where there is none yet, or only a broken one."""
        known = self._pools.get(slot)
        if known is not None and known.active:
            return known
        if known is not None:
            known.stop()  # type: ignore[no-untyped-call]
            known.join()
        arguments = (self._progress, os.getpid())
        self._pools[slot] = ProcessPool(1, context=self._context, initializer=_initialise, initargs=arguments)
        return self._pools[slot]


def _initialise(progress: Any, parent: int) -> None:
    global _progress
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _progress = (progress, parent)


def _run(job: Job, slot: int) -> None:
    progress, parent = _progress

    def tell(steps: int, total: int) -> None:
        progress[slot] = steps
        if os.getppid() != parent:
            os._exit(1)  # the runner was killed: leave no orphan at work

    work(job, tell)


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name
    return f"exit code {code}"
