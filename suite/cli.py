"""The command `lottery`: parses, calls, prints; no logic of its own."""

import os
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Never

import typer

from suite.arguments import Data, Device, Threads, Workers
from suite.bench import cli as bench
from suite.experiment.errors import RunError, UsageError
from suite.experiment.methods import known_methods, methods
from suite.experiment.pacing import TERMINATED, Terminated
from suite.leaderboard import cli as leaderboard
from suite.printing import count, minutes, print_json, print_table

if TYPE_CHECKING:
    from suite.experiment.runner import Outcome
    from suite.results.view import RunView
    from suite.run import Report

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

Tasks = Annotated[list[str], typer.Argument(help="Task ids or collections (`lottery list`).", show_default=False)]
OneTask = Annotated[str, typer.Argument(help="A task id (`lottery list`).", show_default=False)]
Folder = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]
ScaleOption = Annotated[
    str | None, typer.Option("--scale", help="paper, lite, quick or smoke; by default the collection's, else lite.")
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help=f"One or several (a,b): {', '.join(methods())}, or a plugin's (`lottery list`); by default the task's.",
    ),
]
Replicates = Annotated[int | None, typer.Option("--replicates", help="Seeds of the whole chain, 1 or more.")]
Levels = Annotated[int | None, typer.Option("--levels", help="Prunings: N gives levels 0 (dense) to N.")]
At = Annotated[
    str | None, typer.Option("--at", help="Levels at which the other arms are trained: 1,2,4,8 (default: the task's).")
]
Arms = Annotated[
    str | None,
    typer.Option("--arms", help="Comma-separated: winning, reinit, signs, shuffled_layerwise, random, shuffled_mask."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Number of the first replicate (default 0).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value: a method's field (rewind_step=100) or a task's number (training.batch=32)."),
]
Plugin = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="A Python file that adds tasks, methods, criteria, arms or components; or a task in TOML."
    ),
]
Exec = Annotated[
    str | None, typer.Option("--exec", help="single (a cell at a time) or cohort (stacked, where the task offers it).")
]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="local (worker processes) or inline (this process, for debugging).")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Cells at a time (default: one a GPU, or as many as the cores serve).")
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the run (default: runs/<tasks>-<scale>).")]
From = Annotated[
    list[Path] | None, typer.Option("--from", help="A run, or an exported one, whose finished cells are taken over.")
]
Sources = Annotated[str, typer.Option("--sources", help="Tasks whose tickets are transferred: a,b.")]
Targets = Annotated[str, typer.Option("--targets", help="Tasks that the tickets are trained on: a,b.")]
CarryOption = Annotated[
    str, typer.Option("--carry", help="What is the source's: mask, weights, or both; the rest is the target's own.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")]


@app.command("list")
def list_tasks(plugin: Plugin = None, as_json: Json = False) -> None:
    """List the tasks, their scales, and the collections of tasks."""
    from suite.experiment.domain import domains
    from suite.experiment.registry import Registry, collections

    registry, named = Registry(plugin or ()), known_methods(plugin or ())
    tasks = [registry.find(task_id) for task_id in registry.ids]
    if as_json:
        print_json(
            {
                "schema": 1,
                "tasks": [{"task": t.id, "title": t.title, "scales": list(t.scales)} for t in tasks],
                "domains": {domain.name: domain.title for domain in domains().values()},
                "collections": [c.model_dump(mode="json") for c in collections().values()],
                "methods": {name: fields["about"] for name, fields in named.items()},
            }
        )
        return
    print_table("Tasks", ["task", "scales", "what"], [[t.id, " ".join(t.scales), t.title] for t in tasks])
    print_table("Domains", ["name", "what"], [[domain.name, domain.title] for domain in domains().values()])
    print_table(
        "Collections",
        ["name", "scale", "tasks"],
        [[c.name, c.scale, " ".join(c.tasks)] for c in collections().values()],
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
    from suite.experiment.registry import Registry
    from suite.experiment.tasktoml import as_toml
    from suite.run import choose

    found, methods_given = Registry(plugin or ()).expand([task], scale), _names(method)
    if len(found) > 1:
        raise UsageError(f"{task} is a collection: show one of {', '.join(file.id for file, _ in found)}")
    if len(methods_given) > 1:
        raise UsageError(f"--method {','.join(methods_given)}: show takes one method")
    (chosen,) = choose([task], scale, methods_given, {}, change or (), plugin or ())
    if not as_json:
        typer.echo(as_toml(chosen), nl=False)
        return
    ((file, at),) = found
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
    device: Device = None, plugin: Plugin = None, execution: Exec = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Say what a run would do and cost, without doing it."""
    from suite.run import choose, plans_of

    options = _options(replicates, levels, at, arms, seed, device, execution)
    chosen = choose(tasks, scale, _names(method), options, change or (), plugin or ())
    plans = plans_of(chosen, plugin or ())
    if as_json:
        costs = [{"task": p.task.spec.id, "scale": p.task.spec.scale, **vars(p.cost())} for p in plans]
        cells = [
            {"key": c.key, "task": c.spec.id, "arm": c.arm, "level": c.level, "replicate": c.replicate,
             "steps": c.steps, "needs": list(c.needs)} for p in plans for c in p
        ]  # fmt: skip
        print_json({"schema": 1, "tasks": costs, "cells": cells})
        return
    named = [(f"{p.task.spec.id} {p.task.spec.scale} {p.task.method.name}", p.cost()) for p in plans]
    rows = [[n, str(c.cells), f"{c.steps:,}", f"{c.flops:.3g}", minutes(c.seconds)] for n, c in named]
    print_table("Plan (time on one core)", ["task", "cells", "steps", "FLOPs", "time"], rows)


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
    from suite.run import choose, run_tasks

    options = _options(replicates, levels, at, arms, seed, device, execution)
    options |= {"executor": executor, "jobs": jobs}
    options |= _given(data=data, threads=threads, workers=workers)
    chosen = choose(tasks, scale, _names(method), options, change or (), plugin or ())
    folder = out or Path("runs") / f"{'+'.join(name.replace('/', '-') for name in tasks)}-{chosen[0].spec.scale}"
    command = shlex.join(["lottery", *sys.argv[1:]])
    _conclude(*run_tasks(chosen, folder, plugin or (), start_from or (), command))


@app.command()
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

    options = _options(replicates, levels, at, arms, seed, device, execution)
    options |= {"executor": executor, "jobs": jobs}
    options |= _given(data=data, threads=threads, workers=workers)
    chosen = choose_transfers(
        _names([sources]), _names([targets]), carry, scale, _names(method), options, change or (), plugin or ()
    )
    which = "-to-".join("+".join(names).replace("/", "-") for names in (_names([sources]), _names([targets])))
    folder = out or Path("runs") / f"{which}-{chosen[0].spec.scale}"
    command = shlex.join(["lottery", *sys.argv[1:]])
    _conclude(*run_tasks(chosen, folder, plugin or (), start_from or (), command))


def _conclude(outcome: "Outcome", report: "Report") -> None:
    """Say what a run came to; raises RunError when a cell failed."""
    typer.echo(f"{count(outcome.finished, 'cell')} run, {outcome.skipped} skipped", err=True)
    if outcome.lost:
        first = next(iter(outcome.lost.values()))
        typer.echo(
            f"no ticket for {count(len(outcome.lost), 'cell')}, the ladder diverged; the first: {first}", err=True
        )
    _print_summary(report.view)
    typer.echo(f"report: {report.path}")
    if outcome.failed or outcome.blocked:
        first = next(iter(outcome.failed.values()), next(iter(outcome.blocked.values()), ""))
        raise RunError(
            f"{count(len(outcome.failed), 'cell')} failed, {len(outcome.blocked)} could not start; the first: {first}"
        ) from next(iter(outcome.errors), None)


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
            r["task"],
            r["scale"],
            r["method"],
            f"{r['done']}/{r['cells']}",
            str(r["diverged"]),
            minutes(r["seconds_left"]),
        ]
        for r in rows
    ]
    print_table(str(folder), ["task", "scale", "method", "done", "diverged", "left (one core)"], cells)
    for r in rows:
        if r["older"]:
            named = [f"{c['arm']}:{c['level']}:{c['replicate']}" for c in r["older"]]
            more = f", … ({len(named) - OLDER_SHOWN} more, --json names all)" if len(named) > OLDER_SHOWN else ""
            typer.echo(
                f"{r['task']} {r['scale']} {r['method']}: {count(len(named), 'cell')} of an older version, which "
                f"a run of today does not use (arm:level:replicate): {', '.join(named[:OLDER_SHOWN])}{more}"
            )


@app.command()
def report(folder: Folder, as_json: Json = False) -> None:
    """Write the report of a run from the cells that are finished, and print its summary."""
    from suite.finished import view_of
    from suite.run import write

    view = view_of(folder)
    if as_json:
        from suite.results.report import as_json as report_json

        print_json(report_json(view))
        return
    path = write(view, folder)
    _print_summary(view)
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
    return f"unexpected {type(error).__name__}: {error} (a fault of the suite: --debug shows where)"


def _fail(message: str, code: int) -> Never:
    print(f"lottery: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def _names(given: list[str] | None) -> list[str]:
    """Names of an option that is comma-separated, repeated, or both."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def _options(
    replicates: int | None, levels: int | None, at: str | None, arms: str | None, seed: int | None,
    device: str | None, execution: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Options of the run that were given."""
    return _given(
        replicates=replicates,
        levels=levels,
        at=None if at is None else at.split(","),
        arms=None if arms is None else arms.split(","),
        first_replicate=seed,
        device=device,
        exec=execution,
    )


def _given(**options: Any) -> dict[str, Any]:
    """Options without those that were not given."""
    return {name: value for name, value in options.items() if value is not None}


def _print_summary(view: "RunView") -> None:
    from rich.console import Console

    from suite.results.text import finding_lines, judged, score_lines, summary_table

    found, console = judged(view), Console()
    for line in finding_lines(found, console.width):
        typer.echo(line)
    console.print(summary_table(view.name, found))
    for line in score_lines(view):
        typer.echo(line)


if __name__ == "__main__":
    main()
