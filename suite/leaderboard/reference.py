"""What areas are measured by: chance, a dense score and densities, frozen with a board's first entry of a task hash.

<board>/references/<domain>/<task hash>.json

No later entry moves another's number: the reference stays as it is whatever is added, and nobody gains by a poor dense
network of one's own.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from suite.experiment.frozen import Frozen
from suite.experiment.task import Metric
from suite.leaderboard.fields import Density, Digest, Name
from suite.leaderboard.schema import Measured, TaskRef
from suite.results.area import learnt


class Reference(Frozen):
    """Areas of a task hash: 0 is the metric's chance, 1 is `dense`, both at every one of `densities`.

    `dense` is the mean dense score of `entry`, the first on the board, and `densities` are those of its winning arm
    below 1. `task` and `metric` are the entry's.
    """

    schema_version: Literal[1] = 1
    task: TaskRef
    metric: Metric
    dense: Annotated[float, Field(allow_inf_nan=False)]
    densities: Annotated[tuple[Density, ...], Field(min_length=1, max_length=200)]
    entry: Name

    def fits(self, task: TaskRef, metric: Metric) -> bool:
        """Whether an entry that states this task and metric is measured by it."""
        return (self.task, self.metric) == (task, metric)


Hash = Digest
"""A task's hash: what references are known by."""


def first_reference(entries: Iterable[Measured]) -> Reference | None:
    """The reference that the earliest of some entries of one task gives; None where no dense network learnt the task.

    An entry gives none whose dense network diverged or is no better than chance, or which has no winning ticket.
    """
    for entry in sorted(entries, key=lambda entry: (datetime.fromisoformat(entry.provenance.date), entry.id)):
        points = entry.curves.get("winning", ())
        scores = [value for point in points if point.level == 0 for value in point.values]
        known = [value for value in scores if value is not None]
        below = tuple(point.density for point in points if point.level > 0 and point.density < 1)
        if not known or len(known) < len(scores) or not below:
            continue
        dense = math.fsum(known) / len(known)
        if learnt(dense, entry.metric.chance, entry.metric.higher_is_better):
            return Reference(task=entry.task, metric=entry.metric, dense=dense, densities=below, entry=entry.id)
    return None
