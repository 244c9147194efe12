"""Plans a transfer: tickets that were found on a source task, trained on a target task; pure, no torch.

A transferred ticket trains the target's whole schedule from step 0, under every arm (a choice of the suite's: Morcos et
al. 2019 leave it open). A source's ladder has the keys of any other run of it, so it is found once for all targets. The
arm `random` knows no source: its mask is drawn over the tensors that a ticket's mask would cover, so that all sources
share it. A task may be the source of its own tickets: they are then trained as all others are, from step 0.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.plan import DENSE, RANDOM, Cell, Cost, Facts, Plan, cell_cost
from suite.experiment.planner import Planner, check
from suite.experiment.start import Start
from suite.experiment.taskfile import Source, Task


def plan_transfer(task: Task, facts: Facts, source_facts: Facts) -> Plan:
    """The source's ladder, the target's dense runs, and every arm at the levels asked for, in `at` or (None) all.

    `carry` says what comes from the source, `both` mask and weights or one of them: a `mask` is then trained from the
    target's own initial weights, and source `weights` under the masks of the target's own ladder. Raises UsageError as
    `plan` does, for a method that retrains final weights, and for two that prune differently.
    """
    source = task.source
    assert source is not None
    _check_methods(task, source)
    finder, own = _finders(task, source)
    check(task, facts)
    check(finder, source_facts)
    found, owned = Planner(finder, source_facts), Planner(own, facts)
    before = {cell.key: cell for cell in (*found.cells(), *owned.cells())}
    shown = {cell.key for cell in before.values() if cell.arm == DENSE and cell.spec == task.spec}
    labelled = replace(task, method=task.method.model_copy(update={"name": label(task)}))
    cells = (*before.values(), *_Drawn(task, facts).cells(), *_Transferred(labelled, facts, found, owned).cells())
    return Plan(labelled, cells, frozenset(before.keys() - shown))


def label(task: Task) -> str:
    """What the curve of a transfer is called: `imp from vision/mnist5k-a-lenet300`, or `imp mask from …`."""
    assert task.source is not None
    carry = "" if task.source.carry == "both" else f" {task.source.carry}"
    return f"{task.source.task.method.name}{carry} from {task.source.task.spec.id}"


def parts(plans: Iterable[Plan]) -> dict[str, Cost]:
    """What transfers cost by what it is for, each cell once: ladders, a target's dense and random runs, and pairs."""
    found: dict[str, Cost] = {}
    seen: set[str] = set()
    for plan in plans:
        for cell in plan:
            if cell.key not in seen:
                seen.add(cell.key)
                part = _part(cell, plan)
                found[part] = found.get(part, Cost()) + cell_cost(cell)
    return found


def _part(cell: Cell, plan: Plan) -> str:
    if cell.key in plan.support:
        return f"ladder of {cell.spec.id}"
    if cell.arm in (DENSE, RANDOM):
        return f"dense and random of {cell.spec.id}"
    return f"{plan.task.method.name} on {cell.spec.id}"


def _check_methods(task: Task, source: Source) -> None:
    theirs, own = source.task.method, task.method
    if theirs.retraining != "rewind":
        raise UsageError(
            f"retraining = {theirs.retraining!r} goes on where a run of the same task ended: a transfer trains the "
            "rewound weights, choose another method"
        )
    for field in theirs.pruning | own.pruning:  # each leaves out what is younger and has its default
        there, here = getattr(theirs, field), getattr(own, field)
        if there != here:
            raise UsageError(
                f"{field} = {there!r} in {source.task.spec.id}, {here!r} in {task.spec.id}: a transfer has one way to "
                f"prune, give it with --method or --set {field}=…"
            )


def _finders(task: Task, source: Source) -> tuple[Task, Task]:
    """What is run of source and target before any ticket is transferred: ladders as deep as needed, or dense runs."""
    deepest = max(_levels(task), default=0) if _tickets(task) else 0
    ladder = task.options.model_copy(update={"arms": (), "at": None, "levels": deepest})
    dense = ladder.model_copy(update={"levels": 0})
    theirs, own = (dense, ladder) if source.carry == "weights" else (ladder, dense)
    return replace(source.task, options=theirs), replace(task, source=None, options=own)


def _levels(task: Task) -> tuple[int, ...]:
    """The levels at which arms are trained."""
    at, levels = task.options.at, task.options.levels
    return tuple(range(1, levels + 1)) if at is None else tuple(sorted(set(at)))


def _tickets(task: Task) -> list[str]:
    """The arms that start from the source's tickets."""
    return [arm for arm in task.options.arms if arm != RANDOM]


class _Drawn(Planner):
    """Plans the target's random cells, which no source decides."""

    def _drafts(self, replicate: int, level: int) -> Iterator[Cell]:
        task = self._task
        assert task.source is not None
        if RANDOM not in task.options.arms or level not in _levels(task):
            return
        start = Start(task.spec, task.method, replicate, level, drawn_over=_covered(task, task.source))
        yield self.draft(replicate, start, _whole(task), RANDOM, self._facts.arms[RANDOM])

    def _settled(self, cell: Cell) -> Cell:
        return cell


class _Transferred(Planner):
    """Plans the target's other cells, once the source's ladder and the target's own are planned."""

    def __init__(self, task: Task, facts: Facts, found: Planner, owned: Planner) -> None:
        super().__init__(task, facts)
        assert task.source is not None
        self._source, self._found = task.source, found
        self._ladder_of_masks, self._spec_of_masks = (
            (owned, task.spec) if task.source.carry == "weights" else (found, task.source.task.spec)
        )

    def _drafts(self, replicate: int, level: int) -> Iterator[Cell]:
        if level not in _levels(self._task):
            return
        source, chain = self._source, self._ladder_of_masks.chains[replicate]
        dense = self._found.chains[replicate].dense
        assert dense is not None
        origin = None if source.carry == "mask" else replace(dense, step=source.task.method.rewind_step)
        for arm in _tickets(self._task):
            start = Start(self._spec_of_masks, self._task.method, replicate, level, chain.masks[level], origin)
            yield self.draft(
                replicate, start, _whole(self._task), arm, self._facts.arms[arm],
                (dense.cell.key, chain.makers[level]), carried=(source.task.spec.hash, source.carry),
            )  # fmt: skip

    def _settled(self, cell: Cell) -> Cell:
        return cell  # nothing is pruned from it, and no cell starts from it


def _whole(task: Task) -> Span:
    return Span(0, task.spec.training.total_steps)


def _covered(task: Task, source: Source) -> tuple[str, ...]:
    """The tensors that a ticket's mask covers, or, of a request that does not say so, those that both tasks prune."""
    return source.covered or tuple(name for name in task.spec.prunable if name in source.task.spec.prunable)
