"""Where a cell begins: with the initial weights of its task, or with what is carried over from other runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.experiment.method import Method
from suite.experiment.task import TaskSpec

if TYPE_CHECKING:
    from suite.experiment.plan import Cell


@dataclass(frozen=True)
class Origin:
    """The run that weights are carried from, and the step at which it had them.

    `line` leads to it from the dense run, so that it can be made again: of each run all cells that are trained as one
    with it, in the order of their slots.
    """

    line: tuple[tuple["Cell", ...], ...]  # flat, since what is nested as deep as a ladder cannot be pickled
    slot: int
    step: int

    @property
    def unit(self) -> tuple["Cell", ...]:
        """The run with the cells that are trained as one with it."""
        return self.line[-1]

    @property
    def cell(self) -> "Cell":
        """The run itself."""
        return self.unit[self.slot]


@dataclass(frozen=True)
class Start:
    """A starting point, before a cell's arm changes it: the ticket of a task, method, replicate and level.

    Level 0 is the dense network. `mask_key` names the ticket's mask (None: nothing is pruned). `origin` is the run
    whose parameters and buffers are carried (None: the cell has the initial weights of its own task and replicate).
    Mask and weights may be of another task than the cell's; then those tensors are carried that both models have.
    `child` above 0 has data order and dropout of its own (see `suite.experiment.children`).

    Where `drawn_over` names prunable tensors there is no ticket: the mask keeps as many of their weights as the
    level's prunings leave, at positions drawn over all of them, and their weights are new. All other tensors have the
    task's own initial values.
    """

    task: TaskSpec
    method: Method
    replicate: int
    level: int
    mask_key: str | None = None
    origin: Origin | None = None
    drawn_over: tuple[str, ...] = ()
    child: int = 0

    def foreign(self, task: TaskSpec) -> TaskSpec | None:
        """The other task that mask or weights are carried from, of a cell of `task`; None if all is its own."""
        tasks = (self.task, *(() if self.origin is None else (self.origin.cell.spec,)))
        return next((other for other in tasks if other != task), None)

    def recipe(self, arm: str, weights: str, inherits: bool) -> dict[str, Any]:
        """What a key holds of a start under an arm of `rewound` or `fresh` weights, which may inherit from the start's.

        Cells with new weights, though not their signs, are shared by methods that differ in how tickets are trained.
        """
        if self.drawn_over:
            return {"weights": "reinit", "mask": self._lot, "arm": arm, "level": self.level}
        child = {"child": self.child} if self.child else {}  # the first results' keys say nothing of children
        own = "init" if self.origin is None else [self.origin.cell.key, self.origin.step]
        if self.mask_key is None:
            return {"weights": own, **child}
        new = ["reinit", own] if inherits else "reinit"
        drawn = own if weights == "rewound" else new
        return {"weights": drawn, "mask": self.mask_key, "arm": arm, "level": self.level, **child}

    @property
    def _lot(self) -> dict[str, Any]:
        """What decides a drawn mask beside its level and seed; a rate is text, since keys hold no fractions."""
        method = self.method
        floor = {} if method.scope == "global" else {"floor": str(method.floor)}
        return {"drawn over": list(self.drawn_over), "rate": str(method.rate), "scope": method.scope, **floor}
