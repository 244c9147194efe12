"""A cell's process may die, end, stop or refuse: the run names the cell and goes on."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from suite.experiment import runner
from suite.experiment.errors import RunError, UsageError
from suite.experiment.executors import InlineExecutor, LocalExecutor
from suite.experiment.executors.executor import Job
from suite.experiment.plan import Cell
from suite.experiment.runner import execute, make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from tests.experiment.running import Quiet
from tests.experiment.toy import task

ENDS = {
    "SIGKILL (out of memory?)": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "SIGSEGV": "import ctypes; ctypes.string_at(0)",
    "exit code 0 in the middle of a cell": "import os; os._exit(0)",
}


class PluginExecutor(LocalExecutor):
    """Gives some cells, by arm and replicate, a plugin of their own."""

    def __init__(self, plugins: dict[tuple[str, int], Path]) -> None:
        super().__init__(jobs=1)
        self._plugins = plugins

    def submit(self, job: Job, slot: int) -> Future[None]:
        cell = job.cells[0]
        own = self._plugins.get((cell.arm, cell.replicate))
        return super().submit(Job(job.cells, job.store, (own,) if own else (), job.runtime), slot)


def test_a_worker_that_ends_in_whatever_way_is_reported_with_its_cell_and_the_rest_goes_on(tmp_path: Path) -> None:
    plan = make_plan(task(levels=1))
    places = [("random", 0), ("random", 1), ("reinit", 0)]
    plugins = {}
    for place, code in zip(places, ENDS.values(), strict=True):
        plugins[place] = tmp_path / f"{place[0]}{place[1]}.py"
        plugins[place].write_text(code)
    reporter = Quiet()
    outcome = execute([plan], Store.create(tmp_path / "run"), PluginExecutor(plugins), reporter)
    assert sorted(outcome.failed.values()) == sorted(
        f"toy/points imp {arm} level 1 replicate {replicate}: its process ended with {ending}"
        for (arm, replicate), ending in zip(places, ENDS, strict=True)
    )
    assert outcome.finished == len(plan.cells) - 3


class StoppingExecutor(LocalExecutor):
    """Stops its worker before the second job, and has it go on when the reporter has been told."""

    def __init__(self) -> None:
        super().__init__(jobs=1)
        self._submitted = 0

    def submit(self, job: Job, slot: int) -> Future[None]:
        self._submitted += 1
        if self._submitted == 2:
            self.send(signal.SIGSTOP)
        return super().submit(job, slot)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._workers[0].pid or 0, number)


def test_a_stopped_worker_is_named_once_and_its_cell_is_finished_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SILENT_SECONDS", 2.0)
    executor = StoppingExecutor()

    class Reviving(Quiet):
        def silent(self, cell: Cell, slot: int, seconds: float) -> None:
            super().silent(cell, slot, seconds)
            assert seconds >= 2.0
            if executor._submitted == 2:
                time.sleep(0.6)  # two more polls: it is named once
                executor.send(signal.SIGCONT)

    plan, reporter = make_plan(task(levels=0)), Reviving()
    outcome = execute([plan], Store.create(tmp_path), executor, reporter)
    assert reporter.silences.count("toy/points dense replicate 1") == 1
    assert (outcome.finished, outcome.failed) == (2, {})


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    """A worker for jobs that leave it alive."""
    made = LocalExecutor(jobs=1)
    yield made
    made.close()


def test_what_a_learner_refuses_comes_back_from_its_process_as_it_was_raised(executor: LocalExecutor) -> None:
    cell = make_plan(task(levels=0)).cells[0]
    other = cell.spec.model_copy(update={"prunable": ("9.weight",)})
    error = executor.submit(Job((replace(cell, spec=other),), None), 0).exception(timeout=60)
    assert isinstance(error, UsageError)
    assert str(error).startswith("toy/points smoke: prunable names '9.weight', no parameter")
    assert "check_learner" in str(error.__cause__)  # the traceback of the other process, for --debug


def test_an_exception_that_cannot_be_made_again_here_comes_back_in_its_words(executor: LocalExecutor) -> None:
    cell = make_plan(task(levels=0)).cells[0]
    learner = cell.spec.model_copy(update={"learner": "tests.experiment.leavers:Odd"})
    error = executor.submit(Job((replace(cell, spec=learner),), None), 0).exception(timeout=60)
    assert isinstance(error, RunError)
    assert str(error) == "OddError: 1 of 2"


@pytest.mark.parametrize("where", ["worker", "here"])
def test_code_that_exits_ends_its_cell_and_not_the_run(where: str, executor: LocalExecutor) -> None:
    chosen = executor if where == "worker" else InlineExecutor()
    cell = make_plan(task(levels=0)).cells[0]
    learner = cell.spec.model_copy(update={"learner": "tests.experiment.leavers:Exiting"})
    error = chosen.submit(Job((replace(cell, spec=learner),), None), 0).exception(timeout=60)
    assert isinstance(error, RunError)
    assert str(error) == "its code called sys.exit('enough')"


def test_threads_reach_the_process_and_the_result(tmp_path: Path) -> None:
    """Equal numbers of threads are part of what the same bits need: a result says how many it was made with."""
    plan, store = make_plan(task(levels=0, replicates=1)), Store.create(tmp_path)
    executor = LocalExecutor(jobs=1)
    execute([plan], store, executor, Quiet(), runtime=Runtime(threads=2))
    result = store.cell(plan.cells[0].key)
    assert result is not None
    assert result.provenance.threads == 2


def test_a_worker_whose_runner_was_killed_ends_itself(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, time\nfrom suite.experiment.executors.worker import Worker\n"
        "if __name__ == '__main__':\n    worker = Worker({})\n    print(worker.pid, flush=True)\n    time.sleep(60)\n"
    )
    script = tmp_path / "runner.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    until = time.monotonic() + 60
    while _runs(worker):
        assert time.monotonic() < until, "the worker outlived its runner"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_dead_idle_worker_is_replaced_and_costs_no_cell(tmp_path: Path) -> None:
    class IdleKiller(LocalExecutor):
        def submit(self, job: Job, slot: int) -> Future[None]:
            if self._workers:
                os.kill(self._workers[0].pid or 0, signal.SIGKILL)
                self._workers[0].join(10)
            return super().submit(job, slot)

    plan = make_plan(task(levels=0))
    outcome = execute([plan], Store.create(tmp_path), IdleKiller(jobs=1), Quiet())
    assert (outcome.finished, outcome.failed) == (2, {})


@pytest.mark.parametrize(
    ("device", "gpus", "devices"),
    [
        ("cpu", 4, ("cpu",)),
        ("cuda", 1, ("cuda",)),
        ("cuda", 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda:1", 3, ("cuda:1",)),
        ("mps", 0, ("mps",)),
    ],
)
def test_cells_are_dealt_out_to_the_devices_of_their_kind(device: str, gpus: int, devices: tuple[str, ...]) -> None:
    runtime = Runtime(device=device)
    assert runtime.devices(gpus) == devices
    assert runtime.slots(8, gpus) == (8 if device == "cpu" else len(devices))


def test_threads_share_the_cores_among_fewer_cells() -> None:
    assert [Runtime(threads=n).slots(8, 0) for n in (1, 3, 8, 20)] == [8, 2, 1, 1]
