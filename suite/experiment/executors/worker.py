"""A spawned process that runs one job after the other, and can be watched from the process that started it.

The two talk over a pipe that ends with either of them: a worker that dies, however it does, ends its job with
`WorkerDied`, and a worker whose parent is gone ends itself. What a worker tells meanwhile lies in memory shared without
a lock, which no death can leave locked.
"""

import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from ctypes import c_double, c_longlong
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any

from suite.experiment.errors import RunError, in_words
from suite.experiment.executors.executor import Job, WorkerDied, work
from suite.experiment.pacing import TERMINATED, Terminated

BEAT_SECONDS = 1.0
"""Time between two signs of life."""

GRACE_SECONDS = 10.0
"""How long a worker that was asked to end may take to keep what it has."""

IDLE_CPU_SECONDS = 1e-4
"""CPU seconds between two beats below which a job does nothing; those of the heartbeat itself are not counted."""


class Worker:
    """One process and its pipe; `environment` is set in it before its libraries are loaded."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = get_context("spawn")
        self._steps, self._life = context.RawValue(c_longlong, 0), context.RawValue(c_double, 0.0)
        self._pipe, theirs = context.Pipe()
        # No daemon: a job may start processes of its own, such as those that read data.
        self._process = context.Process(target=_serve, args=(theirs, self._steps, self._life, os.getpid()))
        with _environment(environment):
            self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there to take a job."""
        return self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    @property
    def steps(self) -> int:
        """Steps taken by the present job."""
        return int(self._steps.value)

    @property
    def silence(self) -> float:
        """Seconds since the present job last gave a sign of life."""
        return max(0.0, time.monotonic() - float(self._life.value))

    def run(self, job: Job) -> Future[None]:
        """Run a job; the future ends when it does, or the process."""
        self._steps.value, self._life.value = 0, time.monotonic()
        future: Future[None] = Future()
        threading.Thread(target=self._follow, args=(job, future), daemon=True).start()
        return future

    def stop(self) -> None:
        """Ask the process to end, by SIGTERM, so that it may keep what it has."""
        self._process.terminate()

    def join(self, seconds: float) -> None:
        """Wait for the process to end, for so long at most."""
        self._process.join(seconds)

    def kill(self) -> None:
        """End the process now: a stopped one heeds nothing else."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _follow(self, job: Job, future: Future[None]) -> None:
        error: BaseException | None
        try:
            self._pipe.send(job)
            wait([self._pipe, self._process.sentinel])
            error, trace = self._pipe.recv() if self._pipe.poll() else (self._death(), "")
            if error is not None and trace:
                error.__cause__ = _RemoteTraceback(trace)
        except (EOFError, OSError):
            error = self._death()
        except Exception as unforeseen:  # such as a job that cannot be pickled: a future must not be left open
            error = unforeseen
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _death(self) -> WorkerDied:
        self._process.join()
        return WorkerDied(f"its process ended with {_ending(self._process.exitcode or 0)}")


class _RemoteTraceback(Exception):
    """The traceback of another process, as the cause of the exception that came from there."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def __str__(self) -> str:
        return f"\n{self._text}"


def _serve(pipe: Any, steps: Any, life: Any, parent: int) -> None:
    """What the process does: jobs from the pipe until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_beat, args=(steps, life, parent), daemon=True).start()

    def tell(taken: int, total: int) -> None:
        steps.value = taken

    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        answer: tuple[BaseException | None, str] = (None, "")
        try:
            work(job, tell)
        except Terminated:
            raise
        except BaseException as error:  # whatever it is, it is the job's and not this process's
            answer = (_sendable(error), "".join(traceback.format_exception(error)))
        pipe.send(answer)


def _beat(steps: Any, life: Any, parent: int) -> None:
    """Give signs of life while the process computes: none comes from one that is stopped, or waits for ever."""
    before: tuple[float, int] = (0.0, 0)
    while True:
        time.sleep(BEAT_SECONDS)
        if os.getppid() != parent:  # the runner was killed: leave no orphan at work
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
            os._exit(1)
        now = (time.process_time() - time.thread_time(), int(steps.value))
        if now[0] - before[0] > IDLE_CPU_SECONDS or now[1] != before[1]:
            life.value = time.monotonic()
        before = now


def _sendable(error: BaseException) -> BaseException:
    """The exception, or its words where it cannot be made again in another process."""
    try:
        # Bytes of this process's own making, a moment old: whether the pipe's other end could make them an exception.
        kept: BaseException = pickle.loads(pickle.dumps(error))
        if type(kept) is not type(error) or type(error).__module__.startswith("lottery_plugin_"):
            raise TypeError(type(error))
    except Exception:  # pickling runs the exception's own methods, which may raise anything
        kept = RunError(in_words(error))
    return kept


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process started meanwhile inherits."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name
    if code == TERMINATED:
        return "SIGTERM, and what it had is kept"
    return f"exit code {code} in the middle of a cell"
