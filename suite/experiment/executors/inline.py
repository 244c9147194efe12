"""Runs cells one after the other in this process: breakpoints work, and a test needs no second process."""

from concurrent.futures import Future

from suite.experiment.executors.executor import Job, work


class InlineExecutor:
    """One slot; `submit` returns when the cell is done."""

    slots = 1

    def __init__(self) -> None:
        self._steps = 0

    def submit(self, job: Job, slot: int) -> Future[None]:
        """Run a job now."""
        future: Future[None] = Future()
        try:
            work(job, self._tell)
            future.set_result(None)
        except Exception as error:  # a future carries whatever its job raised
            future.set_exception(error)
        return future

    def steps(self, slot: int) -> int:
        """Steps taken by the last job."""
        return self._steps

    def silence(self, slot: int) -> float:
        """None: a job is done when `submit` returns."""
        return 0.0

    def close(self) -> None:
        """Nothing runs between two calls."""

    def _tell(self, steps: int, total: int) -> None:
        self._steps = steps
