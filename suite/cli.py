"""The command `lottery`: parses, calls, prints; no logic of its own."""

import os
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any, Never

import typer

from suite import stability_cli, transfer_cli
from suite.arguments import (
    Arms,
    At,
    Data,
    Device,
    Exec,
    ExecutorName,
    Folder,
    From,
    Jobs,
    Json,
    Levels,
    Measure,
    MethodOption,
    OneTask,
    Out,
    Plugin,
    Replicates,
    ScaleOption,
    Seed,
    Set,
    Tasks,
    Threads,
    Workers,
    given,
    names_in,
    run_options,
)
from suite.bench import cli as bench
from suite.conclusion import conclude, print_summary
from suite.experiment.errors import RunError, UsageError, in_words
from suite.experiment.methods import known_methods
from suite.experiment.pacing import TERMINATED, Terminated
from suite.leaderboard import cli as leaderboard
from suite.printing import PLAN_COLUMNS, cell_json, count, minutes, plan_row, print_json, print_table

INTERRUPTED = 130
OLDER_SHOWN = 8
ClickUsageError: Any = typer.BadParameter.__base__  # typer names only this subclass of its parser's error

app = typer.Typer(
    name="lottery",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Winning tickets in vision, reinforcement learning and language: run them, and see whether they win.\n\n"
    "Start with `lottery run quickstart`: four tasks, three domains, a page of curves, no download.\n\n"
    "Add --debug to any command for the traceback of an error.",
)


@app.command("list")
def list_tasks(plugin: Plugin = None, as_json: Json = False) -> None:
    """List the tasks, their scales, and the collections of tasks."""
    from suite.experiment.collection import collections
    from suite.experiment.domain import domains
    from suite.experiment.registry import Registry

    registry, named = Registry(plugin or ()), known_methods(plugin or ())
    tasks = [registry.find(task_id) for task_id in registry.ids]
    left_out = registry.left_out
    if as_json:
        print_json(
            {
                "schema": 1,
                "tasks": [{"task": t.id, "title": t.title, "scales": list(t.scales)} for t in tasks],
                "left_out": {name: {"why": why, "tasks": ids} for (name, why), ids in left_out.items()},
                "domains": {domain.name: domain.title for domain in domains().values()},
                "collections": [c.model_dump(mode="json") for c in collections().values()],
                "methods": {name: fields["about"] for name, fields in named.items()},
            }
        )
        return
    print_table("Tasks", ["task", "scales", "what"], [[t.id, " ".join(t.scales), t.title] for t in tasks])
    for (name, why), ids in left_out.items():
        typer.echo(f"{name} is {why}; {', '.join(ids)} cannot be run")
    print_table("Domains", ["name", "what"], [[domain.name, domain.title] for domain in domains().values()])
    print_table(
        "Collections",
        ["name", "scale", "tasks"],
        [[c.name, c.scale, " ".join(c.named)] for c in collections().values()],
    )
    print_table("Methods", ["name", "what"], [[name, fields["about"]] for name, fields in named.items()])


@app.command()
def show(
    task: OneTask, scale: ScaleOption = None, method: MethodOption = None, change: Set = None, plugin: Plugin = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show a task at a scale as TOML: every number and what it is, ready to be saved as a task of one's own.

    --json gives its hash and what --set accepts too.
    """
    from suite.choose import choose
    from suite.experiment.registry import Registry
    from suite.experiment.tasktoml import as_toml

    (file, at), methods_given = Registry(plugin or ()).one(task, scale), names_in(method)
    if len(methods_given) > 1:
        raise UsageError(f"--method {','.join(methods_given)}: show takes one method")
    (chosen,) = choose([task], scale, methods_given, {}, change or (), plugin or ())
    if not as_json:
        typer.echo(as_toml(chosen), nl=False)
        return
    print_json(
        {
            "schema": 1,
            "hash": chosen.spec.hash,
            "spec": chosen.spec.model_dump(mode="json"),
            "method": chosen.method.model_dump(mode="json"),
            "run": chosen.options.model_dump(mode="json"),
            "set": file.keys(at),
        }
    )


@app.command()
def plan(
    tasks: Tasks, scale: ScaleOption = None, method: MethodOption = None, replicates: Replicates = None,
    levels: Levels = None, at: At = None, arms: Arms = None, seed: Seed = None, change: Set = None,
    device: Device = None, data: Data = None, plugin: Plugin = None, execution: Exec = None,
    measure: Measure = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Say what a run would do and cost, without doing it.

    The time is the task's own figure for an ordinary core, or what some steps of its network take on this machine.
    """
    from suite.choose import choose
    from suite.experiment.plan import cost_of_all
    from suite.measuring import measured
    from suite.run import plans_of

    options = run_options(replicates, levels, at, arms, seed, device, execution) | given(data=data)
    chosen = choose(tasks, scale, names_in(method), options, change or (), plugin or ())
    timed = measured(chosen, measure)
    plans = plans_of(timed.tasks, plugin or ())
    if as_json:
        costs = [{"task": p.task.spec.id, "scale": p.task.spec.scale, **vars(p.cost())} for p in plans]
        cells = list(map(cell_json, {cell.key: cell for p in plans for cell in p}.values()))
        total = vars(cost_of_all(plans))
        print_json({"schema": 1, "tasks": costs, "total": total, "measured": timed.notes, "cells": cells})
        return
    rows = [plan_row(f"{p.task.spec.id} {p.task.spec.scale} {p.task.method.name}", p.cost()) for p in plans]
    if len(plans) > 1:
        rows.append(plan_row("in all, a shared cell once", cost_of_all(plans)))
    print_table("Plan (time on one core)", PLAN_COLUMNS, rows)
    for note in timed.notes:
        typer.echo(note)


@app.command()
def run(
    tasks: Tasks, scale: ScaleOption = None, method: MethodOption = None, replicates: Replicates = None,
    levels: Levels = None, at: At = None, arms: Arms = None, seed: Seed = None, change: Set = None,
    device: Device = None, data: Data = None, threads: Threads = None, workers: Workers = None,
    plugin: Plugin = None, execution: Exec = None, executor: ExecutorName = "local", jobs: Jobs = None,
    out: Out = None, start_from: From = None,
) -> None:  # fmt: skip
    """Run tasks: train the ladder and its arms, and write a report.

    Finished cells are kept: the same command again runs what is missing, after Ctrl-C, a crash or with more levels.
    """
    from suite.choose import choose
    from suite.run import run_tasks

    options = run_options(replicates, levels, at, arms, seed, device, execution)
    options |= {"executor": executor, "jobs": jobs}
    options |= given(data=data, threads=threads, workers=workers)
    chosen = choose(tasks, scale, names_in(method), options, change or (), plugin or ())
    folder = out or Path("runs") / f"{'+'.join(name.replace('/', '-') for name in tasks)}-{chosen[0].spec.scale}"
    command = shlex.join(["lottery", *sys.argv[1:]])
    conclude(*run_tasks(chosen, folder, plugin or (), start_from or (), command))


@app.command()
def status(folder: Folder, as_json: Json = False) -> None:
    """Say how far a run is."""
    from suite.finished import progress_of

    rows = progress_of(folder)
    if as_json:
        print_json({"schema": 1, "tasks": rows})
        return
    cells = [
        [
            f"{r['task']} {r['scale']} {r['method']}",
            f"{r['done']}/{r['cells']}",
            str(r["diverged"]),
            minutes(r["seconds_left"]),
        ]
        for r in rows
    ]
    print_table(str(folder), ["task", "done", "diverged", "left (one core)"], cells)
    for r in rows:
        if r["connections"]:
            done = f"{r['measured']} of {count(r['connections'], 'connection')}"
            typer.echo(f"{r['task']} {r['scale']} {r['method']}: {done} between children measured")
        if r["missing_masks"]:
            from suite.results.view import MissingMask
            from suite.results.words import masks_missing

            masks = [MissingMask(**each) for each in r["missing_masks"]]
            typer.echo(f"{r['task']} {r['scale']} {r['method']}: {masks_missing(masks)}")
        if r["older"]:
            named = [f"{c['arm']}:{c['level']}:{c['replicate']}" for c in r["older"]]
            more = f", … ({len(named) - OLDER_SHOWN} more, --json names all)" if len(named) > OLDER_SHOWN else ""
            typer.echo(
                f"{r['task']} {r['scale']} {r['method']}: {count(len(named), 'cell')} of an older version, which "
                f"a run of today does not use (arm:level:replicate): {', '.join(named[:OLDER_SHOWN])}{more}"
            )


@app.command()
def report(
    folder: Folder,
    play: Annotated[
        float | None,
        typer.Option(
            "--play",
            min=0.0,
            max=1.0,
            help="Show an episode of the dense network, and of the winning and random ticket of about this density.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run from the cells that are finished, and print its summary."""
    from suite.finished import view_of
    from suite.run import write

    view = view_of(folder)
    if play is not None:
        from suite.play import played

        if as_json:
            raise UsageError("--play draws in the page, which --json does not write: leave one of them out")
        view = played(view, folder, play)
    if as_json:
        from suite.results.report import as_json as report_json

        print_json(report_json(view))
        return
    path = write(view, folder)
    print_summary(view)
    typer.echo(f"report: {path}")


@app.command()
def export(
    folder: Folder,
    target: Annotated[Path, typer.Argument(help="A folder, or a file that ends in .zip.", show_default=False)],
) -> None:
    """Pack a run to keep or to send: results, masks and run.json, which `run --from` reads as it reads a run."""
    from suite.experiment.exported import export as pack
    from suite.experiment.store import Store

    store = Store.open(folder)
    with store.reading():
        cells, masks = pack(store, target)
    typer.echo(f"{count(cells, 'cell')} and {count(masks, 'mask')}: {target}")


transfer_cli.add_to(app)
stability_cli.add_to(app)
leaderboard.add_to(app)
bench.add_to(app)


def main() -> Never:
    """Entry point: one line for an error; exit code 2 for wrong use, 1 for failure, 130 for Ctrl-C."""
    debug = "--debug" in sys.argv
    _warn_of_another_suite()
    try:
        code = app([word for word in sys.argv[1:] if word != "--debug"], standalone_mode=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Terminated:
        _fail("ended by SIGTERM; finished and half-trained cells are kept, the same command goes on", TERMINATED)
    except Exception as error:  # whatever it is, a user gets one line
        if debug:
            raise
        _fail(_line(error), 2 if isinstance(error, UsageError | ClickUsageError) else 1)
    if code == INTERRUPTED:
        _fail("stopped; finished cells are kept, the same command goes on from them", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _warn_of_another_suite() -> None:
    """Other distributions own the name `suite` too: say so when this one is not the one that was installed."""
    import suite

    try:
        installed = Path(str(distribution("lottery-suite").locate_file("suite/__init__.py")))
    except PackageNotFoundError:
        return
    if installed.exists() and not installed.samefile(str(suite.__file__)):
        print(
            f"lottery: warning: the package `suite` comes from {suite.__file__}, not from lottery-suite",
            file=sys.stderr,
        )


def _line(error: Exception) -> str:
    if isinstance(error, ClickUsageError):
        return error.format_message() or "no command given; `lottery --help` lists them"
    if isinstance(error, UsageError | RunError):
        return str(error)
    from suite.experiment.plugins import note_place

    note_place(error)
    if getattr(error, "__notes__", ()):
        return in_words(error)
    return f"unexpected {in_words(error)} (a fault of the suite: --debug shows where)"


def _fail(message: str, code: int) -> Never:
    print(f"lottery: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
