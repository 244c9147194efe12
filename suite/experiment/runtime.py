"""Where a run computes: part of no identity but the kind of device, since it may change no number otherwise.

Threads are the exception that a verification knows of: sums are split among them, so that the same bits are promised
for equal numbers of threads only.
"""

import os
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
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    workers: Annotated[int, Field(ge=0, le=1024)] = 0

    @property
    def kind(self) -> str:
        """`cpu`, `cuda` or `mps`: what a cell's key holds of the runtime."""
        return self.device.split(":", maxsplit=1)[0]

    def devices(self, gpus: int) -> tuple[str, ...]:
        """The devices that cells are dealt out to, on a machine of so many GPUs: `cuda` stands for all of them."""
        return tuple(f"cuda:{i}" for i in range(gpus)) if self.device == "cuda" and gpus > 1 else (self.device,)

    def slots(self, cores: int, gpus: int) -> int:
        """Cells at a time by default: one a GPU, or as many as there are cores for their threads."""
        return max(1, cores // self.threads) if self.kind == "cpu" else len(self.devices(gpus))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


HERE = Runtime()
"""The processor, one thread, and no folder of data."""
