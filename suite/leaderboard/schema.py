"""The leaderboard's files: an entry is a measured run, a figure someone reported, or a claim in words.

`leaderboards/schema.json` is generated from these models. Entries are data from strangers: every text has a length,
every number a range, and a name is never a path.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from suite.experiment.frozen import Frozen
from suite.experiment.method import Method
from suite.experiment.result import Provenance
from suite.experiment.task import Metric, Scale

SCHEMA_VERSION = 1

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
"""An entry's id and its file's name."""

Arm = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=80)]
"""An arm; its curve begins with the dense network at level 0."""

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Link = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=300)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _in_a_domain(name: str) -> str:
    domain = name.split("/", maxsplit=1)[0]
    if domain in ("schema", "masks", "runs", "upload", "plugins", "receipts", "references"):  # what else a board has
        raise ValueError(f"{domain!r} is no name for a domain")
    return name


Domain = Annotated[Name, AfterValidator(_in_a_domain)]
TaskId = Annotated[
    str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(-[a-z0-9]+)*$", max_length=80), AfterValidator(_in_a_domain)
]
Count = Annotated[int, Field(ge=0, le=10**9)]
Amount = Annotated[float, Field(ge=0)]
Score = Annotated[float, Field(ge=-1e30, le=1e30)]
"""Its square and its sums are still numbers, whatever a stranger's file says."""

Density = Annotated[float, Field(gt=0, le=1)]


class Source(Frozen):
    """Where a figure or claim was published, and where in it."""

    citation: Line
    link: Link
    place: Line


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


class LadderRef(Frozen):
    """The ladder file of one replicate that does not lie in the board."""

    replicate: Annotated[int, Field(ge=0, lt=1000)]
    bytes: Annotated[int, Field(ge=1, le=2**31)]
    sha256: Digest


class Ladders(Frozen):
    """Ladders too large for a board: a folder, or an https address, that holds `<domain>/<entry id>/<ladder file>`."""

    location: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
    ladders: Annotated[tuple[LadderRef, ...], Field(min_length=1, max_length=1000)]


class Measured(Frozen):
    """A run of the suite: replicates 0 to n - 1 of every arm, with all that is needed to train a cell again.

    `masks` says where the ladder files are that do not lie in the board; it is left out of the file where they do.
    """

    schema_version: Literal[1]
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

    @property
    def domain(self) -> str:
        """First part of the task's id."""
        return self.task.id.split("/")[0]

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = dump(self)
        return {key: value for key, value in table.items() if key != "masks" or value is not None}


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


class Claim(Frozen):
    """A finding in words, and the comparison that tests it here: winning against `against` on measured tasks.

    It is about `data` and a model `family`: `tasks` are those of this data set and family, and entries of no other
    count. `substitutes` are tasks that stand in for them at the size of a small machine; what is seen there is told
    beside the claim. It speaks of magnitude pruning with late rewinding by `schedule`, at densities from `densest` to
    `sparsest`.
    """

    schema_version: Literal[1]
    kind: Literal["claim"]
    id: Name
    domain: Domain
    statement: Line
    source: Source
    data: Line
    family: Line
    tasks: tuple[TaskId, ...]
    substitutes: tuple[TaskId, ...] = ()
    against: Literal["dense", "reinit", "random", "shuffled_layerwise", "shuffled_mask"]
    holds_if: Annotated[tuple[Literal["wins", "ties", "loses"], ...], Field(min_length=1)]
    schedule: Literal["iterative", "one-shot"] = "iterative"
    densest: Density = 1.0
    sparsest: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _speaks_of_a_density(self) -> "Claim":
        if self.sparsest > self.densest:
            raise ValueError(f"sparsest = {self.sparsest} is denser than densest = {self.densest}: exchange them")
        return self

    @model_validator(mode="after")
    def _substitutes_stand_apart(self) -> "Claim":
        both = sorted({*self.tasks} & {*self.substitutes})
        if both:
            raise ValueError(f"{', '.join(both)} is the claim's own task and a substitute: one of them")
        return self


Entry = Annotated[Measured | Reported | Claim, Field(discriminator="kind")]
ENTRY: TypeAdapter[Measured | Reported | Claim] = TypeAdapter(Entry)


class IndexRow(Frozen):
    """One line of a domain's index."""

    id: Name
    kind: Literal["measured", "reported", "claim"]
    title: Line
    tasks: tuple[TaskId, ...]
    version: str | None
    scale: Scale | None
    method: str | None
    date: date | None


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
