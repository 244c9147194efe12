"""What a task is: data, model, training and metric at one scale, and the hash by which a leaderboard knows it."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from suite.experiment.errors import RunError
from suite.experiment.frozen import Frozen, digest

Scale = Literal["paper", "lite", "quick", "smoke"]
Number = bool | int | float | str
Settings = dict[str, Number | list[Number]]


class Data(Frozen):
    """The data of a task: `fingerprint` is the SHA-256 of what the learner reads, checked when it is loaded."""

    name: str
    fingerprint: str
    settings: Settings = Field(default={})

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
    schedule: Settings = Field(default={"name": "constant"})
    settings: Settings = Field(default={})


class Metric(Frozen):
    """The number a curve shows: `chance` anchors the normalised area, a loss of `margin` still counts as equal.

    `statistic` sums up the replicates of a point. It changes no replicate's number and is part of no task's hash.
    """

    name: str
    unit: str
    higher_is_better: bool
    chance: float
    margin: Annotated[float, Field(ge=0)]
    statistic: Literal["mean", "interquartile-mean"] = "mean"

    @model_serializer(mode="wrap")
    def _without_the_usual_statistic(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Entries of a leaderboard that were written before there was a choice keep their text."""
        table: dict[str, Any] = dump(self)
        if table.get("statistic") == "mean":
            del table["statistic"]
        return table


class TaskMetric(Metric):
    """A task's metric, with what is part of no identity: where scores can lie, and what they are measured on.

    `lowest` and `highest` are None where there is no bound; an entry whose scores lie outside is refused.
    """

    lowest: float | None = None
    highest: float | None = None
    measured_on: str = "the test set"

    @property
    def stated(self) -> Metric:
        """What an entry of a leaderboard states of it."""
        return Metric(**self.model_dump(include=set(Metric.model_fields)))


class StepCost(Frozen):
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
    metric: TaskMetric

    # Part of no identity: where the code is, what it can do, what it costs, how it is described; which tensors the
    # output layer has, by which `prune_output_layer` is checked before a run (empty: it is not).
    learner: str
    cohort: str | None = None
    references: str | None = None
    probes: bool
    cost: StepCost
    title: str
    about: str = ""
    output_layer: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """First part of the id: `vision`, `rl`, `nlp`."""
        return self.id.split("/")[0]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785) of everything that can change a number."""
        beside = {"learner", "cohort", "references", "probes", "cost", "title", "about", "output_layer"}
        metric = {"statistic", "lowest", "highest", "measured_on"}
        return digest(self.model_dump(mode="json", exclude={**dict.fromkeys(beside, True), "metric": metric}))
