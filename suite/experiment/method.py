"""How tickets are found and trained: hashed apart from the task, so that methods compete on one task."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from suite.experiment.frozen import Frozen, digest

ALL: Final = "all"
"""The role of a method that prunes whatever the task calls prunable."""

LEFT_OUT_AT_DEFAULT: Final = {"retraining": "rewind", "role": ALL}
"""Fields younger than the first results: at their default they are not written, so that hashes made before hold."""


class Method(Frozen):
    """How tickets are found: hashed apart from the task, so that methods compete on one task.

    `rate` is the fraction of the remaining weights that one pruning removes. `iterative` prunes the trained ticket of
    the level before; `one-shot` prunes once per density, at the start of the dense run (`score_at = "start"`) or at its
    end. `role` confines the pruning to tensors that the task declares to be for one purpose, such as the actor's; then
    densities are of these alone. `floor` is the least density of a layer. `schedule_after_rewind` says whether a
    rewound ticket goes on in the learning-rate schedule where it stood at the rewind step, or starts it again.
    `reinit_steps` gives arms with new weights the full number of steps, or as many as the winning ticket gets.

    `retraining` says how a ticket is trained (Renda, Frankle and Carbin 2020, section 2): `rewind`, weights and
    schedule of the rewind step k; `lr-rewind`, the final weights of the run that was pruned, with the schedule from k;
    `fine-tune`, the final weights, total steps - k steps at the schedule's last rate.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)] = Field(
        default="imp", description="a label, no part of the method's hash"
    )
    criterion: str = Field(default="magnitude", description="score by which weights are kept")
    schedule: Literal["iterative", "one-shot"] = Field(
        default="iterative",
        description="iterative: prune the trained ticket of the level before; one-shot: prune once a density",
    )
    score_at: Literal["start", "end"] = Field(
        default="end", description="one-shot: score at the start or at the end of the dense run"
    )
    rate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="fraction of the remaining weights that one pruning removes"
    )
    scope: Literal["global", "layerwise"] = Field(
        default="global", description="one threshold for all layers, or one for each"
    )
    role: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        default=ALL, description="tensors that are pruned: all prunable ones, or those of one of the task's roles"
    )
    floor: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, description="least density of a layer")
    rewind_step: Annotated[int, Field(ge=0)] = Field(
        default=0, description="step k whose weights a ticket starts from (rewind_epoch: the same in epochs)"
    )
    schedule_after_rewind: Literal["continue", "restart"] = Field(
        default="continue", description="whether the learning rate goes on from step k or starts again"
    )
    reinit_steps: Literal["full", "matched"] = Field(
        default="full", description="steps of arms with new weights: all, or as many as the ticket's"
    )
    retraining: Literal["rewind", "lr-rewind", "fine-tune"] = Field(
        default="rewind",
        description="how a ticket is trained (Renda et al. 2020): from weights and rate of step k, from the final "
        "weights with the rate of step k, or from the final weights at the last rate",
    )
    rounds: Annotated[int, Field(ge=1)] = Field(default=1, description="rounds in which a one-shot criterion prunes")
    probes: Annotated[int, Field(ge=1)] = Field(default=1, description="fixed batches that a criterion averages over")

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON; the name is a label and no part of it."""
        return digest(self.model_dump(mode="json", exclude={"name"}))

    @property
    def pruning(self) -> dict[str, Any]:
        """What decides a mask, once its parent is trained; the rest decides what is trained from it."""
        apart = {"name", "rewind_step", "schedule_after_rewind", "reinit_steps", "retraining"}
        return self.model_dump(mode="json", exclude=apart)

    @property
    def pruning_hash(self) -> str:
        """SHA-256 of the canonical JSON of `pruning`: the method that a ticket's header names."""
        return digest(self.pruning)

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if LEFT_OUT_AT_DEFAULT.get(name) != value}
