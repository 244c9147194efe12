"""What of an experiment is run, and on what: part of no identity."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from suite.experiment.frozen import Frozen
from suite.experiment.runtime import Runtime


class RunOptions(Frozen):
    """What of the experiment is run, and how: part of no identity.

    `at` lists the levels at which arms beside the ladder itself are trained (None: at all of them). `exec` says whether
    cells are trained one by one or, where the task offers it, as cohorts.
    """

    arms: tuple[str, ...] = ("winning", "reinit", "random")
    levels: Annotated[int, Field(ge=0, le=200)] = 5
    at: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    replicates: Annotated[int, Field(ge=1, le=10_000)] = 2
    first_replicate: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    exec: Literal["single", "cohort"] = "single"
    executor: Literal["local", "inline"] = "local"
    jobs: Annotated[int, Field(ge=1)] | None = None
    device: str = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    data: Path | None = None

    @property
    def runtime(self) -> Runtime:
        """Where cells compute."""
        return Runtime(device=self.device, data=self.data, threads=self.threads, workers=self.workers)

    @field_validator("arms")
    @classmethod
    def _arms_once(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arms))
