"""The commands `lottery bench …`: parses, calls, prints."""

from pathlib import Path
from typing import Annotated

import typer

from suite.arguments import Data, Threads, Workers
from suite.experiment.errors import UsageError
from suite.printing import print_json, print_table

app = typer.Typer(name="bench", no_args_is_help=True, help="Measure the suite's own speed on this machine.")


def add_to(parent: typer.Typer) -> None:
    """Add the group of commands to an application."""
    parent.add_typer(app)


@app.callback()
def group() -> None:
    """Measure the suite's own speed on this machine."""


@app.command()
def step(
    task: Annotated[str, typer.Argument(help="A task whose learner follows a loss on batches.")] = (
        "vision/mnist5k-lenet300"
    ),
    scale: Annotated[str, typer.Option("--scale", help="Scale of the task.")] = "lite",
    builds: Annotated[int, typer.Option("--builds", min=1, help="How often all sides are built anew.")] = 5,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Rounds of a build, each of which times every side once.")
    ] = 11,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of every side in a round.")] = 50,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps.")] = "cpu",
    threads: Threads = None,
    data: Data = None,
    plugin: Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file that adds tasks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")] = False,
) -> None:
    """Time a training step: a bare loop, the learner, and the learner under masks, interleaved in one run.

    The times are medians over all rounds, the ratios medians of each round's ratio to its bare loop. Run it on a
    machine that does nothing else: the load is printed.
    """
    from suite.bench.step import measure
    from suite.experiment.registry import Registry
    from suite.experiment.runtime import Runtime

    file, at = Registry(plugin or ()).one(task, scale)
    times = measure(file.at(at).spec, builds, rounds, steps, Runtime(device=device, data=data, threads=threads or 1))
    if as_json:
        print_json(times.as_json())
        return
    print_table(
        f"A step of {times.task} at {times.scale}: {times.builds} builds of {times.rounds} rounds, "
        f"{times.steps} steps each, {times.threads} thread(s), load {times.load[0]:.2f}",
        ["side", "ms a step", "times the bare loop", "CPU ms", "times the bare loop's"],
        [
            [s.name, f"{1e3 * s.seconds:.4f}", f"{s.ratio:.3f}", f"{1e3 * s.cpu_seconds:.4f}", f"{s.cpu_ratio:.3f}"]
            for s in times.sides
        ],
    )


@app.command()
def peer(
    task: Annotated[str, typer.Argument(help="A task whose learner has peers: of rl, and nlp's own.")] = (
        "rl/atari-seaquest"
    ),
    scale: Annotated[str, typer.Option("--scale", help="Scale of the task.")] = "lite",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: a task's number (data.settings.pixels=84).")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds, each of which times every side once.")] = 9,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Updates of every side in a round.")] = 20,
    scorings: Annotated[
        int, typer.Option("--scorings", min=0, help="How often the validation set is scored by every side after that.")
    ] = 0,
    slots: Annotated[
        int, typer.Option("--cohort", min=0, help="Time a cohort of so many runs; 0: the learner of a single run.")
    ] = 0,
    data: Data = None,
    plugin: Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file that adds tasks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")] = False,
) -> None:
    """Time a task's training beside the same training by other libraries, on one core, interleaved.

    A ratio above 1 says that the learner is faster. Run it on a machine that does nothing else: the load is printed.
    """
    from suite.bench.peer import measure
    from suite.choose import choose
    from suite.experiment.runtime import Runtime

    chosen = choose([task], scale, [], {}, change or (), plugin or ())
    if len(chosen) > 1:
        raise UsageError(f"{task} is a collection: time one of {', '.join(each.spec.id for each in chosen)}")
    found = measure(chosen[0].spec, rounds, steps, scorings, Runtime(data=data), slots)
    if as_json:
        print_json(found.as_json())
        return
    for compared in filter(None, (found.training, found.scoring)):
        print_table(
            f"{found.task} at {found.scale}, {compared.what}: {compared.rounds} rounds of {compared.amount:g} "
            f"{compared.unit}, one core, load {found.load[0]:.2f}",
            ["side", "a second", "learner is faster by", "a CPU second", "learner is faster by"],
            [
                [s.name, f"{s.per_second:.4g}", f"{s.ratio:.2f}", f"{s.per_cpu_second:.4g}", f"{s.cpu_ratio:.2f}"]
                for s in compared.sides
            ],
        )


@app.command()
def plan(
    cells: Annotated[int, typer.Option("--cells", min=1, help="Cells of the plan, at least.")] = 100_000,
    methods: Annotated[int, typer.Option("--methods", min=1, help="Methods that they are of, a curve each.")] = 1,
    task: Annotated[str, typer.Option("--task", help="The task that is planned.")] = "vision/mnist5k-lenet300",
    scale: Annotated[str, typer.Option("--scale", help="Scale of the task.")] = "lite",
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where the temporary store lies: some GB for 100,000 cells."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")] = False,
) -> None:
    """Time planning, status and report of a run of many cells whose results are made up.

    Each is timed in a process of its own, of one thread. Run it on a machine that does nothing else: the load is
    printed.
    """
    from suite.bench.plan import measure
    from suite.experiment.registry import Registry

    found = measure(Registry().find(task).at(scale), cells, methods, folder)
    if as_json:
        print_json(found.as_json())
        return
    print_table(
        f"{found.cells:,} cells, {found.results:,} results: {found.threads} thread, load {found.load[0]:.2f}, "
        f"page {found.page / 1e6:.2f} MB",
        ["command", "seconds", "CPU seconds", "memory, MB"],
        [[m.command, f"{m.seconds:.2f}", f"{m.cpu_seconds:.2f}", f"{m.memory / 1e6:.0f}"] for m in found.measured],
    )


@app.command("input")
def time_input(
    domain: Annotated[str, typer.Option("--domain", help="The domain whose input is timed.")] = "vision",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds, each of which times every side once.")] = 11,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")] = False,
) -> None:
    """Time a domain's input beside the usual way to read the same data, interleaved in one run of one thread.

    The times are medians over the rounds, the ratios medians of each round's ratio to its first side. Run it on a
    machine that does nothing else: the load is printed. CPU seconds are those of this process, without its workers'.
    """
    from suite.bench.input import measure
    from suite.experiment.runtime import Runtime

    times = measure(domain, rounds, Runtime(workers=workers or 0))
    if as_json:
        print_json(times.as_json())
        return
    for compared in times.comparisons:
        print_table(
            f"{compared.name}: {times.rounds} rounds of {compared.steps} steps, {times.threads} thread, "
            f"{times.workers} worker(s), load {times.load[0]:.2f}",
            ["side", "ms a step", "times the first", "CPU ms", "times the first's"],
            [
                [s.name, f"{1e3 * s.seconds:.2f}", f"{s.ratio:.3f}", f"{1e3 * s.cpu_seconds:.2f}", f"{s.cpu_ratio:.3f}"]
                for s in compared.sides
            ],
        )
