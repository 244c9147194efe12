"""Criteria that ask for more than the model are handed it; those that ask for nothing are called as ever."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.experiment.adopt import adopt
from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.plan import Cell
from suite.experiment.runner import make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from suite.tickets.scores import CRITERIA, register
from tests.experiment import toy
from tests.experiment.running import results, run
from tests.experiment.toy import task

Handed = list[dict[str, Any]]


@pytest.fixture
def handed() -> Iterator[Handed]:
    """What the criterion `greedy`, which asks for all there is, was handed each time."""
    seen: Handed = []

    def greedy(model: nn.Module, probes: Sequence[object], **given: Any) -> Mapping[str, Tensor]:
        seen.append(given)
        return {name: weight.detach().abs() for name, weight in model.named_parameters()}

    register("greedy", needs=("initial", "rewound", "snapshots"), snapshot_steps=(3, 40))(greedy)
    yield seen
    del CRITERIA["greedy"]


def dense_weights(cell: Cell, step: int) -> dict[str, Tensor]:
    learner = toy.ToyLearner(cell.spec, cell.streams, Span(0, 40), Runtime())
    learner.advance(step)
    return learner.model.state_dict()


@pytest.mark.parametrize("changes", [{}, {"retraining": "lr-rewind"}, {"schedule": "one-shot", "rounds": 2}])
@pytest.mark.parametrize("execution", ["single", "cohort"])
def test_a_criterion_is_handed_the_weights_of_the_replicates_own_dense_run(
    changes: dict[str, object], execution: str, tmp_path: Path, handed: Handed
) -> None:
    chosen = task(
        changes={"criterion": "greedy", "rewind_step": 7, **changes}, arms=("winning",), levels=2, exec=execution
    )
    plan, _, outcome = run(chosen, tmp_path)
    assert not outcome.failed
    dense = {cell.replicate: cell for cell in plan if cell.arm == "dense"}
    by_replicate = {r: {step: dense_weights(cell, step) for step in (0, 3, 7, 40)} for r, cell in dense.items()}
    assert len(handed) >= 4
    for given in handed:
        assert set(given) == {"initial", "rewound", "snapshots"}
        assert set(given["snapshots"]) == {3, 40}
        found = {0: given["initial"], 7: given["rewound"], **given["snapshots"]}
        (same,) = [own for own in by_replicate.values() if torch.equal(own[0]["0.weight"], found[0]["0.weight"])]
        for step, weights in found.items():
            for name, value in weights.items():
                assert torch.allclose(value, same[step][name], atol=1e-5), (step, name)


def test_weights_that_a_criterion_asks_for_are_made_again_when_they_are_gone(tmp_path: Path, handed: Handed) -> None:
    chosen = task(changes={"criterion": "greedy", "rewind_step": 7}, arms=("winning",), levels=2, replicates=1)
    plan, whole, _ = run(chosen, tmp_path / "whole")
    bare = Store.create(tmp_path / "bare")
    adopt(bare, whole, [cell for cell in plan if cell.level == 0])
    _, _, outcome = run(chosen, tmp_path / "bare")
    assert not outcome.failed
    assert [cell.weights_digest for cell in results(plan, bare).values()] == [
        cell.weights_digest for cell in results(plan, whole).values()
    ]


def test_masks_by_weights_of_the_rewind_step_are_others_for_other_steps(handed: Handed) -> None:
    """All other criteria share the masks of a dense run, whatever the rewind step."""
    for criterion, distinct in (("magnitude", 1), ("magnitude-increase", 1), ("greedy", 2)):
        plans = [make_plan(task(changes={"criterion": criterion, "rewind_step": k}, levels=1)) for k in (3, 7)]
        assert len({plan.cells[0].prunes[0].key for plan in plans}) == distinct


def test_magnitude_increase_prunes_what_grew_least(tmp_path: Path) -> None:
    chosen = task(changes={"criterion": "magnitude-increase"}, arms=("winning",), levels=1, replicates=1)
    plan, store, outcome = run(chosen, tmp_path)
    assert not outcome.failed
    dense = plan.cells[0]
    first, last = dense_weights(dense, 0), dense_weights(dense, 40)
    grown = torch.cat([(last[n].abs() - first[n].abs()).flatten() for n in dense.spec.prunable])
    mask = store.mask(dense.prunes[0].key).mask
    kept = torch.cat([mask[name].flatten() for name in dense.spec.prunable])
    assert grown[kept].min() > grown[~kept].max()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"criterion": "random-erk", "scope": "layerwise"},
            "'random-erk' means nothing under scope = 'layerwise'",
        ),
        ({"criterion": "greedy", "training.total_steps": 39}, "weights at step 40: toy/points smoke has steps 0 to 38"),
        ({"criterion": "greedy", "schedule": "one-shot", "score_at": "start"}, "score_at = 'end' is needed"),
    ],
)
def test_what_a_criterion_cannot_do_is_refused_by_the_plan(
    changes: dict[str, object], words: str, handed: Handed
) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(task(changes=changes))


def test_one_shot_erk_masks_are_nested_and_of_the_exact_counts(tmp_path: Path) -> None:
    changes = {"criterion": "random-erk", "schedule": "one-shot", "score_at": "start"}
    plan, store, outcome = run(task(changes=changes, levels=2, replicates=1, arms=("winning",)), tmp_path)
    assert not outcome.failed
    first, second = (store.mask(prune.key).mask for prune in plan.cells[0].prunes)
    assert (first.remaining, second.remaining) == (48, 29)
    assert first.intersect(second) == second
