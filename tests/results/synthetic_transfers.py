"""Synthetic transfers: a run of every source on every target, as `synthetic_cells` makes a run of one task."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from synthetic_cells import spec, view

from suite.experiment.method import Method
from suite.results.text import Judged, judged
from suite.results.transfer import Matrix, matrices
from suite.results.view import RunView, TaskView, TransferSource

NOISE = 0.002
GOOD = {"wide": 0.04, "narrow": 0.01}
"""By source, how much a level costs less than it costs a random ticket."""


def pair(target: str, source: str, good: float, carry: str = "both", fresh: str = "", **changed: Any) -> TaskView:
    """Tickets of `vision/<source>-net-sgd` on `vision/<target>-net-sgd`; a random ticket loses .05 a level."""
    metrics = {key.removeprefix("metric_"): changed.pop(key) for key in list(changed) if key.startswith("metric_")}
    own, theirs = (
        spec(id=f"vision/{name}-net-sgd", title=name, metric=metrics.get(name, {})) for name in (target, source)
    )

    def value(arm: str, level: int, replicate: int) -> float:
        which = source if arm == "winning" else arm
        noise = Random(f"{target} {which} {level} {replicate}").gauss(0, NOISE)
        return 0.9 - {"dense": 0.0, "random": 0.05, "winning": 0.05 - good}[arm] * level + noise

    method = Method(name=f"imp from {theirs.id}")
    found = view(value, own, **{"arms": ("winning", "random"), "levels": 3, "method": method, **changed})
    note = {"drawn anew under every arm": fresh} if fresh else {}
    cells = tuple(each.model_copy(update={"notes": note}) if each.arm == "winning" else each for each in found.cells)
    return replace(found, cells=cells, source=TransferSource(theirs, Method(), carry, ("fc1.weight",)))


def run(targets: Sequence[str] = ("wide", "narrow"), good: Mapping[str, float] = GOOD, **changed: Any) -> RunView:
    """A matrix of sources, by what they are good for, on targets."""
    tasks = [pair(target, source, gain, **changed) for target in targets for source, gain in good.items()]
    return RunView("a transfer", "lottery transfer --sources wide,narrow --targets wide,narrow", tuple(tasks))


def matrix(*args: Any, **changed: Any) -> Matrix:
    """The one matrix of such a run."""
    found: list[Judged] = judged(run(*args, **changed))
    (only,) = matrices(found)
    return only
