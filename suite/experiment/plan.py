"""What a plan is: cells, the masks pruned from them, what they cost; and what planning must know of code. No torch.

The keys name results by how they are made (task, starting point, streams, code, execution), so a plan knows what a
store may have without opening it, and two plans that need the same training share it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from suite.experiment.connection import Connection
from suite.experiment.domain import ResultVersions
from suite.experiment.learner import Span
from suite.experiment.method import Method
from suite.experiment.start import Start
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task

DENSE = "dense"
LADDER = "winning"
RANDOM = "random"


@dataclass(frozen=True)
class ArmFacts:
    """What a plan needs to know of an arm: whose weights it trains, and the digest of third-party code.

    `inherits`: new weights take something over from the ticket's, such as their signs.
    """

    weights: Literal["rewound", "fresh"]
    code: str = ""
    inherits: bool = False


@dataclass(frozen=True)
class CriterionFacts:
    """What a plan needs to know of a criterion: the digest of third-party code, and what it is handed.

    `rewound`: the weights at the rewind step; `steps`: those of the dense run at these steps.
    """

    code: str = ""
    rewound: bool = False
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know of code: the arms, the method's criterion, and the versions of what trains."""

    arms: Mapping[str, ArmFacts]
    criterion: CriterionFacts = field(default_factory=CriterionFacts)
    versions: ResultVersions = field(default_factory=ResultVersions)


@dataclass(frozen=True)
class Prune:
    """A mask to be made from a cell by a method: `level` prunings at once from the mask that the cell itself has.

    It is `optional` beyond the levels asked for: made because the trained weights are at hand, missed if it cannot be.
    """

    key: str
    level: int
    method: Method
    optional: bool = False


@dataclass(frozen=True)
class Cell:
    """One training run: from its `start`, which its arm changes, over its span.

    `weights` says whether the arm trains the start's weights or new ones. Cells of one `cohort` are trained together.
    `kept_steps` are those whose weights other cells start from or are pruned by. Plans may share a cell: `method` is
    then that of one of them, while masks and kept steps are those of all.
    """

    key: str
    spec: TaskSpec
    method: Method
    arm: str
    level: int
    replicate: int
    span: Span
    start: Start
    weights: Literal["rewound", "fresh"]
    needs: tuple[str, ...]
    device: str
    versions: ResultVersions
    prunes: tuple[Prune, ...] = ()
    cohort: str | None = None
    kept_steps: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """For people: `vision/mnist5k-lenet300 imp winning level 3 replicate 0`."""
        which = DENSE if self.arm == DENSE else f"{self.method.name} {self.arm} level {self.level}"
        child = f" child {self.start.child}" if self.start.child else ""
        return f"{self.spec.id} {which} replicate {self.replicate}{child}"

    @property
    def measured(self) -> str:
        """What its value is: the task's metric."""
        return self.spec.metric.name

    @property
    def mask_key(self) -> str | None:
        """The mask that the cell's ticket has; None where it has no ticket: at level 0, or where its mask is drawn."""
        return self.start.mask_key

    @property
    def streams(self) -> Streams:
        """The seeds of this cell."""
        streams = Streams(self.spec.hash, self.replicate, child=self.start.child)
        return streams.fresh() if self.weights == "fresh" and self.arm != DENSE else streams

    @property
    def steps(self) -> int:
        """Number of optimizer updates."""
        return self.span.last - self.span.first

    def left_masks(self, diverged: bool) -> list[Prune]:
        """The masks that the finished cell has left; a run that diverged left none of its end."""
        return [prune for prune in self.prunes if not (diverged and prune.method.score_at == "end")]

    def shared_with(self, other: "Cell") -> "Cell":
        """This cell with what another plan wants of it too: its masks, each once, and its kept steps."""
        wanted = sorted((*self.prunes, *other.prunes), key=lambda prune: prune.optional, reverse=True)
        prunes = {prune.key: prune for prune in wanted}
        steps = dict.fromkeys((*self.kept_steps, *other.kept_steps))
        return replace(self, prunes=tuple(prunes.values()), kept_steps=tuple(steps))


Node = Cell | Connection
"""What a run has to do: a run to train, or a line between two of them to measure."""


@dataclass(frozen=True)
class Cost:
    """An estimate for one core of an ordinary machine."""

    cells: int = 0
    steps: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.cells + other.cells, self.steps + other.steps, self.flops + other.flops, self.seconds + other.seconds
        )


@dataclass(frozen=True)
class Plan:
    """The cells of a task under a method, parents before children.

    Those of `support` are no part of its curves: they find the tickets that are carried over from another task, or are
    children that `connections` are drawn to.
    """

    task: Task
    cells: tuple[Cell, ...]
    support: frozenset[str] = frozenset()
    connections: tuple[Connection, ...] = ()

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    @property
    def shown(self) -> tuple[Cell, ...]:
        """The cells that the task's curves are made of."""
        return tuple(cell for cell in self.cells if cell.key not in self.support)

    def units(self) -> list[tuple[Cell, ...]]:
        """What is run as one: single cells, and whole cohorts in the order of their slots."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.cohort or cell.key, []).append(cell)
        return [tuple(group) for group in groups.values()]

    def cost(self, without: Iterable[str] = ()) -> Cost:
        """What the cells and connections cost whose keys are not in `without`."""
        done = set(without)
        nodes: tuple[Node, ...] = (*self.cells, *self.connections)
        return sum((cell_cost(node) for node in nodes if node.key not in done), Cost())


FORWARD = 1 / 3
"""What a forward pass costs of a training step, whose backward pass computes two products for each of its own."""


def cell_cost(cell: Node) -> Cost:
    """Estimate for one cell from the task's own figures; of a connection, of its passes forward for batch norm."""
    cost = cell.spec.cost
    if isinstance(cell, Connection):
        batches = cell.steps * cell.recalibration * FORWARD
        return Cost(0, 0, batches * cost.flops_per_step, batches * cost.seconds_per_step + cost.seconds_per_cell)
    step = (cell.cohort and cost.seconds_per_cohort_step) or cost.seconds_per_step
    seconds = cell.steps * step + cost.seconds_per_cell
    return Cost(1, cell.steps, cell.steps * cost.flops_per_step, seconds)


def cost_of_all(plans: Iterable[Plan]) -> Cost:
    """What several plans cost together, a cell or connection that they share counted once."""
    nodes: dict[str, Node] = {}
    for plan in plans:
        nodes.update((cell.key, cell) for cell in plan.cells)
        nodes.update((each.key, each) for each in plan.connections)
    return sum(map(cell_cost, nodes.values()), Cost())
