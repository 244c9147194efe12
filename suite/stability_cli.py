"""The command `lottery stability`: parses, calls, prints."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.arguments import (
    Arms,
    Data,
    Device,
    ExecutorName,
    From,
    Jobs,
    Json,
    Levels,
    MethodOption,
    OneTask,
    Out,
    PlanOnly,
    Plugin,
    Replicates,
    ScaleOption,
    Seed,
    Set,
    Threads,
    Workers,
    given,
    names_in,
    run_options,
)
from suite.conclusion import conclude, refuse_failures
from suite.experiment.barrier import POINTS
from suite.experiment.errors import UsageError
from suite.printing import PLAN_COLUMNS, cell_json, count, plan_row, print_json, print_table

if TYPE_CHECKING:
    from suite.experiment.plan import Plan

RewindSteps = Annotated[
    str | None,
    typer.Option(
        "--rewind-steps",
        help="Steps k whose weights tickets start from: 0,100,400 (default: 0, the task's, 4 times it).",
    ),
]
TestedAt = Annotated[
    str | None,
    typer.Option("--at", help="Levels whose tickets are tested, 0 for the dense network: 0,3,6,9 (default: a few)."),
]
Batches = Annotated[
    int, typer.Option("--batches", min=1, help="Training batches that batch norm is recalibrated on at every point.")
]
TrainingError = Annotated[
    bool,
    typer.Option("--training-error", help="Measure the training error too, on all training examples at every point."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(stability)


def stability(
    task: OneTask, rewind_steps: RewindSteps = None, at: TestedAt = None, scale: ScaleOption = None,
    method: MethodOption = None, replicates: Replicates = None, levels: Levels = None, arms: Arms = None,
    seed: Seed = None, batches: Batches = 20, training_error: TrainingError = False, change: Set = None,
    device: Device = None, data: Data = None, threads: Threads = None, workers: Workers = None, plugin: Plugin = None,
    executor: ExecutorName = "local", jobs: Jobs = None, out: Out = None, start_from: From = None,
    plan: PlanOnly = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Test whether tickets are stable: whether two trainings of one, in other data orders, end in one flat valley.

    For every rewind step k a ladder is found; tickets of some levels are trained twice from their weights at k, and the
    error is measured along the line between both ends (Frankle et al. 2020). A barrier above 2 points is unstable.
    Finished cells and paths are kept: the same command again runs what is missing.
    """
    from suite.results.stability import stabilities
    from suite.results.stability_words import as_json as stability_json
    from suite.run import plans_of, run_tasks
    from suite.sweep import choose_sweep

    options = run_options(replicates, levels, None, arms, seed, device, None)
    options |= {"executor": executor, "jobs": jobs}
    options |= given(data=data, threads=threads, workers=workers)
    measured = {"recalibration": batches, "training_error": training_error}
    chosen = choose_sweep(
        task, scale, names_in(method), _numbers(rewind_steps, "--rewind-steps"), _numbers(at, "--at"), measured,
        options, change or (), plugin or (),
    )  # fmt: skip
    if plan:
        _print_plan(plans_of(chosen, plugin or ()), as_json)
        return
    folder = out or Path("runs") / f"{task.replace('/', '-')}-{chosen[0].spec.scale}-stability"
    command = shlex.join(["lottery", *sys.argv[1:]])
    outcome, report = run_tasks(chosen, folder, plugin or (), start_from or (), command)
    if as_json:
        print_json({"schema": 1, "stability": list(map(stability_json, stabilities(report.view)))})
        refuse_failures(outcome)
        return
    conclude(outcome, report)


def _numbers(text: str | None, option: str) -> list[int] | None:
    """Whole numbers of an option that is comma-separated."""
    words = names_in(None if text is None else [text])
    if not all(word.isascii() and word.isdigit() for word in words) or (text is not None and not words):
        raise UsageError(f"{option} {text}: whole numbers of 0 or more are needed, such as {option} 0,3,6")
    return [int(word) for word in words] or None


def _print_plan(plans: Sequence["Plan"], as_json: bool) -> None:
    """What every rewind step costs beside those before it: they share their dense runs."""
    from suite.experiment.plan import Cost

    found, seen = dict[str, Cost](), set[str]()
    for plan in plans:
        found[f"{plan.task.spec.id} {plan.task.spec.scale} {plan.task.method.name}"] = plan.cost(without=seen)
        seen.update((cell.key for cell in plan.cells), (each.key for each in plan.connections))
    total, connections = sum(found.values(), Cost()), [each for plan in plans for each in plan.connections]
    if as_json:
        cells = {cell.key: cell for plan in plans for cell in plan}
        print_json(
            {
                "schema": 1,
                "parts": [{"part": part, **vars(cost)} for part, cost in found.items()],
                "total": vars(total),
                "cells": [cell_json(cell) | {"child": cell.start.child} for cell in cells.values()],
                "connections": [
                    {"key": c.key, "rewind_step": c.method.rewind_step, "level": c.level, "replicate": c.replicate,
                     "children": list(c.needs)} for c in connections
                ],
            }
        )  # fmt: skip
        return
    rows = [plan_row(part, cost) for part, cost in {**found, "in all": total}.items()]
    print_table("Plan (time on one core)", PLAN_COLUMNS, rows)
    lines = count(len(connections), "line")
    typer.echo(f"and {lines} of {POINTS} points between two children; their time is in the table")
