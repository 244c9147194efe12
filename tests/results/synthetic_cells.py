"""Synthetic cells: what a finished run would have left in the store."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from suite.experiment.method import Method
from suite.experiment.result import CellResult, Layer, Provenance, Spent
from suite.experiment.task import Data, StepCost, TaskMetric, TaskSpec, Training
from suite.results.view import TaskView

SIZES = {"fc1.weight": 2000, "fc2.weight": 400, "head.weight": 100}
Value = Callable[[str, int, int], float | None]
"""(arm, level, replicate) -> score, None for a diverged run."""


def spec(**changed: Any) -> TaskSpec:
    """A vision task in accuracy; `metric` replaces fields of the metric, the others those of the spec."""
    metric = {"name": "accuracy", "unit": "fraction", "higher_is_better": True, "chance": 0.1, "margin": 0.02}
    fields: dict[str, Any] = {
        "id": "vision/toy",
        "version": "1.0.0",
        "scale": "smoke",
        "data": Data(name="toy", fingerprint="ab" * 32),
        "model": {"name": "mlp"},
        "prunable": tuple(SIZES),
        "prune_output_layer": True,
        "prune_biases": False,
        "training": Training(total_steps=100, batch=10, optimizer={"name": "sgd"}),
        "learner": "toy:Learner",
        "probes": True,
        "cost": StepCost(seconds_per_step=0.01, flops_per_step=1000.0),
        "title": "Toy task",
    }
    fields |= changed
    return TaskSpec(**fields | {"metric": TaskMetric(**metric | changed.get("metric", {}))})


def cell(task: TaskSpec, arm: str, level: int, replicate: int, value: float | None, **changed: Any) -> CellResult:
    """One cell; `value` None is a diverged one."""
    layers = {name: Layer(remaining=max(1, round(size * 0.8**level)), size=size) for name, size in SIZES.items()}
    density = 0.8**level
    scores = {} if value is None else {task.metric.name: value}
    trace = tuple(
        {"step": float(s), "loss": 2.0 / (1 + s / 20) + 0.1 * level, task.metric.name: (value or 0) * (s / 100)}
        for s in range(10, 101, 10)
    )
    fields: dict[str, Any] = {
        "key": f"{arm}-{level}-{replicate}",
        "task": task.id,
        "task_version": task.version,
        "task_hash": task.hash,
        "scale": task.scale,
        "method": "imp",
        "method_hash": Method().hash,
        "arm": arm,
        "level": level,
        "replicate": replicate,
        "steps": 100,
        "first_step": 0,
        "metric": task.metric.name,
        "diverged": value is None,
        "validation": scores,
        "test": scores,
        "trace": trace,
        "density": density,
        "total_density": density,
        "layers": layers,
        "weights_digest": f"{random.Random(f'{arm} here {level} {replicate}').getrandbits(256):064x}",
        "mask_digest": "00",
        "spent": Spent(
            wall_seconds=2.0, cpu_seconds=1.5, flops_dense=1e9, flops_sparse=1e9 * density, peak_memory=3 * 2**20
        ),
        "provenance": Provenance(
            suite_version="0.1.0",
            git_revision="c0ffee",
            dirty=False,
            versions={"python": "3.11", "torch": "2.13"},
            hardware={"cpu": "Toy CPU", "cores": 2},
            data_fingerprint="ab" * 32,
            date="2026-11-23T00:00:00Z",
            device="cpu",
            execution="dense",
            threads=1,
        ),
    }
    return CellResult(**fields | changed)


def places(arms: Iterable[str], levels: int, replicates: Iterable[int]) -> list[tuple[str, int, int]]:
    """All cells of a plan: dense, then every arm at every level."""
    seeds = tuple(replicates)
    return [("dense", 0, r) for r in seeds] + [
        (arm, level, r) for arm in arms for level in range(1, levels + 1) for r in seeds
    ]


def view(value: Value, task: TaskSpec | None = None, **changed: Any) -> TaskView:
    """A task of a run whose cells all finished; `skip` leaves places out, other fields are TaskView's."""
    task = task or spec()
    fields: dict[str, Any] = {
        "method": Method(),
        "arms": ("winning", "reinit", "random"),
        "levels": 4,
        "at": None,
        "replicates": (0, 1, 2),
    }
    skip = set(changed.pop("skip", ()))
    fields |= changed
    planned = places(fields["arms"], fields["levels"], fields["replicates"])
    cells = tuple(cell(task, *place, value(*place)) for place in planned if place not in skip)
    return TaskView(spec=task, expected=len(planned), cells=cells, **fields)


def papers(arm: str, level: int, replicate: int) -> float:
    """What P1 reports: winning stays, reinit falls slowly, random falls fast; with a little noise."""
    fall = {"dense": 0.0, "winning": 0.001, "reinit": 0.012, "random": 0.05}[arm] * level
    return 0.95 - fall + random.Random(f"{arm} {level} {replicate}").gauss(0, 0.002)
