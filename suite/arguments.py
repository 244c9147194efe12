"""Arguments and options of the command line that several commands share, and how they are read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from suite.experiment.methods import methods

Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda (all GPUs), cuda:1, mps.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="LOTTERY_DATA",
        exists=True,
        file_okay=False,
        resolve_path=True,
        help="Folder of data sets that do not arrive in a package; no part of a result's identity.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, help="Threads of a cell (default 1); equal numbers give equal bits."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, max=1024, help="Processes of a cell that read its data (default 0).")
]
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
PlanOnly = Annotated[bool, typer.Option("--plan", help="Say what it would do and cost, without doing it.")]
Measure = Annotated[
    bool | None,
    typer.Option(
        "--measure/--no-measure",
        help="Take the time from some steps on this machine, no data needed; by default at the scale paper.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")]


def names_in(texts: list[str] | None) -> list[str]:
    """Names of an option that is comma-separated, repeated, or both."""
    return [name.strip() for text in texts or () for name in text.split(",") if name.strip()]


def run_options(
    replicates: int | None, levels: int | None, at: str | None, arms: str | None, seed: int | None,
    device: str | None, execution: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Options of the run that were given."""
    return given(
        replicates=replicates,
        levels=levels,
        at=None if at is None else at.split(","),
        arms=None if arms is None else arms.split(","),
        first_replicate=seed,
        device=device,
        exec=execution,
    )


def given(**options: Any) -> dict[str, Any]:
    """Options without those that were not given."""
    return {name: value for name, value in options.items() if value is not None}
