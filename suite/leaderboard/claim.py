"""A claim on a leaderboard: a paper's finding in words, and the comparison that tests it here."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from suite.experiment.frozen import Frozen
from suite.experiment.options import Carry
from suite.experiment.task import Scale
from suite.leaderboard.fields import Density, Domain, Line, Name, Source, TaskId


class Transfers(Frozen):
    """Transfers that a claim speaks of: the tickets of each source on each target but itself.

    With `rivals` the claim is about which source is better: each source against each rival on each target, those left
    out that are themselves a source or rival of the pair.
    """

    sources: Annotated[tuple[TaskId, ...], Field(min_length=1)]
    targets: Annotated[tuple[TaskId, ...], Field(min_length=1)]
    carry: Carry = "both"
    rivals: tuple[TaskId, ...] = ()

    @property
    def tasks(self) -> tuple[TaskId, ...]:
        """All tasks that take part."""
        return (*self.sources, *self.rivals, *self.targets)


AGAINST_SOURCE: Final = "source"
AGAINST_LAYERWISE: Final = "layerwise"

ClaimArm = Literal["winning", "reinit", "random", "shuffled_layerwise", "shuffled_mask"]

_SINCE_2: Final[dict[str, Any]] = {"arm": "winning", "transfers": (), "substitute_transfers": (), "scales": ()}


class Claim(Frozen):
    """A finding in words, and the comparison that tests it here: `arm` against `against`, as verdicts over areas.

    It is about `data` and a model `family`: `tasks` and `transfers` are those of this data set and family, and entries
    of no other count. `substitutes` and `substitute_transfers` stand in for them at the size of a small machine; what
    is seen there is told beside it. With `scales` its tasks are its own at these scales alone: at others, of less
    data or a smaller network, they are substitutes. It speaks of magnitude pruning with late rewinding by `schedule`,
    at densities from `densest` to `sparsest`.

    `against` is another arm of the same entry; or `source`, the tickets of each transfer's rivals on the same target;
    or `layerwise`, the entry of the same method with one threshold a layer.
    """

    schema_version: Literal[1, 2]
    kind: Literal["claim"]
    id: Name
    domain: Domain
    statement: Line
    source: Source
    data: Line
    family: Line
    tasks: tuple[TaskId, ...]
    substitutes: tuple[TaskId, ...] = ()
    against: Literal["dense", "reinit", "random", "shuffled_layerwise", "shuffled_mask", "source", "layerwise"]
    holds_if: Annotated[tuple[Literal["wins", "ties", "loses"], ...], Field(min_length=1)]
    schedule: Literal["iterative", "one-shot"] = "iterative"
    densest: Density = 1.0
    sparsest: Annotated[float, Field(ge=0, le=1)] = 0.0
    arm: ClaimArm = "winning"
    transfers: tuple[Transfers, ...] = ()
    substitute_transfers: tuple[Transfers, ...] = ()
    scales: tuple[Scale, ...] = ()

    @property
    def all_tasks(self) -> tuple[TaskId, ...]:
        """Every task that the claim names, each once."""
        moved = (task for each in (*self.transfers, *self.substitute_transfers) for task in each.tasks)
        return tuple(dict.fromkeys((*self.tasks, *self.substitutes, *moved)))

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = dump(self)
        return {key: value for key, value in table.items() if not _unset(key, value)}

    @model_validator(mode="after")
    def _is_of_its_version(self) -> "Claim":
        new = any(not _unset(name, getattr(self, name)) for name in _SINCE_2)
        if (self.schema_version == 2) != (new or self.against in (AGAINST_SOURCE, AGAINST_LAYERWISE)):
            raise ValueError(
                f"a claim has schema_version 2 if it has {', '.join(_SINCE_2)} or is against {AGAINST_SOURCE} or "
                f"{AGAINST_LAYERWISE}, and else 1"
            )
        return self

    @model_validator(mode="after")
    def _compares_two(self) -> "Claim":
        between = [bool(each.rivals) for each in (*self.transfers, *self.substitute_transfers)]
        if self.against == AGAINST_SOURCE and not (between and all(between) and not self.tasks + self.substitutes):
            raise ValueError("against = source takes transfers with rivals, and nothing else")
        if self.against != AGAINST_SOURCE and any(between):
            raise ValueError(f"rivals are sources to compare with: against = {AGAINST_SOURCE} is needed")
        if self.against == AGAINST_LAYERWISE and between:
            raise ValueError("against = layerwise compares entries of one task: it takes no transfers")
        if self.arm == self.against or (self.arm != "winning" and self.against in (AGAINST_SOURCE, AGAINST_LAYERWISE)):
            raise ValueError(f"arm = {self.arm} is not compared with {self.against}")
        return self

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


def _unset(key: str, value: Any) -> bool:
    """Whether a field younger than the first claims is at its default: as it is in Python, or a list as JSON has it."""
    return key in _SINCE_2 and (tuple(value) if isinstance(value, list) else value) == _SINCE_2[key]
