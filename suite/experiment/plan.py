"""From tasks and options to a DAG of cells with a cost estimate; pure, no torch.

The keys name results by how they are made (task, starting point, streams, code, execution), so a plan knows what a
store may have without opening it, and two plans that need the same training share it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from suite import RESULT_VERSION
from suite.experiment.errors import UsageError
from suite.experiment.frozen import digest
from suite.experiment.learner import Span
from suite.experiment.method import Method
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task

DENSE = "dense"
LADDER = "winning"


@dataclass(frozen=True)
class ArmFacts:
    """What a plan needs to know of an arm: whose weights it starts from, and the digest of third-party code."""

    weights: Literal["rewound", "fresh"]
    code: str = ""


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
    """One training run.

    `mask_key` names the ticket's mask, `dense_key` the run that its weights are rewound to. Cells of one `cohort` are
    trained together; `dense_replicates` are the members of the dense run's cohort, in the order of its slots.
    `rewind_steps` are those of a dense run whose weights tickets start from. Plans may share a cell: `method` is then
    that of one of them, while masks and rewind steps are those of all.
    """

    key: str
    spec: TaskSpec
    method: Method
    arm: str
    level: int
    replicate: int
    span: Span
    mask_key: str | None
    dense_key: str
    weights: Literal["rewound", "fresh"]
    prunes: tuple[Prune, ...]
    needs: tuple[str, ...]
    device: str
    dense_replicates: tuple[int, ...] | None
    cohort: str | None
    rewind_steps: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """For people: `vision/mnist5k-lenet300 imp winning level 3 replicate 0`."""
        which = DENSE if self.arm == DENSE else f"{self.method.name} {self.arm} level {self.level}"
        return f"{self.spec.id} {which} replicate {self.replicate}"

    @property
    def streams(self) -> Streams:
        """The seeds of this cell."""
        streams = Streams(self.spec.hash, self.replicate)
        return streams.fresh() if self.weights == "fresh" and self.arm != DENSE else streams

    @property
    def steps(self) -> int:
        """Number of optimizer updates."""
        return self.span.last - self.span.first

    def shared_with(self, other: "Cell") -> "Cell":
        """This cell with what another plan wants of it too: its masks, each once, and its rewind steps."""
        wanted = sorted((*self.prunes, *other.prunes), key=lambda prune: prune.optional, reverse=True)
        prunes = {prune.key: prune for prune in wanted}
        steps = dict.fromkeys((*self.rewind_steps, *other.rewind_steps))
        return replace(self, prunes=tuple(prunes.values()), rewind_steps=tuple(steps))


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
    """The cells of a task under a method, parents before children."""

    task: Task
    cells: tuple[Cell, ...]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def units(self) -> list[tuple[Cell, ...]]:
        """What is run as one: single cells, and whole cohorts in the order of their slots."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.cohort or cell.key, []).append(cell)
        return [tuple(group) for group in groups.values()]

    def cost(self, without: Iterable[str] = ()) -> Cost:
        """What the cells cost whose keys are not in `without`."""
        done = set(without)
        return sum((cell_cost(cell) for cell in self.cells if cell.key not in done), Cost())


def plan(task: Task, arms: Mapping[str, ArmFacts], criterion_code: str = "") -> Plan:
    """All cells of a task: its ladder, and every arm at the levels asked for, for each replicate.

    `arms` holds at least the arms of the task's options. Raises UsageError for a rewind step beyond the run, a level
    of `at` beyond the last one, or an iterative method that prunes at the start.
    """
    spec, method, options = task.spec, task.method, task.options
    if not 0 <= method.rewind_step < spec.training.total_steps:
        last = spec.training.total_steps - 1
        raise UsageError(f"rewind_step = {method.rewind_step}: {spec.id} {spec.scale} has steps 0 to {last}")
    if method.schedule == "iterative" and method.score_at == "start":
        raise UsageError("score_at = 'start' needs schedule = 'one-shot': an iterative method prunes trained weights")
    beyond = [level for level in options.at or () if level > options.levels]
    if beyond:
        raise UsageError(f"at = {beyond[0]}: beyond the last of {options.levels} levels")
    if options.exec == "cohort" and spec.cohort is None:
        raise UsageError(f"exec = 'cohort': {spec.id} has no cohort, use --exec single")
    return Plan(task, tuple(_Planner(task, arms, criterion_code).cells()))


@dataclass
class _Chain:
    """One replicate on its way down: the run to prune next, and the masks known so far, by level."""

    parent: str = ""
    dense: str = ""
    masks: dict[int, str] = field(default_factory=dict)


class _Planner:
    """Plans level by level, because the members of a cohort take part in its key and that in their children's."""

    def __init__(self, task: Task, arms: Mapping[str, ArmFacts], criterion_code: str) -> None:
        self._task, self._arms, self._criterion_code = task, arms, criterion_code
        options = task.options
        first = options.first_replicate
        self._chains = {replicate: _Chain() for replicate in range(first, first + options.replicates)}
        self._replicates = tuple(self._chains) if options.exec == "cohort" else None

    def cells(self) -> Iterator[Cell]:
        for level in range(self._task.options.levels + 1):
            drafts = [cell for replicate in self._chains for cell in self._drafts(replicate, level)]
            yield from map(self._settled, self._grouped(drafts))

    def _drafts(self, replicate: int, level: int) -> Iterator[Cell]:
        """The cells of a replicate at a level, keyed as if trained alone."""
        spec, method, options = self._task.spec, self._task.method, self._task.options
        steps, k = spec.training.total_steps, method.rewind_step
        whole = Span(0, steps)
        if level == 0:
            key = self._train_key(replicate, {"weights": "init"}, whole)
            yield Cell(
                key, spec, method, DENSE, 0, replicate, whole, None, "", "fresh", (), (), options.runtime.kind,
                self._replicates, None,
            )  # fmt: skip
            return
        chain = self._chains[replicate]
        rewound = Span(k, steps, k if method.schedule_after_rewind == "restart" else 0)
        for arm in self._arms_at(level):
            facts = self._arms[arm]
            span = rewound if facts.weights == "rewound" or method.reinit_steps == "matched" else whole
            weights = [chain.dense, k] if facts.weights == "rewound" else "reinit"
            start = {"weights": weights, "mask": chain.masks[level], "arm": arm, "level": level}
            needs = tuple(dict.fromkeys((chain.dense, chain.parent)))
            yield Cell(
                self._train_key(replicate, start, span, facts.code), spec, method, arm, level, replicate, span,
                chain.masks[level], chain.dense, facts.weights, (), needs, options.runtime.kind, self._replicates, None,
            )  # fmt: skip

    def _arms_at(self, level: int) -> list[str]:
        """The ladder's own arm where a mask is still to be made from it, and the arms asked for at this level."""
        options = self._task.options
        wanted = [
            arm for arm in options.arms if options.at is None or level in options.at or (self._ladder and arm == LADDER)
        ]
        climbs = self._ladder and level < options.levels
        return list(dict.fromkeys((*((LADDER,) if climbs else ()), *wanted)))

    def _grouped(self, drafts: list[Cell]) -> list[Cell]:
        """Cells of equal span become one cohort: key = digest of all members, and the slot."""
        if self._replicates is None:
            return drafts
        cells: list[Cell] = []
        for span in dict.fromkeys(cell.span for cell in drafts):
            members = [cell for cell in drafts if cell.span == span]
            group = digest({"cohort": [cell.key for cell in members]})
            cells += [
                replace(cell, key=digest({"cohort": group, "slot": slot}), cohort=group)
                for slot, cell in enumerate(members)
            ]
        return cells

    def _settled(self, cell: Cell) -> Cell:
        """A cell with its final key: tell its replicate's chain, and name the masks that will be pruned from it."""
        chain, levels = self._chains[cell.replicate], self._task.options.levels
        prunes: tuple[Prune, ...] = ()
        if cell.arm == DENSE:
            chain.dense = chain.parent = cell.key
            at_once = range(1, 2 if self._ladder else levels + 1)
            prunes = tuple(self._prune(cell, n) for n in at_once)
            cell = replace(cell, dense_key=cell.key, rewind_steps=(self._task.method.rewind_step,))
        elif self._ladder and cell.arm == LADDER:
            chain.parent = cell.key
            prunes = (self._prune(cell, 1),)
        chain.masks.update({cell.level + prune.level: prune.key for prune in prunes})
        return replace(cell, prunes=prunes)

    @property
    def _ladder(self) -> bool:
        return self._task.method.schedule == "iterative"

    def _train_key(self, replicate: int, start: dict[str, Any], span: Span, code: str = "") -> str:
        options = self._task.options
        return digest(
            {
                "task": self._task.spec.hash,
                "replicate": replicate,
                "start": start,
                "span": [span.first, span.last, span.shift],
                "code": [RESULT_VERSION, self._task.code, code],
                "execution": {"mode": "dense", "exec": options.exec, "device": options.runtime.kind},
            }
        )

    def _prune(self, cell: Cell, levels_at_once: int) -> Prune:
        method = self._task.method
        made = {"parent": cell.key, "levels": levels_at_once, "method": method.pruning, "code": self._criterion_code}
        return Prune(digest(made), levels_at_once, method, cell.level + levels_at_once > self._task.options.levels)


def cell_cost(cell: Cell) -> Cost:
    """Estimate for one cell from the task's own figures."""
    cost = cell.spec.cost
    step = (cell.cohort and cost.seconds_per_cohort_step) or cost.seconds_per_step
    seconds = cell.steps * step + cost.seconds_per_cell
    return Cost(1, cell.steps, cell.steps * cost.flops_per_step, seconds)
