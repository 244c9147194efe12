"""Training pauses by the clock and at SIGTERM, and comes out the same wherever it paused."""

import os
import signal
import threading
from pathlib import Path

import pytest
import torch

from suite.experiment import cell as cell_module
from suite.experiment import pacing
from suite.experiment.executors import InlineExecutor, LocalExecutor
from suite.experiment.pacing import Pace, Terminated, on_termination
from suite.experiment.runner import execute, make_plan
from suite.experiment.store import Store
from tests.experiment import toy
from tests.experiment.running import Quiet, results, run
from tests.experiment.toy import task


def test_stretches_grow_until_they_last_about_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(pacing.time, "monotonic", lambda: now)
    pace, taken = Pace(), []
    for _ in range(12):
        taken.append(pace.steps())
        now += taken[-1] * 0.001
    assert taken[:4] == [1, 2, 4, 8]
    assert taken[-3:] == pytest.approx([500] * 3, abs=1)


def test_a_step_longer_than_the_pause_is_taken_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(pacing.time, "monotonic", lambda: now)
    pace = Pace()
    for _ in range(3):
        assert pace.steps() == 1
        now += 7.0


def test_pauses_and_snapshots_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = task(changes={"model.dropout": 0.3, "rewind_step": 7}, levels=1, replicates=1)
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 1e9)
    plan, whole, _ = run(chosen, tmp_path / "whole")
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(cell_module, "SNAPSHOT_SECONDS", 0.0)
    _, paused, _ = run(chosen, tmp_path / "paused")
    one, other = results(plan, whole), results(plan, paused)
    assert {at: r.weights_digest for at, r in one.items()} == {at: r.weights_digest for at, r in other.items()}
    assert {at: r.trace for at, r in one.items()} == {at: r.trace for at, r in other.items()}


def test_snapshots_follow_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(task(levels=0, replicates=1))
    kept: list[str] = []
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Store, "put_snapshot", lambda self, name, snapshot: kept.append(name))
    cell_module.run_cells(plan.cells, Store.create(tmp_path / "a"), lambda steps, total: None)
    assert not [name for name in kept if name.endswith("-partial")], "a minute has not passed"
    monkeypatch.setattr(cell_module, "SNAPSHOT_SECONDS", 0.0)
    cell_module.run_cells(plan.cells, Store.create(tmp_path / "b"), lambda steps, total: None)
    assert len([name for name in kept if name.endswith("-partial")]) == 39, "after every step but the last"


def test_sigterm_keeps_a_snapshot_and_the_run_goes_on_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = task(changes={"model.dropout": 0.3}, levels=0, replicates=1)
    plan, whole, _ = run(chosen, tmp_path / "whole")
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 0.0)
    store = Store.create(tmp_path / "ended")

    def end(steps: int, total: int) -> None:
        if steps == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as caught:
        cell_module.run_cells(plan.cells, store, end)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert not store.has(plan.cells[0].key)
    seen: list[int] = []
    cell_module.run_cells(plan.cells, store, lambda steps, total: seen.append(steps))
    assert seen[0] == 21
    again, once = store.cell(plan.cells[0].key), whole.cell(plan.cells[0].key)
    assert again is not None
    assert once is not None
    assert (again.weights_digest, again.trace) == (once.weights_digest, once.trace)


def test_sigterm_ends_a_run_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = make_plan(task(levels=0, replicates=2)), Store.create(tmp_path)
    original = toy.ToyLearner.loss

    def loss(self: toy.ToyLearner, step: int) -> torch.Tensor:
        if step == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, step)

    monkeypatch.setattr(toy.ToyLearner, "loss", loss)
    with pytest.raises(Terminated):
        execute([plan], store, InlineExecutor(), Quiet())
    assert store.snapshot(f"{plan.cells[0].key}-partial") is not None
    assert not any(store.has(cell.key) for cell in plan)


def test_sigterm_ends_workers_which_keep_what_they_have(tmp_path: Path) -> None:
    """To the parent alone, as `kill` sends it; long cells, so that there is a half-trained one."""
    chosen = task(changes={"training.total_steps": 1_000_000}, levels=0, replicates=1)
    plan, store = make_plan(chosen), Store.create(tmp_path)
    with pytest.raises(Terminated):
        execute([plan], store, LocalExecutor(1), _Ending(after_steps=10))
    kept = store.snapshot(f"{plan.cells[0].key}-partial")
    assert kept is not None
    assert kept.meta["step"] >= 10


def test_outside_the_main_thread_signals_are_left_as_they_are() -> None:
    found: list[bool] = []

    def look() -> None:
        with on_termination() as termination:
            found.append(termination.asked)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [False]


class _Ending(Quiet):
    """Sends SIGTERM to this process once the first cell has taken so many steps."""

    def __init__(self, after_steps: int) -> None:
        super().__init__()
        self._after = after_steps

    def progress(self, slot: int, steps: int) -> None:
        if self._after and steps >= self._after:
            self._after = 0
            os.kill(os.getpid(), signal.SIGTERM)
