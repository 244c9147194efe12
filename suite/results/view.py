"""What a report is made from: a run as it stands, finished or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from suite.experiment.method import Method
from suite.experiment.result import CellResult, ConnectionResult
from suite.experiment.task import TaskSpec

MOST_TRACES: Final = 10
"""So many replicates of a task are drawn in training, and have their traces in a view."""


@dataclass(frozen=True)
class TransferSource:
    """Where the tickets of a transfer come from: the task, its method, and what the mask covers.

    `carry` says what is the source's: `mask`, `weights` or `both`.
    """

    spec: TaskSpec
    method: Method
    carry: str
    covered: tuple[str, ...]


@dataclass(frozen=True)
class MissingMask:
    """A mask that a finished run has made and that is no longer there: of which level and replicate, and its file."""

    level: int
    replicate: int
    file: str


@dataclass(frozen=True)
class Episode:
    """An episode that a trained network played, to be looked at: a GIF, and its score; `whole` if not cut short."""

    arm: str
    level: int
    density: float
    replicate: int
    score: float
    whole: bool
    gif: bytes


@dataclass(frozen=True)
class TaskView:
    """One task and method of a run: what was asked for, and the cells that are there.

    Of a transfer it is one pair: the target, with the tickets of `source`. `at` lists the levels at which arms beside
    the ladder are trained (None: all); `expected` counts the cells of the plan; `references` are the test scores of
    simple models on the same data, by the model's name. `connected` lists the levels whose tickets are tested for
    linear mode connectivity, and `connections` holds what was measured of them. `episodes` are those
    that a reader asked to see. `missing_masks` were deleted, and are made again by a run.
    """

    spec: TaskSpec
    method: Method
    arms: tuple[str, ...]
    levels: int
    at: tuple[int, ...] | None
    replicates: tuple[int, ...]
    expected: int
    cells: tuple[CellResult, ...]
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: TransferSource | None = None
    connected: tuple[int, ...] = ()
    connections: tuple[ConnectionResult, ...] = ()
    episodes: tuple[Episode, ...] = ()
    missing_masks: tuple[MissingMask, ...] = ()

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """All test scores of the dense network, as means over its finished replicates, and of each reference."""
        dense = [cell.test for cell in self.cells if cell.level == 0 and not cell.diverged]
        means = {name: fmean(scores[name] for scores in dense) for name in (dense[0] if dense else ())}
        return {"dense": means, **{name: dict(scores) for name, scores in self.references.items()}}


@dataclass(frozen=True)
class RunView:
    """A run: its name, the command line that makes it again, and its tasks in order."""

    name: str
    command: str
    tasks: tuple[TaskView, ...]
