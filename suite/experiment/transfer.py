"""Plans a transfer: tickets that were found on a source task, trained on a target task; pure, no torch.

A transferred ticket trains the target's whole schedule from step 0, under every arm (a choice of the suite's: Morcos et
al. 2019 leave it open). A source's ladder has the keys of any other run of it, so it is found once for all targets.
"""

from collections.abc import Iterator
from dataclasses import replace

from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.plan import DENSE, Cell, Facts, Plan
from suite.experiment.planner import Planner, check
from suite.experiment.start import Start
from suite.experiment.taskfile import Task


def plan_transfer(task: Task, facts: Facts, source_facts: Facts) -> Plan:
    """The source's ladder, the target's dense runs, and every arm of the transferred tickets at the levels asked for.

    `carry` says what comes from the source, `both` mask and weights or one of them: a `mask` is then trained from the
    target's own initial weights, and source `weights` under the masks of the target's own ladder. Raises UsageError as
    `plan` does, and for a method that retrains final weights.
    """
    source = task.source
    assert source is not None
    method = source.task.method
    if method.retraining != "rewind":
        raise UsageError(
            f"retraining = {method.retraining!r} goes on where a run of the same task ended: a transfer trains the "
            "rewound weights, choose another method"
        )
    bare = task.options.model_copy(update={"arms": (), "at": None})
    dense = bare.model_copy(update={"levels": 0})
    finder = replace(source.task, options=dense if source.carry == "weights" else bare)
    own = replace(task, source=None, options=bare if source.carry == "weights" else dense)
    check(task, facts)
    check(finder, source_facts)
    found, owned = Planner(finder, source_facts), Planner(own, facts)
    before = {cell.key: cell for cell in (*found.cells(), *owned.cells())}
    shown = {cell.key for cell in before.values() if cell.arm == DENSE and cell.spec == task.spec}
    labelled = replace(task, method=method.model_copy(update={"name": label(task)}))
    cells = (*before.values(), *_Transferred(labelled, facts, found, owned).cells())
    return Plan(labelled, cells, frozenset(before.keys() - shown))


def label(task: Task) -> str:
    """What the curve of a transfer is called: `imp from vision/mnist5k-a-lenet300`, or `imp mask from …`."""
    assert task.source is not None
    carry = "" if task.source.carry == "both" else f" {task.source.carry}"
    return f"{task.source.task.method.name}{carry} from {task.source.task.spec.id}"


class _Transferred(Planner):
    """Plans the target's cells, once the source's ladder and the target's own are planned."""

    def __init__(self, task: Task, facts: Facts, found: Planner, owned: Planner) -> None:
        super().__init__(task, facts)
        assert task.source is not None
        self._source, self._found = task.source, found
        self._ladder_of_masks, self._spec_of_masks = (
            (owned, task.spec) if task.source.carry == "weights" else (found, task.source.task.spec)
        )

    def _drafts(self, replicate: int, level: int) -> Iterator[Cell]:
        if level == 0:
            return
        source, chain = self._source, self._ladder_of_masks.chains[replicate]
        dense = self._found.chains[replicate].dense
        assert dense is not None
        origin = None if source.carry == "mask" else replace(dense, step=source.task.method.rewind_step)
        start = Start(self._spec_of_masks, self._task.method, replicate, level, chain.masks[level], origin)
        whole = Span(0, self._task.spec.training.total_steps)
        for arm in self.arms_at(level):
            yield self.draft(
                replicate, start, whole, arm, self._facts.arms[arm], (dense.cell.key, chain.makers[level]),
                carried=(source.task.spec.hash, source.carry),
            )  # fmt: skip

    def _settled(self, cell: Cell) -> Cell:
        return cell  # nothing is pruned from it, and no cell starts from it
