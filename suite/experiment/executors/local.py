"""Runs cells side by side in spawned processes of this machine: many one-thread processes beat one of many threads.

Workers stay for many cells, because importing torch takes longer than training a small ticket. Each slot has a worker
of its own: whenever it dies, it takes only its own cell with it, and the next cell has a new one.
"""

import time
from concurrent.futures import Future
from dataclasses import replace

from suite.experiment.arithmetic import environment, gpus
from suite.experiment.executors.executor import Job
from suite.experiment.executors.worker import GRACE_SECONDS, Worker
from suite.experiment.runtime import Runtime


class LocalExecutor:
    """`jobs` worker processes; slot i computes on the i-th of its job's devices, and so on in turn."""

    def __init__(self, jobs: int) -> None:
        self.slots = jobs
        self._workers: dict[int, Worker] = {}

    def submit(self, job: Job, slot: int) -> Future[None]:
        """Run a job in the slot's worker, which is started if need be."""
        worker = self._workers.get(slot)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.kill()
            worker = self._workers[slot] = Worker(environment(job.runtime))
        return worker.run(replace(job, runtime=_placed(job.runtime, slot)))

    def steps(self, slot: int) -> int:
        """Steps taken by the job in a slot."""
        return self._workers[slot].steps

    def silence(self, slot: int) -> float:
        """Seconds since the job in a slot last gave a sign of life."""
        return self._workers[slot].silence

    def close(self) -> None:
        """Stop the workers now; they may take some seconds to keep what they have."""
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.stop()
        try:
            until = time.monotonic() + GRACE_SECONDS
            for worker in workers:
                worker.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in workers:
                worker.kill()


def _placed(runtime: Runtime, slot: int) -> Runtime:
    """The runtime with the device of a slot."""
    devices = runtime.devices(gpus(runtime))
    return runtime.model_copy(update={"device": devices[slot % len(devices)]})
