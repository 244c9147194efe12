"""What is in a run's folder: how far it is, and all that its report shows. Nothing of it is trained, and no torch."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from suite.experiment.domain import result_versions
from suite.experiment.plan import Plan
from suite.experiment.result import CellResult
from suite.experiment.store import CellFacts, Store, StoreSurvey
from suite.experiment.taskfile import Task
from suite.results.view import MOST_TRACES, MissingMask, RunView, TaskView, TransferSource


def progress_of(folder: Path) -> list[dict[str, Any]]:
    """How far each task of a run is, the seconds left on one core by the plan's estimate, its older cells, and the
    masks that were deleted.

    What tasks share is left to do for the first of them. Of its `connections` so many are `measured`.
    """
    store = Store.open(folder)
    rows = []
    survey = store.survey()
    requests = store.requests()
    plans = [request.plan for request in requests]
    counted: set[str] = set()
    unplanned = [survey.cell(key) for key in survey.keys() - {cell.key for plan in plans for cell in plan}]
    for request, planned in zip(requests, plans, strict=True):
        task = request.task
        results = {cell.key: survey.cell(cell.key) for cell in planned}
        missing = missing_masks(planned, survey)
        done = [key for key, result in results.items() if result is not None]
        measured = [each.key for each in planned.connections if store.connection(each.key) is not None]
        rows.append(
            {
                "task": task.spec.id,
                "scale": task.spec.scale,
                "method": planned.task.method.name,
                "cells": len(results),
                "done": len(done),
                "diverged": sum(result.diverged for result in results.values() if result is not None),
                "connections": len(planned.connections),
                "measured": len(measured),
                "seconds_left": planned.cost(without=[*done, *measured, *counted]).seconds,
                "older": _older(task, [*results.values(), *unplanned]),
                "missing_masks": [asdict(each) for each in missing],
            }
        )
        counted.update(results)
    survey.keep()
    return rows


def _older(task: Task, results: Iterable[CellFacts | None]) -> list[dict[str, Any]]:
    """A task's cells that code of today does not use, by place, with the versions of the code that made them."""
    sources = () if task.source is None else (replace(task.source.task, options=task.options),)
    today = {each.spec.hash: result_versions(each.trained_by) for each in (task, *sources)}
    methods = ("", task.method.hash)
    old = [
        result
        for result in results
        if result is not None
        and result.task_hash in today
        and result.method_hash in methods
        and result.result_versions.older_than(today[result.task_hash])
    ]
    return [
        {"arm": r.arm, "level": r.level, "replicate": r.replicate, "versions": r.result_versions.model_dump()}
        for r in sorted(old, key=lambda r: (r.replicate, r.level, r.arm))
    ]


def missing_masks(planned: Plan, survey: StoreSurvey) -> tuple[MissingMask, ...]:
    """The masks that finished cells have made and that are no longer there.

    Raises RunError naming one that is damaged: what was trained under it is not to be shown as if nothing were.
    """
    found: dict[str, MissingMask] = {}
    for cell in planned:
        result = survey.cell(cell.key)
        for prune in () if result is None else cell.left_masks(result.diverged):
            if not survey.has_mask(prune.key) and not prune.optional:
                file = f"masks/{prune.key}.safetensors"
                found[prune.key] = MissingMask(cell.level + prune.level, cell.replicate, file)
    return tuple(found.values())


def view_of(folder: Path) -> RunView:
    """All that the report of a run shows, from its store; raises UsageError when there is no run."""
    store = Store.open(folder)
    requests = store.requests()
    survey = store.survey()
    views = []
    for request in requests:
        task, planned = request.task, request.plan
        missing = missing_masks(planned, survey)
        first, count = task.options.first_replicate, task.options.replicates
        lean = _Lean(first + MOST_TRACES)
        found = [lean(result) for cell in planned.shown if (result := store.cell(cell.key)) is not None]
        views.append(
            TaskView(
                spec=task.spec,
                method=planned.task.method,
                arms=task.options.arms,
                levels=task.options.levels,
                at=task.options.at,
                replicates=tuple(range(first, first + count)),
                expected=len(planned.shown),
                cells=tuple(found),
                references=request.references or {},
                source=_source(task),
                missing_masks=missing,
                connected=() if task.options.connected is None else task.options.connected.levels,
                connections=tuple(
                    each for node in planned.connections if (each := store.connection(node.key)) is not None
                ),
            )
        )
    commands = dict.fromkeys(request.command for request in requests)
    return RunView(name=folder.resolve().name, command="\n".join(commands), tasks=tuple(views))


def _source(task: Task) -> TransferSource | None:
    if task.source is None:
        return None
    return TransferSource(task.source.task.spec, task.source.task.method, task.source.carry, task.source.covered)


class _Lean:
    """Makes results smaller, of which there may be a hundred thousand: what is equal is held once, and no trace is held
    that is not drawn."""

    def __init__(self, without_trace_from: int) -> None:
        self._first, self._facts = without_trace_from, dict[tuple[object, ...], Any]()

    def __call__(self, result: CellResult) -> CellResult:
        source = result.provenance
        own = source.model_copy(
            update={"versions": self._once(source.versions), "hardware": self._once(source.hardware)}
        )
        layers = {name: self._facts.setdefault((name, layer), layer) for name, layer in result.layers.items()}
        trace = {} if result.replicate < self._first else {"trace": ()}
        return result.model_copy(update={"provenance": own, "layers": layers, **trace})

    def _once(self, table: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._facts.setdefault(tuple(sorted(table.items())), table)
        return found
