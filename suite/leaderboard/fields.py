"""The fields of which a leaderboard's files consist: names, texts and numbers of strangers, each with its limits."""

from typing import Annotated

from pydantic import AfterValidator, Field

from suite.experiment.frozen import Frozen

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


Tensor = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""The name of a tensor of a model."""


class Source(Frozen):
    """Where a figure or claim was published, and where in it."""

    citation: Line
    link: Link
    place: Line
