"""The straight line between the final weights of two children of one ticket: what linear mode connectivity looks at.

Children are trained from the same masked weights at the rewind step, and differ in data order and dropout (Frankle et
al. 2020, arXiv 1912.05671, section 2). Pure, no torch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.experiment.barrier import POINTS
from suite.experiment.keys import connection_key
from suite.experiment.method import Method
from suite.experiment.start import Origin
from suite.experiment.task import TaskSpec

if TYPE_CHECKING:
    from suite.experiment.plan import Prune


@dataclass(frozen=True)
class Connection:
    """The line between two finished runs, the first of which is the ladder's own; it is measured like a cell is run.

    Batch norm is recalibrated on so many training batches at every point; the error is measured on the validation
    split, and on the training split if `training_error`.
    """

    ends: tuple[Origin, Origin]
    recalibration: int
    training_error: bool = False

    @property
    def key(self) -> str:
        """A digest of all that decides the errors: both runs, and how points are measured."""
        return connection_key([end.cell.key for end in self.ends], POINTS, self.recalibration, self.training_error)

    @property
    def spec(self) -> TaskSpec:
        """The task of both runs."""
        return self.ends[0].cell.spec

    @property
    def method(self) -> Method:
        """The method that made the ticket, whose rewind step its children start from."""
        return self.ends[1].cell.method

    @property
    def level(self) -> int:
        """Prunings of the ticket; 0: the dense network at the rewind step."""
        return self.ends[0].cell.level

    @property
    def replicate(self) -> int:
        """The replicate whose ticket it is."""
        return self.ends[0].cell.replicate

    @property
    def name(self) -> str:
        """For people: `vision/mnist5k-lenet300 imp k=100 barrier level 3 replicate 0`."""
        return f"{self.spec.id} {self.method.name} barrier level {self.level} replicate {self.replicate}"

    @property
    def measured(self) -> str:
        """What its value is."""
        return "barrier in error"

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the runs at its ends."""
        return tuple(end.cell.key for end in self.ends)

    @property
    def steps(self) -> int:
        """Points that are measured."""
        return POINTS

    @property
    def mask_key(self) -> str | None:
        """None: it starts from no ticket, its ends have."""
        return None

    @property
    def prunes(self) -> "tuple[Prune, ...]":
        """Nothing is pruned from it."""
        return ()
