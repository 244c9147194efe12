"""Options of the command line that several commands share: where cells compute."""

from pathlib import Path
from typing import Annotated

import typer

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
