"""What a task is: data, model, training and metric at one scale, and the hash by which a leaderboard knows it."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from typing_extensions import TypeAliasType

from suite.experiment.errors import RunError
from suite.experiment.frozen import Frozen, digest

Scale = Literal["paper", "lite", "quick", "smoke"]
Number = bool | int | float | str
Value = TypeAliasType("Value", "Number | list[Value] | dict[str, Value]")
"""What a table of settings holds: numbers, words, truth values, lists and tables of them."""

Settings = dict[str, Value]

CHANGED = "+changed"
"""The end of the version of a task that a command line changed."""


class Data(Frozen):
    """The data of a task: `fingerprint` is the SHA-256 of what the learner reads, checked when it is loaded."""

    name: str = Field(description="the dataset; behind a hyphen, a label of the part of it that is read")
    fingerprint: str = Field(description="SHA-256 of what the learner reads, checked when it is loaded")
    settings: Settings = Field(default={}, description="what the dataset is told")

    def check(self, found: str) -> None:
        """Raise RunError unless the data that were loaded have the fingerprint of those the task was defined on."""
        if found != self.fingerprint:
            raise RunError(
                f"data {self.name} have fingerprint {found}, the task was defined on {self.fingerprint[:12]}…: install "
                f"the package versions that the task's extra names; or, of settings changed on purpose, state "
                f"data.fingerprint in the task's file, or add --set data.fingerprint={found}"
            )


class Training(Frozen):
    """How one run is trained; a step is one optimizer update."""

    total_steps: Annotated[int, Field(gt=0)] = Field(
        description="optimizer updates of a run (epochs: the same in passes over the training data)"
    )
    batch: Annotated[int, Field(gt=0)] = Field(description="examples in a step")
    optimizer: Settings = Field(description="the optimizer and its arguments")
    schedule: Settings = Field(default={"name": "constant"}, description="the learning rate's schedule")
    settings: Settings = Field(default={}, description="what the learner is told")


class Metric(Frozen):
    """The number a curve shows: `chance` anchors the normalised area, a loss of `margin` still counts as equal.

    `statistic` sums up the replicates of a point. It changes no replicate's number and is part of no task's hash.
    """

    name: str = Field(description="the score that a curve shows")
    unit: str = Field(description="its unit")
    higher_is_better: bool = Field(description="whether more of it is better")
    chance: float = Field(description="its value without training: the foot of the normalised area")
    margin: Annotated[float, Field(ge=0)] = Field(description="a loss of this much still counts as equal")
    statistic: Literal["mean", "interquartile-mean"] = Field(
        default="mean", description="what sums up the replicates of a point"
    )

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

    lowest: float | None = Field(default=None, description="least value that a score can have")
    highest: float | None = Field(default=None, description="greatest value that a score can have")
    measured_on: str = Field(
        default="the test set",
        description="what the test score is measured on; {name} stands for a number of training.settings",
    )

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value that a score can have."""
        return (
            -math.inf if self.lowest is None else self.lowest,
            math.inf if self.highest is None else self.highest,
        )

    def admits(self, score: float | None) -> bool:
        """Whether a score is within the bounds, as that of a diverged run is."""
        low, high = self.bounds
        return score is None or low <= score <= high

    @property
    def stated(self) -> Metric:
        """What an entry of a leaderboard states of it."""
        return Metric(**self.model_dump(include=set(Metric.model_fields)))


class StepCost(Frozen):
    """What a dense training step costs on one core of an ordinary machine: it feeds the plan's estimate, no result.

    `seconds_per_cohort_step` is a cell's share of a step of its cohort, where the task offers one.
    """

    seconds_per_step: Annotated[float, Field(gt=0)] = Field(description="seconds of a dense training step on one core")
    seconds_per_cohort_step: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="a cell's share of a step of its cohort, in seconds"
    )
    flops_per_step: Annotated[float, Field(ge=0)] = Field(
        description="FLOPs of a dense training step, as torch counts them"
    )
    seconds_per_cell: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="seconds of a cell beside its steps"
    )


class TaskSpec(Frozen):
    """One task at one scale. Its hash is its identity on a leaderboard and the only root of seeds."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(-[a-z0-9]+)*$")] = Field(
        description="domain and name: another task has another id"
    )
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(\+[0-9a-z.]+)?$")] = Field(
        description="raised with every changed number"
    )
    scale: Scale = Field(description="which numbers of the task these are")
    data: Data
    model: Settings = Field(description="the network and its settings")
    prunable: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="tensors that are pruned, by name or pattern"
    )
    prune_output_layer: bool = Field(description="whether the output layer is among them")
    prune_biases: bool = Field(description="whether biases are among them")
    training: Training
    metric: TaskMetric

    # Part of no identity: where the code is, what it can do, what it costs, how it is described; which tensors the
    # output layer has, by which `prune_output_layer` is checked before a run (empty: it is not); what tensors are for.
    # A method that prunes one role alone has its tensors by name in the keys of its masks.
    learner: str = Field(description="the class that trains it, module:name")
    cohort: str | None = Field(default=None, description="the class that trains several cells at once, module:name")
    references: str | None = Field(
        default=None, description="function that scores simple models on the same data, module:name"
    )
    probes: bool = Field(
        description="whether the learner has fixed batches to differentiate on, as SNIP, GraSP and SynFlow need"
    )
    cost: StepCost
    title: str = Field(description="the task in a few words")
    about: str = Field(default="", description="the task in a sentence or two")
    output_layer: tuple[str, ...] = Field(default=(), description="tensors of the output layer, by name or pattern")
    roles: dict[str, tuple[str, ...]] = Field(
        default={}, description="tensors by what they are for, such as actor and critic, by name or pattern"
    )

    @property
    def domain(self) -> str:
        """First part of the id: `vision`, `rl`, `nlp`."""
        return self.id.split("/")[0]

    @property
    def changed(self) -> bool:
        """Whether a command line changed it."""
        return self.version.endswith(CHANGED)

    @property
    def measured_on(self) -> str:
        """What the test score is measured on, such as 100 fresh episodes where the task plays so many."""
        numbers = self.training.settings
        return re.sub(r"{(\w+)}", lambda named: str(numbers.get(named[1], named[0])), self.metric.measured_on)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785) of everything that can change a number."""
        beside = {"learner", "cohort", "references", "probes", "cost", "title", "about", "output_layer", "roles"}
        metric = {"statistic", "lowest", "highest", "measured_on"}
        return digest(self.model_dump(mode="json", exclude={**dict.fromkeys(beside, True), "metric": metric}))
