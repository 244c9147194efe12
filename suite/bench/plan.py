"""What planning, `status` and `report` cost at size: seconds, memory and the page, each in a process of its own.

The plan is of one task with all arms and 24 levels, under one method or several that differ in their rate, and has as
many replicates as are needed; the results are made up, and written as any other.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from suite.bench.timed import COMMANDS
from suite.experiment.plan import Cell, Plan
from suite.experiment.provenance import provenance
from suite.experiment.result import CellResult, Layer, Provenance, Spent
from suite.experiment.runner import asked, make_plan
from suite.experiment.store import Store
from suite.experiment.taskfile import Task

LEVELS = 24
LAYER = 1000
"""Weights of each prunable tensor, as results have it."""

TRACE = 100
"""Points of a trace: what a supervised learner gives."""


@dataclass(frozen=True)
class Measured:
    """One command: wall and CPU seconds, its imports among them, and the peak of its process's memory in bytes."""

    command: str
    seconds: float
    cpu_seconds: float
    memory: int


@dataclass(frozen=True)
class PlanTimes:
    """What `measure` found, and under which conditions."""

    cells: int
    results: int
    threads: int
    load: tuple[float, float, float]
    page: int
    measured: tuple[Measured, ...]

    def as_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        return {"schema": 1, **asdict(self)}


def measure(task: Task, cells: int, methods: int, folder: Path | None = None) -> PlanTimes:
    """Plan `cells` cells or some more, fill a store with their results in a temporary folder, and time the commands."""
    with tempfile.TemporaryDirectory(prefix="lottery-bench-", dir=folder) as temporary:
        root = Path(temporary) / "run"
        tasks = list(_tasks(task, cells, methods))
        planned, written = _fill(root, tasks)
        found = tuple(_measured(command, root) for command in COMMANDS)
        page = (root / "report" / "report.html").stat().st_size
    return PlanTimes(planned, written, int(_environment()["OMP_NUM_THREADS"]), os.getloadavg(), page, found)


def _tasks(task: Task, cells: int, methods: int) -> Iterator[Task]:
    """The task under each method, with replicates enough."""
    from suite.tickets.arms import ARMS

    replicates = -(-cells // (methods * (1 + LEVELS * len(ARMS))))
    changes = {"levels": LEVELS, "replicates": replicates, "arms": tuple(ARMS), "at": None, "first_replicate": 0}
    options = task.options.model_copy(update=changes)
    for number in range(methods):
        changed = {"rate": round(0.2 - number * 1e-4, 4), "name": f"{task.method.name}-{number}"}
        yield replace(task, method=task.method.model_copy(update=changed), options=options)


def _fill(root: Path, tasks: Sequence[Task]) -> tuple[int, int]:
    """Write made-up results of all cells, and their masks, into a store; returns numbers of cells and results."""
    import torch

    from suite.tickets.mask import Mask
    from suite.tickets.ticket import Ticket

    store = Store.create(root)
    store.put_requests([asked(task, "lottery bench plan", ()) for task in tasks])
    there = provenance(tasks[0].spec.data.fingerprint, "cpu", 1, "single")
    mask = Mask({"w": torch.ones(8, dtype=torch.bool)})
    cells, written = 0, set[str]()
    for plan in map(make_plan, tasks):
        cells += len(plan.cells)
        for cell in plan:
            if cell.key not in written:
                written.add(cell.key)
                store.put_cell(_made_up(cell, plan, there))
                for prune in cell.prunes:
                    store.put_mask(prune.key, Ticket(mask, level=cell.level + prune.level, replicate=cell.replicate))
    return cells, len(written)


def _made_up(cell: Cell, plan: Plan, there: Provenance) -> CellResult:
    spec, draw = cell.spec, Random(cell.key)
    kept = round(LAYER * (1 - plan.task.method.rate) ** cell.level)
    density = kept / LAYER
    value = spec.metric.chance + (0.9 if cell.arm in ("dense", "winning") else 0.8) * density**0.1 + draw.gauss(0, 0.01)
    scores = {spec.metric.name: value, "loss": 1 - value}
    every = max(1, cell.steps // TRACE)
    trace = tuple({"step": float(n * every), "loss": draw.random()} for n in range(TRACE))
    return CellResult(
        key=cell.key, task=spec.id, task_version=spec.version, task_hash=spec.hash, scale=spec.scale,
        method="dense" if cell.arm == "dense" else cell.method.name,
        method_hash="" if cell.arm == "dense" else cell.method.hash,
        arm=cell.arm, level=cell.level, replicate=cell.replicate, steps=cell.steps, first_step=cell.span.first,
        metric=spec.metric.name, diverged=False, validation=scores, test=scores, trace=trace, density=density,
        total_density=density, layers={name: Layer(remaining=kept, size=LAYER) for name in spec.prunable},
        weights_digest=cell.key, mask_digest=cell.key,
        spent=Spent(wall_seconds=1.0, cpu_seconds=1.0, flops_dense=1e9, flops_sparse=1e9 * density, peak_memory=2**28),
        provenance=there, result_versions=cell.versions,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _measured(command: str, root: Path) -> Measured:
    words = [sys.executable, "-m", "suite.bench.timed", command, str(root)]
    done = subprocess.run(words, env=_environment(), stdout=subprocess.PIPE, text=True, check=True)
    return Measured(command, **json.loads(done.stdout))
