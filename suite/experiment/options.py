"""What of an experiment is run, and on what: part of no identity."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from suite.experiment.frozen import Frozen
from suite.experiment.runtime import Runtime

Carry = Literal["both", "mask", "weights"]
CARRIES: dict[str, Carry] = {carry: carry for carry in get_args(Carry)}
"""What of a ticket can come from a transfer's source, by name."""


class Connected(Frozen):
    """Which tickets are tested for linear mode connectivity, and how: the line between two children of each."""

    levels: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = Field(
        description="levels whose tickets are tested; 0: the dense network at the rewind step"
    )
    recalibration: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=20, description="training batches that batch norm is recalibrated on at every point"
    )
    training_error: bool = Field(default=False, description="whether training error is measured too, at every point")


class RunOptions(Frozen):
    """What of the experiment is run, and how: part of no identity.

    `at` lists the levels at which arms beside the ladder itself are trained (None: at all of them). `exec` says whether
    cells are trained one by one or, where the task offers it, as cohorts.
    """

    arms: tuple[str, ...] = Field(default=("winning", "reinit", "random"), description="ways to start from a ticket")
    levels: Annotated[int, Field(ge=0, le=200)] = Field(
        default=5, description="prunings: N gives levels 0 (dense) to N"
    )
    at: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None, description="levels at which the other arms are trained; unset: all"
    )
    replicates: Annotated[int, Field(ge=1, le=10_000)] = Field(default=2, description="seeds of the whole chain")
    first_replicate: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0, description="number of the first replicate"
    )
    exec: Literal["single", "cohort"] = Field(default="single", description="cells one by one, or as cohorts")
    executor: Literal["local", "inline"] = Field(default="local", description="worker processes, or this process")
    jobs: Annotated[int, Field(ge=1)] | None = Field(default=None, description="cells at a time; unset: one a core")
    device: str = Field(default="cpu", description="where cells compute")
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(default=1, description="threads of a cell")
    workers: Annotated[int, Field(ge=0, le=1024)] = Field(default=0, description="processes that read data for a cell")
    data: Path | None = Field(default=None, description="folder of data sets")
    connected: Connected | None = Field(
        default=None, description="levels whose tickets are tested for linear mode connectivity; unset: none"
    )

    @property
    def runtime(self) -> Runtime:
        """Where cells compute."""
        return Runtime(device=self.device, data=self.data, threads=self.threads, workers=self.workers)

    @field_validator("arms")
    @classmethod
    def _arms_once(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arms))
