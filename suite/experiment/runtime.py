"""Where a run computes: part of no identity but the kind of device, since it may change no number otherwise."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from suite.experiment.frozen import Frozen


class Runtime(Frozen):
    """Device, folder of data sets, threads of a cell, and worker processes that read data.

    `data` is None where no folder was named: adapters then read what installed packages bring, or download.
    """

    device: str = "cpu"
    data: Path | None = None
    threads: Annotated[int, Field(ge=1)] = 1
    workers: Annotated[int, Field(ge=0)] = 0

    @property
    def kind(self) -> str:
        """`cpu`, `cuda` or `mps`: what a cell's key holds of the runtime."""
        return self.device.split(":", maxsplit=1)[0]


HERE = Runtime()
"""The processor, one thread, and no folder of data."""
