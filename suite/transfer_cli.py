"""The command `lottery transfer`: parses, calls, prints."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from suite.arguments import (
    Arms,
    At,
    Data,
    Device,
    Exec,
    ExecutorName,
    From,
    Jobs,
    Levels,
    MethodOption,
    Out,
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

Sources = Annotated[str, typer.Option("--sources", help="Tasks whose tickets are transferred: a,b.")]
Targets = Annotated[str, typer.Option("--targets", help="Tasks that the tickets are trained on: a,b.")]
CarryOption = Annotated[
    str, typer.Option("--carry", help="What is the source's: mask, weights, or both; the rest is the target's own.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(transfer)


def transfer(
    sources: Sources, targets: Targets, carry: CarryOption = "both", scale: ScaleOption = None,
    method: MethodOption = None, replicates: Replicates = None, levels: Levels = None, at: At = None,
    arms: Arms = None, seed: Seed = None, change: Set = None, device: Device = None, data: Data = None,
    threads: Threads = None, workers: Workers = None, plugin: Plugin = None, execution: Exec = None,
    executor: ExecutorName = "local", jobs: Jobs = None, out: Out = None, start_from: From = None,
) -> None:  # fmt: skip
    """Train the tickets of some tasks on others, over their whole schedule, and write a report.

    Every source's ladder is found once, or taken over by --from, and trained on every target.
    """
    from suite.run import choose_transfers, run_tasks

    options = run_options(replicates, levels, at, arms, seed, device, execution)
    options |= {"executor": executor, "jobs": jobs}
    options |= given(data=data, threads=threads, workers=workers)
    chosen = choose_transfers(
        names_in([sources]), names_in([targets]), carry, scale, names_in(method), options, change or (), plugin or ()
    )
    which = "-to-".join("+".join(names).replace("/", "-") for names in (names_in([sources]), names_in([targets])))
    folder = out or Path("runs") / f"{which}-{chosen[0].spec.scale}"
    command = shlex.join(["lottery", *sys.argv[1:]])
    conclude(*run_tasks(chosen, folder, plugin or (), start_from or (), command))
