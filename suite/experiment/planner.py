"""From a task and its options to the DAG of its cells, level by level; pure, no torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from suite.experiment.children import with_children
from suite.experiment.errors import UsageError
from suite.experiment.keys import cohort_key, mask_key, slot_key, train_key
from suite.experiment.learner import Span
from suite.experiment.method import ALL, Method
from suite.experiment.plan import DENSE, LADDER, ArmFacts, Cell, Facts, Plan, Prune
from suite.experiment.roles import pruned_by
from suite.experiment.start import Origin, Start
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task


def plan(task: Task, facts: Facts) -> Plan:
    """All cells of a task: its ladder, and every arm at the levels asked for, for each replicate.

    `facts` know at least the arms of the task's options. Raises UsageError for whatever contradicts itself, such as a
    rewind step beyond the run.
    """
    check(task, facts)
    planner = Planner(task, facts)
    cells = tuple(planner.cells())
    if task.options.connected is None:
        return Plan(task, cells)
    winning = facts.arms[LADDER]
    return with_children(
        task, cells, lambda start, span, needs: planner.draft(start.replicate, start, span, LADDER, winning, needs)
    )  # fmt: skip


def check(task: Task, facts: Facts) -> None:
    """Raise UsageError for a step beyond the run, a level beyond the last, or fields that exclude each other."""
    spec, method, options = task.spec, task.method, task.options
    pruned_by(spec, method)
    last = spec.training.total_steps - 1
    if not 0 <= method.rewind_step <= last:
        raise UsageError(f"rewind_step = {method.rewind_step}: {spec.id} {spec.scale} has steps 0 to {last}")
    late = [step for step in facts.criterion.steps if not 0 <= step <= last + 1]
    if late:
        raise UsageError(
            f"criterion {method.criterion!r} asks for the weights at step {late[0]}: {spec.id} {spec.scale} has steps "
            f"0 to {last}, use another scale or criterion"
        )
    if method.score_at == "start" and (facts.criterion.rewound or any(facts.criterion.steps)):
        raise UsageError(
            f"criterion {method.criterion!r} asks for weights of the run: score_at = 'end' is needed, not 'start'"
        )
    if method.schedule == "iterative" and method.score_at == "start":
        raise UsageError("score_at = 'start' needs schedule = 'one-shot': an iterative method prunes trained weights")
    if method.retraining != "rewind" and method.score_at == "start":
        raise UsageError(
            f"retraining = {method.retraining!r} goes on from trained weights: score_at = 'end' is needed, not 'start'"
        )
    if method.retraining == "fine-tune" and method.schedule_after_rewind == "restart":
        raise UsageError(
            "schedule_after_rewind = 'restart': retraining = 'fine-tune' holds the last rate, leave one out"
        )
    beyond = [level for level in options.at or () if level > options.levels]
    if beyond:
        raise UsageError(f"at = {beyond[0]}: beyond the last of {options.levels} levels")
    if options.exec == "cohort" and spec.cohort is None:
        raise UsageError(f"exec = 'cohort': {spec.id} has no cohort, use --exec single")


@dataclass
class Chain:
    """One replicate on its way down: its dense run, the run to prune next, and the masks known so far.

    `masks` and `makers` are, by level, the keys of masks and of the runs that they are pruned from.
    """

    dense: Origin | None = None
    parent: Origin | None = None
    masks: dict[int, str] = field(default_factory=dict)
    makers: dict[int, str] = field(default_factory=dict)


class Planner:
    """Plans level by level, because the members of a cohort take part in its key and that in their children's."""

    def __init__(self, task: Task, facts: Facts) -> None:
        self._task, self._facts = task, facts
        self._task_hash = task.spec.hash
        options = task.options
        first = options.first_replicate
        self.chains = {replicate: Chain() for replicate in range(first, first + options.replicates)}

    def cells(self) -> Iterator[Cell]:
        """All cells of the task, parents before children; then `chains` know every dense run and mask."""
        for level in range(self._task.options.levels + 1):
            drafts = [cell for replicate in self.chains for cell in self._drafts(replicate, level)]
            for group in self.grouped(drafts):
                unit = tuple(map(self._settled, group))
                for slot, cell in enumerate(unit):
                    self._note(cell, unit, slot)
                yield from unit

    def draft(
        self, replicate: int, start: Start, span: Span, arm: str, facts: ArmFacts, needs: Iterable[str] = (),
        carried: Sequence[str] = (),
    ) -> Cell:  # fmt: skip
        """A cell of the task, keyed as if trained alone; `carried` says what comes from which other task."""
        spec, options = self._task.spec, self._task.options
        recipe: dict[str, Any] = start.recipe(arm, facts.weights, facts.inherits)
        key = train_key(
            self._task_hash, replicate, {**recipe, "carried": list(carried)} if carried else recipe, span,
            self._facts.versions, (self._task.code, facts.code), options.exec, options.runtime.kind,
        )  # fmt: skip
        return Cell(
            key, spec, start.method, arm, start.level, replicate, span, start, facts.weights,
            tuple(dict.fromkeys(needs)), options.runtime.kind, self._facts.versions,
        )  # fmt: skip

    def grouped(self, drafts: Sequence[Cell]) -> list[list[Cell]]:
        """What is trained as one: each cell by itself, or the cells of equal span as a cohort, keyed by all members."""
        if self._task.options.exec != "cohort":
            return [[cell] for cell in drafts]
        groups = []
        for span in dict.fromkeys(cell.span for cell in drafts):
            members = [cell for cell in drafts if cell.span == span]
            cohort = cohort_key([cell.key for cell in members])
            groups.append(
                [replace(cell, key=slot_key(cohort, slot), cohort=cohort) for slot, cell in enumerate(members)]
            )
        return groups

    def arms_at(self, level: int) -> list[str]:
        """The arms asked for at a level; a ladder is asked for at all of them."""
        options = self._task.options
        at = options.at
        return [arm for arm in options.arms if at is None or level in at or (self._ladder and arm == LADDER)]

    def _drafts(self, replicate: int, level: int) -> Iterator[Cell]:
        spec, method, levels = self._task.spec, self._task.method, self._task.options.levels
        if level == 0:
            start = Start(spec, method, replicate, 0)
            yield self.draft(replicate, start, Span(0, spec.training.total_steps), DENSE, ArmFacts("fresh"))
            return
        chain = self.chains[replicate]
        assert chain.dense is not None
        assert chain.parent is not None
        rewound = replace(chain.dense, step=method.rewind_step)
        origin = rewound if method.retraining == "rewind" else chain.parent
        start = Start(spec, method, replicate, level, chain.masks[level], origin)
        climbs = self._ladder and level < levels  # a mask is still to be made from the ladder's own arm
        for arm in dict.fromkeys((*((LADDER,) if climbs else ()), *self.arms_at(level))):
            facts = self._facts.arms[arm]
            span = span_of(spec, method, facts)
            needs = (chain.dense.cell.key, chain.parent.cell.key)
            yield self.draft(replicate, start, span, arm, facts, needs)

    def _settled(self, cell: Cell) -> Cell:
        """A cell with its final key: name the masks that are pruned from it, and the steps whose weights are kept."""
        levels, method = self._task.options.levels, self._task.method
        end = (cell.span.last,)
        if cell.arm == DENSE:
            at_once = range(1, 2 if self._ladder else levels + 1)
            k = (method.rewind_step,) if method.retraining == "rewind" or self._facts.criterion.rewound else ()
            kept = tuple(dict.fromkeys((*k, *self._facts.criterion.steps, *end)))
            return replace(cell, prunes=tuple(self._prune(cell, n) for n in at_once), kept_steps=kept)
        if self._ladder and cell.arm == LADDER:
            return replace(
                cell, prunes=(self._prune(cell, 1),), kept_steps=() if method.retraining == "rewind" else end
            )
        return cell

    def _note(self, cell: Cell, unit: tuple[Cell, ...], slot: int) -> None:
        """Tell a replicate's chain of its dense run, of the run to prune next, and of the masks to be made."""
        chain = self.chains[cell.replicate]
        line = cell.start.origin.line if cell.start.origin is not None else ()
        origin = Origin((*line, unit), slot, cell.span.last)
        if cell.arm == DENSE:
            chain.dense = origin
        if cell.arm == DENSE or (self._ladder and cell.arm == LADDER):
            chain.parent = origin
        chain.masks.update({cell.level + prune.level: prune.key for prune in cell.prunes})
        chain.makers.update({cell.level + prune.level: cell.key for prune in cell.prunes})

    @property
    def _ladder(self) -> bool:
        return self._task.method.schedule == "iterative"

    def _prune(self, cell: Cell, levels_at_once: int) -> Prune:
        method, criterion = self._task.method, self._facts.criterion
        given: dict[str, Any] = {"rewound": method.rewind_step} if criterion.rewound else {}
        if criterion.steps:
            given["steps"] = list(criterion.steps)
        if method.role != ALL:
            given["names"] = list(pruned_by(cell.spec, method))
        key = mask_key(cell.key, levels_at_once, method, criterion.code, given)
        return Prune(key, levels_at_once, method, cell.level + levels_at_once > self._task.options.levels)


def span_of(spec: TaskSpec, method: Method, arm: ArmFacts) -> Span:
    """The steps of an arm: from the rewind step on with a ticket's weights, all of them (or as many) with new ones."""
    k, steps = method.rewind_step, spec.training.total_steps
    shift = k if method.schedule_after_rewind == "restart" else 0
    if arm.weights == "rewound":
        return Span(k, steps, shift, held=method.retraining == "fine-tune")
    return Span(k, steps, shift) if method.reinit_steps == "matched" else Span(0, steps)
