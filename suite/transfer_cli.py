"""The command `lottery transfer`: parses, calls, prints."""

import shlex
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.arguments import (
    Data,
    Device,
    Exec,
    ExecutorName,
    From,
    Jobs,
    Levels,
    MethodOption,
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
from suite.conclusion import conclude
from suite.experiment.errors import UsageError
from suite.experiment.plan import LADDER, RANDOM
from suite.printing import PLAN_COLUMNS, cell_json, plan_row, print_json, print_table

if TYPE_CHECKING:
    from suite.experiment.plan import Plan

Sources = Annotated[str, typer.Option("--sources", help="Tasks whose tickets are transferred: a,b.")]
Targets = Annotated[str, typer.Option("--targets", help="Tasks that the tickets are trained on: a,b.")]
CarryOption = Annotated[
    str, typer.Option("--carry", help="What is the source's: mask, weights, or both; the rest is the target's own.")
]
TicketsAt = Annotated[
    str | None, typer.Option("--at", help="Levels at which tickets are trained: 3,6,9 (default: the target's).")
]
TransferArms = Annotated[
    str | None,
    typer.Option("--arms", help=f"Comma-separated, as of `lottery run` (default: {LADDER},{RANDOM})."),
]
PlanJson = Annotated[bool, typer.Option("--json", help="With --plan: print JSON and nothing else.")]

LONGEST_NAME = 120
"""Of a run's folder, in characters; a file system holds 255 bytes."""


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(transfer)


def transfer(
    sources: Sources, targets: Targets, carry: CarryOption = "both", scale: ScaleOption = None,
    method: MethodOption = None, replicates: Replicates = None, levels: Levels = None, at: TicketsAt = None,
    arms: TransferArms = None, seed: Seed = None, change: Set = None, device: Device = None, data: Data = None,
    threads: Threads = None, workers: Workers = None, plugin: Plugin = None, execution: Exec = None,
    executor: ExecutorName = "local", jobs: Jobs = None, out: Out = None, start_from: From = None,
    plan: PlanOnly = False, as_json: PlanJson = False,
) -> None:  # fmt: skip
    """Train the tickets of some tasks on others, over their whole schedule, and write a report.

    Every source's ladder is found once, or taken over by --from, and trained on every target. A task may be both: its
    own tickets are trained from step 0 too. The arm random knows no source, so a target's sources share it.
    """
    from suite.choose import choose_transfers
    from suite.run import plans_of, run_tasks

    if as_json and not plan:
        raise UsageError("--json prints a plan: give it with --plan, or see `lottery report RUN --json`")
    options = run_options(replicates, levels, at, arms, seed, device, execution)
    options |= {"executor": executor, "jobs": jobs}
    options |= given(data=data, threads=threads, workers=workers)
    chosen = choose_transfers(
        names_in([sources]), names_in([targets]), carry, scale, names_in(method), options, change or (), plugin or ()
    )
    if plan:
        _print_plan(plans_of(chosen, plugin or ()), as_json)
        return
    folder = out or Path("runs") / folder_name(names_in([sources]), names_in([targets]), chosen[0].spec.scale)
    command = shlex.join(["lottery", *sys.argv[1:]])
    conclude(*run_tasks(chosen, folder, plugin or (), start_from or (), command))


def _print_plan(plans: Sequence["Plan"], as_json: bool) -> None:
    """What would be trained: ladders, the runs of each target that know no source, pairs; a shared cell once."""
    from suite.experiment.plan import Cost
    from suite.experiment.transfer import parts

    found = parts(plans)
    total = sum(found.values(), Cost())
    if as_json:
        cells = {cell.key: cell for plan in plans for cell in plan}
        print_json(
            {
                "schema": 1,
                "parts": [{"part": part, **vars(cost)} for part, cost in found.items()],
                "total": vars(total),
                "cells": list(map(cell_json, cells.values())),
            }
        )
        return
    rows = [plan_row(part, cost) for part, cost in {**found, "in all": total}.items()]
    print_table("Plan (time on one core)", PLAN_COLUMNS, rows)


def folder_name(sources: list[str], targets: list[str], scale: str) -> str:
    """The folder of a run by its tasks, or, of so many that no file name holds them, by their number and a digest."""
    which = "-to-".join("+".join(names).replace("/", "-") for names in (sources, targets))
    if len(which) > LONGEST_NAME:
        number = sha256(which.encode()).hexdigest()[:8]
        which = f"transfer-{len(sources)}-to-{len(targets)}-{number}"
    return f"{which}-{scale}"
