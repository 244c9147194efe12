"""The contract between the core and a domain: what a task is, and what a domain's learner does.

The core never sees a batch, an environment or a sentence; a learner never sees a mask, an arm or a level.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, runtime_checkable

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, field_validator

from suite.experiment.streams import Streams

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Scale = Literal["paper", "lite", "quick", "smoke"]
Split = Literal["train", "validation", "test"]
Number = bool | int | float | str
Settings = dict[str, Number | list[Number]]


class Frozen(BaseModel):
    """Base of every specification: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Frozen):
    """The data of a task: `fingerprint` is the SHA-256 of what the learner reads, checked when it is loaded."""

    name: str
    fingerprint: str
    settings: Settings = {}

    def check(self, found: str) -> None:
        """Raise RunError unless the data that were loaded have the fingerprint of those the task was defined on."""
        if found != self.fingerprint:
            raise RunError(
                f"data {self.name} have fingerprint {found}, the task was defined on {self.fingerprint[:12]}…: install "
                f"the package versions that the task's extra names; or, of settings changed on purpose, add --set "
                f"data.fingerprint={found}"
            )


class Training(Frozen):
    """How one run is trained; a step is one optimizer update."""

    total_steps: Annotated[int, Field(gt=0)]
    batch: Annotated[int, Field(gt=0)]
    optimizer: Settings
    schedule: Settings = {"name": "constant"}
    settings: Settings = {}


class Metric(Frozen):
    """The number a curve shows: `chance` anchors the normalised area, a loss of `margin` still counts as equal."""

    name: str
    unit: str
    higher_is_better: bool
    chance: float
    margin: Annotated[float, Field(ge=0)]


class Cost(Frozen):
    """What a dense training step costs on one core of an ordinary machine: it feeds the plan's estimate, no result.

    `seconds_per_cohort_step` is a cell's share of a step of its cohort, where the task offers one.
    """

    seconds_per_step: Annotated[float, Field(gt=0)]
    seconds_per_cohort_step: Annotated[float, Field(gt=0)] | None = None
    flops_per_step: Annotated[float, Field(ge=0)]
    seconds_per_cell: Annotated[float, Field(ge=0)] = 0.0


class TaskSpec(Frozen):
    """One task at one scale. Its hash is its identity on a leaderboard and the only root of seeds."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(-[a-z0-9]+)*$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(\+[0-9a-z.]+)?$")]
    scale: Scale
    data: Data
    model: Settings
    prunable: Annotated[tuple[str, ...], Field(min_length=1)]
    prune_output_layer: bool
    prune_biases: bool
    training: Training
    metric: Metric

    # Part of no identity: where the code is, what it can do, what it costs, how it is described; which tensors the
    # output layer has, by which `prune_output_layer` is checked before a run (empty: it is not); and where scores can
    # lie, by which entries are checked (None: where the metric's name says).
    learner: str
    cohort: str | None = None
    references: str | None = None
    probes: bool
    cost: Cost
    title: str
    about: str = ""
    measured_on: str = "the test set"
    score_range: tuple[float, float] | None = None
    output_layer: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """First part of the id: `vision`, `rl`, `nlp`."""
        return self.id.split("/")[0]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785) of everything that can change a number."""
        return digest(
            self.model_dump(
                mode="json",
                exclude={"learner", "cohort", "references", "probes", "cost", "title", "about"}
                | {"measured_on", "output_layer", "score_range"},
            )
        )


class Method(Frozen):
    """How tickets are found: hashed apart from the task, so that methods compete on one task.

    `rate` is the fraction of the remaining weights that one pruning removes. `iterative` prunes the trained ticket of
    the level before; `one-shot` prunes once per density, at the start of the dense run (`score_at = "start"`) or at its
    end. `floor` is the least density of a layer. `schedule_after_rewind` says whether a rewound ticket goes on in the
    learning-rate schedule where it stood at the rewind step, or starts it again. `reinit_steps` gives arms with new
    weights the full number of steps, or as many as the winning ticket gets.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)] = "imp"
    criterion: str = "magnitude"
    schedule: Literal["iterative", "one-shot"] = "iterative"
    score_at: Literal["start", "end"] = "end"
    rate: Annotated[float, Field(ge=0, le=1)] = 0.2
    scope: Literal["global", "layerwise"] = "global"
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    rewind_step: Annotated[int, Field(ge=0)] = 0
    schedule_after_rewind: Literal["continue", "restart"] = "continue"
    reinit_steps: Literal["full", "matched"] = "full"
    rounds: Annotated[int, Field(ge=1)] = 1
    probes: Annotated[int, Field(ge=1)] = 1

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON; the name is a label and no part of it."""
        return digest(self.model_dump(mode="json", exclude={"name"}))

    @property
    def pruning(self) -> dict[str, Any]:
        """What decides a mask, once its parent is trained; the rest decides what is trained from it."""
        apart = {"name", "rewind_step", "schedule_after_rewind", "reinit_steps"}
        return self.model_dump(mode="json", exclude=apart)

    @property
    def pruning_hash(self) -> str:
        """SHA-256 of the canonical JSON of `pruning`: the method that a ticket's header names."""
        return digest(self.pruning)


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

    @field_validator("arms")
    @classmethod
    def _arms_once(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arms))


@dataclass(frozen=True)
class Span:
    """The steps of one training run: `first` inclusive to `last` exclusive.

    Step s uses the data and dropout of step s, and the learning rate of step s - `shift` of the schedule (0 when the
    schedule goes on from the rewind step, `first` when it starts again).
    """

    first: int
    last: int
    shift: int = 0


@dataclass(frozen=True)
class Snapshot:
    """State of a learner between two steps: tensors under dense names, and a JSON object."""

    tensors: dict[str, "Tensor"]
    meta: dict[str, Any]


class Probe(Protocol):
    """A fixed batch and the model's behaviour on it, free of side effects (no buffer, no stream is altered)."""

    def loss(self) -> "Tensor":
        """Mean training loss on the batch (scalar, differentiable), dropout off."""

    def flow(self) -> "Tensor":
        """Sum of the outputs for an all-ones input of the batch's shape; token models keep the batch's tokens."""


@runtime_checkable
class Learner(Protocol):
    """One training run in progress. A class of this shape is all a new domain needs.

    The constructor takes `(spec, streams, span, device)`, draws the initial weights from `streams.seed("init")` and
    stands at `span.first`, with a fresh optimizer. After the core has put other weights in `model`, data, dropout and
    learning rate go on from `span.first`.
    """

    model: "nn.Module"
    optimizer: "torch.optim.Optimizer"

    @property
    def step(self) -> int:
        """Next step to be taken."""

    @property
    def total_steps(self) -> int:
        """`span.last`."""

    def parameters(self) -> "Iterable[nn.Parameter]":
        """What the optimizer trains, read anew each step; gradient clipping goes over it."""

    def advance(self, until: int) -> None:
        """Train up to step `until`, exclusive. Raises `Diverged` when the loss is not finite."""

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Scores on a split, the task's metric among them; alters no stream and no buffer."""

    def trace(self) -> Sequence[Mapping[str, float]]:
        """Metrics seen in training, each with its `step`; at most a hundred or so points."""

    def recalibrate(self, n: int) -> None:
        """Recompute batch-norm statistics on `n` training batches; does nothing for a model without them."""

    def snapshot(self) -> Snapshot:
        """All that is needed to go on, bit for bit."""

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed learner."""


@runtime_checkable
class Probed(Protocol):
    """A learner with fixed batches to differentiate on: SNIP, GraSP, SynFlow, Hessian and interpolation need it."""

    def probes(self, n: int) -> Sequence[Probe]:
        """`n` probes, the same ones at every call."""


@runtime_checkable
class Noted(Protocol):
    """A learner whose scores need a word on how they are taken, such as the signature of a BLEU."""

    def notes(self) -> Mapping[str, str]:
        """Notes by name; they stand in the result of every cell."""


Build = Callable[[TaskSpec, Streams, Span, str], Learner]
"""(spec, streams, span, device) -> learner: a learner class, or a function that returns one."""


@runtime_checkable
class Cohort(Protocol):
    """A fixed list of training runs of one task and span in one program: slot i is one cell.

    The constructor takes `(spec, streams of each slot, span, device)`. `model` has the names of the single learner's
    model, every parameter and buffer with a leading slot dimension, so the core loads, masks and enforces slots as it
    does one model. Each slot owns its random streams and its gradient clipping; no slot's numbers depend on another's
    weights.
    """

    model: "nn.Module"
    optimizer: "torch.optim.Optimizer"

    @property
    def step(self) -> int:
        """Next step to be taken, the same for all slots."""

    @property
    def total_steps(self) -> int:
        """`span.last`."""

    def advance(self, until: int) -> None:
        """Train every slot up to step `until`, exclusive; a slot that diverges does not stop the others."""

    def diverged(self) -> Sequence[bool]:
        """Which slots have met a loss or weight that is not finite."""

    def evaluate(self, split: Split) -> Sequence[Mapping[str, float]]:
        """Scores of each slot on a split; alters no stream and no buffer."""

    def traces(self) -> Sequence[Sequence[Mapping[str, float]]]:
        """`Learner.trace` of each slot."""

    def snapshot(self) -> Snapshot:
        """All that is needed to go on, bit for bit."""

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed cohort."""


BuildCohort = Callable[[TaskSpec, Sequence[Streams], Span, str], Cohort]
"""(spec, streams of each slot, span, device) -> cohort."""


References = Callable[[TaskSpec], Mapping[str, Mapping[str, float]]]
"""spec -> test scores of simple models on the same data, by name (unigram, trigram), shown with the dense network's."""


class Diverged(Exception):
    """Training met a loss or a weight that is not finite: the cell is recorded as diverged."""


class UsageError(Exception):
    """A wrong request (unknown name, bad value): one line that says what is wrong and what to do; exit code 2."""


class RunError(Exception):
    """A failure while running: one line that says what is wrong and what to do; exit code 1."""


def digest(value: object) -> str:
    """SHA-256 in hex of the canonical JSON (RFC 8785) of a value; raises ValueError for NaN and infinity."""
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()  # type: ignore[arg-type]
