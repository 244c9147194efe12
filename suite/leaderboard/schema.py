"""The leaderboard's files: an entry is a measured run, a figure someone reported, or a claim in words.

Version 2 of the schema added what version 1 has not, and only entries that need it are of it: measured runs of a
transfer, and claims about arms, sources and methods. Files of version 1 stay as they are, to the byte.

`leaderboards/schema.json` is generated from these models. Entries are data from strangers: every text has a length,
every number a range, and a name is never a path.
"""

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, TypeAdapter, model_serializer, model_validator

from suite.experiment.frozen import Frozen
from suite.experiment.method import Method
from suite.experiment.options import Carry
from suite.experiment.result import Provenance, Word
from suite.experiment.task import Metric, Scale
from suite.leaderboard.claim import Claim
from suite.leaderboard.fields import (
    Amount,
    Arm,
    Count,
    Density,
    Digest,
    Domain,
    Line,
    Link,
    Name,
    Score,
    Source,
    TaskId,
    Tensor,
    Text,
)

SCHEMA_VERSIONS: Final = (1, 2)


class TaskRef(Frozen):
    """The task at its scale; `hash` names every number that decides a result."""

    id: TaskId
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(\+[0-9a-z.]+)?$", max_length=40)]
    hash: Digest
    scale: Scale


class Submitted(Frozen):
    """A method as it competes: its settings, and a line for people."""

    settings: Method
    description: Line
    link: Link | None = None


class Protocol(Frozen):
    """Which cells the run consists of: with task and method it gives the plan again."""

    arms: Annotated[tuple[Arm, ...], Field(min_length=1, max_length=20)]
    levels: Annotated[int, Field(ge=1, le=200)]
    at: tuple[Annotated[int, Field(ge=1, le=200)], ...] | None
    replicates: Annotated[int, Field(ge=1, le=1000)]
    exec: Literal["single", "cohort"]
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d{1,3})?)$")]


class EntryPoint(Frozen):
    """One arm at one level: every replicate's test score, and the digest of its trained weights.

    A diverged replicate has no score (None); one whose ladder diverged at a level before was never trained here and
    has no digest either.
    """

    level: Annotated[int, Field(ge=0, le=200)]
    density: Density
    values: Annotated[tuple[Score | None, ...], Field(min_length=1, max_length=1000)]
    weights: Annotated[tuple[Digest | None, ...], Field(min_length=1, max_length=1000)]


class EntryCost(Frozen):
    """What the run took, over all its cells; energy in kWh if it was measured, FLOPs if they could be counted."""

    steps: Count
    flops_dense: Amount | None
    flops_sparse: Amount | None
    cpu_hours: Amount
    gpu_hours: Amount
    energy_kwh: Amount | None = None


class TicketRef(Frozen):
    """The mask of one level of one replicate, in the replicate's ladder file."""

    level: Annotated[int, Field(ge=1, le=200)]
    replicate: Annotated[int, Field(ge=0, lt=1000)]
    digest: Digest


def ladder_file(replicate: int) -> str:
    """Name of a replicate's ladder file: derived, so that no entry can name another path."""
    return f"replicate-{replicate:03}.ladder"


def shared_ladder_file(sha256: str) -> str:
    """Name of a ladder file that several entries share."""
    return f"{sha256}.ladder"


class LadderRef(Frozen):
    """The ladder file of one replicate that does not lie in the entry's own folder of the board."""

    replicate: Annotated[int, Field(ge=0, lt=1000)]
    bytes: Annotated[int, Field(ge=1, le=2**31)]
    sha256: Digest


class Ladders(Frozen):
    """Where ladder files are that do not lie in the entry's own folder of the board.

    `location` is a folder, or an https address, for ladders too large for a board. It holds
    `<domain>/<entry id>/<ladder file>`, or of a transfer `<domain>/<SHA-256>.ladder`, which all targets share. Those
    without a location lie in the board, and are found by their SHA-256.
    """

    location: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] | None
    ladders: Annotated[tuple[LadderRef, ...], Field(min_length=1, max_length=1000)]


class TicketSource(Frozen):
    """Where the tickets of a transfer come from: the task and method that found them, and what was carried over.

    `carry` says what is the source's: mask, weights, or `both`; `covered` are the target's prunable tensors that the
    masks cover, by which densities are counted. `ladder` are the source's own cells, level 0 and those that masks were
    pruned from, in the source's `metric`; with `weights` alone it has level 0 only, and the masks were found by
    `own_ladder`, the target's. `cost` is that of both ladders.
    """

    task: TaskRef
    metric: Metric
    data_fingerprint: Word
    method: Method
    carry: Carry
    covered: Annotated[tuple[Tensor, ...], Field(min_length=1, max_length=10_000)]
    ladder: Annotated[tuple[EntryPoint, ...], Field(min_length=1, max_length=201)]
    own_ladder: Annotated[tuple[EntryPoint, ...], Field(max_length=201)] = ()
    cost: EntryCost

    @property
    def ladders(self) -> dict[str, tuple[EntryPoint, ...]]:
        """The cells that found the tickets, by the name that stands for their arm."""
        return {SOURCE: self.ladder, **({OWN: self.own_ladder} if self.own_ladder else {})}


CARRIED: Final = {"both": "tickets", "mask": "masks", "weights": "weights"}
"""What comes from a transfer's source, for people."""

SOURCE: Final = "source"
"""Stands where a cell's arm does for the cells of a transfer's source: its dense run and its ladder."""

OWN: Final = "own"
"""The same for the target's own ladder, where a transfer carries weights alone."""


class Measured(Frozen):
    """A run of the suite: replicates 0 to n - 1 of every arm, with all that is needed to train a cell again.

    `masks` says where the ladder files are that do not lie in the entry's folder of the board, `source` where the
    tickets of a transfer come from, whose target `task` is; each is left out of the file where there is none.
    """

    schema_version: Literal[1, 2]
    kind: Literal["measured"]
    id: Name
    title: Line
    author: Line
    task: TaskRef
    metric: Metric
    method: Submitted
    protocol: Protocol
    curves: Annotated[dict[Arm, tuple[EntryPoint, ...]], Field(min_length=1, max_length=20)]
    cost: EntryCost
    provenance: Provenance
    code: Text
    tickets: Annotated[tuple[TicketRef, ...], Field(max_length=200_000)]
    masks: Ladders | None = None
    source: TicketSource | None = None

    @property
    def domain(self) -> str:
        """First part of the task's id."""
        return self.task.id.split("/")[0]

    @property
    def all_curves(self) -> dict[str, tuple[EntryPoint, ...]]:
        """The points of every arm, and of the ladders that found a transfer's tickets."""
        return {**self.curves, **({} if self.source is None else self.source.ladders)}

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = dump(self)
        return {key: value for key, value in table.items() if key not in ("masks", "source") or value is not None}

    @model_validator(mode="after")
    def _is_of_its_version(self) -> "Measured":
        if (self.schema_version == 2) != (self.source is not None):
            raise ValueError("a measured entry has schema_version 2 if it has a source, and else 1")
        if self.source is not None and {SOURCE, OWN} & self.curves.keys():
            raise ValueError(f"{SOURCE} and {OWN} stand for a transfer's ladders: no arm of it is named so")
        located = self.masks is not None and self.masks.location is not None
        if self.source is None and self.masks is not None and not located:
            raise ValueError("masks without a location are for a transfer, whose ladder several entries share")
        return self


class ReportedPoint(Frozen):
    """A published figure: the mean, and what it was a mean of where that is known."""

    density: Density
    value: Score
    sd: Amount | None = None
    replicates: Annotated[int, Field(ge=1)] | None = None


class Reported(Frozen):
    """Figures somebody published: shown, and never ranked against measured ones. `faithful`: the papers' protocol."""

    schema_version: Literal[1]
    kind: Literal["reported"]
    id: Name
    title: Line
    task: TaskId
    metric: Metric
    method: Line
    curves: Annotated[dict[Line, tuple[ReportedPoint, ...]], Field(min_length=1, max_length=21)]
    source: Source
    faithful: bool
    departs: Text = ""

    @property
    def domain(self) -> str:
        """First part of the task's id."""
        return self.task.split("/")[0]

    @model_validator(mode="after")
    def _says_how_it_departs(self) -> "Reported":
        if not self.faithful and not self.departs:
            raise ValueError("a figure that is not faithful to the protocol says in `departs` how it differs")
        return self


Entry = Annotated[Measured | Reported | Claim, Field(discriminator="kind")]
ENTRY: TypeAdapter[Measured | Reported | Claim] = TypeAdapter(Entry)


class IndexRow(Frozen):
    """One line of a domain's index; `source` is the task that a transfer's tickets are from, and stands only there."""

    id: Name
    kind: Literal["measured", "reported", "claim"]
    title: Line
    tasks: tuple[TaskId, ...]
    version: str | None
    scale: Scale | None
    method: str | None
    date: date | None
    source: TaskId | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = dump(self)
        return {key: value for key, value in table.items() if key != "source" or value is not None}


class Index(Frozen):
    """`<domain>.json`, generated from the entries' files."""

    schema_version: Literal[1]
    domain: Domain
    entries: tuple[IndexRow, ...]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an entry, as `leaderboards/schema.json` holds it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Entry of a lottery-suite leaderboard",
        **ENTRY.json_schema(),
    }
