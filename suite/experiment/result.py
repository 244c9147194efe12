"""What a finished cell says: the result JSON, one file per training run."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from suite.experiment.barrier import POINTS, barrier
from suite.experiment.domain import ResultVersions
from suite.experiment.frozen import Frozen

Scores = dict[str, float]


class Layer(Frozen):
    """Survivors of one prunable tensor, or of all tensors of one role."""

    remaining: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(gt=0)]

    @property
    def density(self) -> float:
        """Survivors / weights."""
        return self.remaining / self.size


class Spent(Frozen):
    """What the cell cost: wall and CPU seconds, training FLOPs if dense and by density, peak memory in bytes.

    FLOPs are None where they could not be counted.
    """

    wall_seconds: Annotated[float, Field(ge=0)]
    cpu_seconds: Annotated[float, Field(ge=0)]
    flops_dense: Annotated[float, Field(ge=0)] | None
    flops_sparse: Annotated[float, Field(ge=0)] | None
    peak_memory: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _both_counted(self) -> "Spent":
        if (self.flops_dense is None) != (self.flops_sparse is None):
            raise ValueError("FLOPs are counted dense and by density, or neither")
        return self


def _is_a_date(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""Printed as it is: no control character, so that nobody's file moves a reader's cursor."""

Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d\d:\d\d|Z)$"), AfterValidator(_is_a_date)]
Facts = Annotated[dict[Word, Word], Field(max_length=200)]


class Provenance(Frozen):
    """Where the numbers come from."""

    suite_version: Word
    git_revision: Word | None
    dirty: bool | None
    versions: Facts
    hardware: Annotated[dict[Word, Word | int], Field(max_length=50)]
    data_fingerprint: Word
    date: Date
    device: Word
    execution: Word
    threads: Annotated[int, Field(ge=1)]

    @property
    def machines(self) -> int:
        """Types of machine that made the numbers: an entry's cells may be of several, a cell is of one."""
        said = self.hardware.get("machines", 1)
        return said if isinstance(said, int) else 1


def total_flops(results: Iterable["CellResult"], which: Literal["flops_dense", "flops_sparse"]) -> float | None:
    """FLOPs of several cells; None where one of them was not counted."""
    each = [getattr(result.spent, which) for result in results]
    return None if None in each else float(sum(each))


class CellResult(Frozen):
    """One training run: task, method, arm, level, replicate, and what came out.

    `dense` is the arm of level 0. A diverged run has no scores but keeps its place. `weights_digest` is the SHA-256 of
    the trained weights: equal digests are equal bits. `notes` say how scores were taken, such as sacrebleu's signature.
    `result_versions` are those of the code that made it. `layers` are the tensors that the mask has, `roles` what the
    task says its prunable tensors are for; a task that says nothing leaves them out.
    """

    schema_version: Literal[1] = 1
    key: str
    task: str
    task_version: str
    task_hash: str
    scale: str
    method: str
    method_hash: str
    arm: str
    level: int
    replicate: int
    steps: int
    first_step: int
    metric: str
    diverged: bool
    validation: Scores
    test: Scores
    trace: tuple[Scores, ...]
    notes: dict[str, str] = Field(default_factory=dict)
    density: float
    total_density: float
    layers: dict[str, Layer]
    roles: dict[str, Layer] = Field(default_factory=dict)
    weights_digest: str
    mask_digest: str
    spent: Spent
    provenance: Provenance
    result_versions: ResultVersions = Field(default_factory=ResultVersions)

    @property
    def value(self) -> float | None:
        """Test score in the task's metric; None when the run diverged."""
        return None if self.diverged else self.test[self.metric]

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Results that were written before there were roles keep their text."""
        table: dict[str, Any] = dump(self)
        return {name: value for name, value in table.items() if name != "roles" or value}


Error = Annotated[float, Field(ge=0, le=1)]


class ConnectionResult(Frozen):
    """The errors on the straight line between the final weights of two children of one ticket (shares of 1).

    Points are equally spaced, from child 0 to child 1, batch norm recalibrated at each. Training errors are empty where
    they were not asked for; all are where a child diverged. `children` are the keys of both runs.
    """

    schema_version: Literal[1] = 1
    key: str
    task: str
    task_version: str
    task_hash: str
    scale: str
    method: str
    method_hash: str
    rewind_step: int
    level: int
    replicate: int
    density: float
    children: tuple[str, str]
    metric: str
    recalibration: int
    diverged: bool
    validation_errors: tuple[Error, ...]
    training_errors: tuple[Error, ...]
    spent: Spent
    provenance: Provenance

    @model_validator(mode="after")
    def _whole_paths(self) -> "ConnectionResult":
        if len(self.validation_errors) != (0 if self.diverged else POINTS):
            raise ValueError(f"a path has {POINTS} points, and none where a child diverged")
        if self.training_errors and len(self.training_errors) != len(self.validation_errors):
            raise ValueError("training and validation errors are of the same points")
        return self

    @property
    def value(self) -> float | None:
        """The barrier on the validation split, which verdicts rest on; None where a child diverged."""
        return None if self.diverged else barrier(self.validation_errors)

    @property
    def training_barrier(self) -> float | None:
        """The barrier in training error; None where it was not measured."""
        return barrier(self.training_errors) if self.training_errors else None
