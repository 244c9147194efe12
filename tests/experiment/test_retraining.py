"""Where cells start: retraining from final weights, arms that inherit, and weights that are made again."""

import pickle
from pathlib import Path

import pytest
import torch

from suite.experiment import cell as cell_module
from suite.experiment.adopt import adopt
from suite.experiment.cell import run_cells
from suite.experiment.errors import RunError, UsageError
from suite.experiment.method import Method
from suite.experiment.plan import Cell, Plan
from suite.experiment.runner import make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from suite.tickets.enforce import enforce
from tests.experiment import toy
from tests.experiment.running import results, run
from tests.experiment.toy import task

RENDA = ["lr-rewind", "fine-tune"]
Weights = dict[str, torch.Tensor]


@pytest.fixture
def first_weights(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Cell, Weights]]:
    """Filled by runs of single cells: each cell with its weights at its first step, masked."""
    seen: list[tuple[Cell, Weights]] = []
    original = cell_module._Training._advance

    def spied(self: cell_module._Training) -> None:
        model = self._trainee.model
        with enforce(model, self._trainee.optimizer, self._trainee.mask(self._masks)):
            seen.append((self._first, {name: value.clone() for name, value in model.state_dict().items()}))
        original(self)

    monkeypatch.setattr(cell_module._Training, "_advance", spied)
    return seen


def ends(seen: list[tuple[Cell, Weights]], plan: Plan, store: Store) -> dict[int, Weights]:
    """Final weights of the ladder by level, as the store keeps them for the next level."""
    kept = {c.level: store.snapshot(f"{c.key}-40") for c in plan if c.arm in ("dense", "winning")}
    return {level: snapshot.tensors for level, snapshot in kept.items() if snapshot is not None}


@pytest.mark.parametrize("retraining", RENDA)
def test_a_ticket_goes_on_from_the_final_weights_of_the_run_that_it_was_pruned_from(
    retraining: str, tmp_path: Path, first_weights: list[tuple[Cell, Weights]]
) -> None:
    changes = {"retraining": retraining, "rewind_step": 7}
    plan, store, outcome = run(task(changes=changes, levels=2, replicates=1, arms=("winning",)), tmp_path)
    assert not outcome.failed
    final = ends(first_weights, plan, store)
    seen = {cell.level: weights for cell, weights in first_weights}
    for cell in plan.cells[1:]:
        mask = store.mask(cell.mask_key or "").mask
        parent = final[cell.level - 1]
        expected = {name: value * mask[name] if name in mask else value for name, value in parent.items()}
        assert all(torch.equal(seen[cell.level][name], value) for name, value in expected.items())
        assert (cell.span.first, cell.span.last) == (7, 40)


def test_learning_rate_rewinding_follows_the_schedule_from_k_and_fine_tuning_holds_the_last_rate() -> None:
    """A cosine over 40 steps from .02: read off the optimizer after one step at 7 and one at 38."""
    for retraining, steps in (("rewind", (7, 38)), ("lr-rewind", (7, 38)), ("fine-tune", (39, 39))):
        plan = make_plan(task(changes={"retraining": retraining, "rewind_step": 7}, levels=1, replicates=1))
        (cell,) = [cell for cell in plan if cell.arm == "winning"]
        learner = toy.ToyLearner(cell.spec, cell.streams, cell.span, Runtime())
        for at, schedule_step in zip((7, 38), steps, strict=True):
            learner.advance(at + 1)
            rate = 0.01 * (1 + torch.tensor(torch.pi * schedule_step / 40).cos().item())
            assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize("retraining", RENDA)
@pytest.mark.parametrize("execution", ["single", "cohort"])
def test_final_weights_that_are_gone_are_made_again_bit_for_bit(
    retraining: str, execution: str, tmp_path: Path
) -> None:
    chosen = task(changes={"retraining": retraining, "rewind_step": 7}, levels=3, arms=("winning",), exec=execution)
    plan, whole, _ = run(chosen, tmp_path / "whole")
    bare = Store.create(tmp_path / "bare")
    adopt(bare, whole, [cell for cell in plan if cell.level < 3])
    _, _, outcome = run(chosen, tmp_path / "bare")
    assert not outcome.failed
    assert outcome.finished == 2
    assert {p: r.weights_digest for p, r in results(plan, bare).items()} == {
        p: r.weights_digest for p, r in results(plan, whole).items()
    }


def test_a_run_that_comes_out_otherwise_when_made_again_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = task(changes={"retraining": "fine-tune"}, levels=2, replicates=1, arms=("winning",))
    plan, store, _ = run(chosen, tmp_path)
    dense = next(cell for cell in plan if cell.level == 1)
    (tmp_path / "cells" / f"{plan.cells[2].key}.json").unlink()
    (tmp_path / "cache" / f"{dense.key}-40.safetensors").unlink()
    original = toy.ToyLearner.loss
    monkeypatch.setattr(toy.ToyLearner, "loss", lambda self, step: original(self, step) * 1.5)
    with pytest.raises(RunError, match="level 1 replicate 0 trained again came out differently"):
        run_cells((plan.cells[2],), store, lambda steps, total: None)


def test_a_finished_cell_that_is_trained_again_for_a_mask_must_come_out_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(task(levels=1, replicates=1), tmp_path)
    for cached in (tmp_path / "cache").iterdir():
        cached.unlink()
    original = toy.ToyLearner.loss
    monkeypatch.setattr(toy.ToyLearner, "loss", lambda self, step: original(self, step) * 1.5)
    plan, store, outcome = run(task(levels=1, replicates=1, changes={"rate": 0.5}), tmp_path)
    (message,) = outcome.failed.values()
    assert "trained again came out differently: the store is of another machine or version" in message
    assert not store.has_mask(plan.cells[0].prunes[0].key)


def test_the_longest_ladder_can_be_handed_to_a_worker() -> None:
    """A ticket's start leads back to the dense run, over as many runs as there are levels."""
    plan = make_plan(task(changes={"retraining": "lr-rewind", "rate": 0.01}, levels=200, replicates=1, arms=()))
    assert pickle.loads(pickle.dumps(plan.cells[-1])).key == plan.cells[-1].key


def test_ways_of_retraining_share_the_dense_run_and_its_first_mask_and_arms_with_new_weights() -> None:
    plans = {way: make_plan(task(changes={"retraining": way}, levels=1, replicates=1)) for way in ("rewind", *RENDA)}
    by_place = {way: {cell.arm: cell.key for cell in plan} for way, plan in plans.items()}
    for arm in ("dense", "reinit", "random"):
        assert len({places[arm] for places in by_place.values()}) == 1
    assert len({places["winning"] for places in by_place.values()}) == 3
    assert len({plan.cells[0].prunes[0].key for plan in plans.values()}) == 1


def test_the_default_way_of_retraining_is_written_nowhere_so_that_old_hashes_hold() -> None:
    assert "retraining" not in Method().model_dump()
    assert Method(retraining="lr-rewind").model_dump()["retraining"] == "lr-rewind"
    assert len({Method(retraining=way).hash for way in ("rewind", *RENDA)}) == 3
    assert len({Method(retraining=way).pruning_hash for way in ("rewind", *RENDA)}) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retraining": "lr-rewind", "schedule": "one-shot", "score_at": "start"}, "score_at = 'end' is needed"),
        ({"retraining": "fine-tune", "schedule_after_rewind": "restart"}, "holds the last rate"),
    ],
)
def test_retraining_that_contradicts_itself_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(task(changes=changes))


def test_the_arm_signs_has_the_tickets_signs_and_new_magnitudes_and_all_else_new(
    tmp_path: Path, first_weights: list[tuple[Cell, Weights]]
) -> None:
    chosen = task(changes={"rewind_step": 7}, levels=1, replicates=1, arms=("winning", "reinit", "signs"))
    run(chosen, tmp_path)
    seen = {cell.arm: (cell, weights) for cell, weights in first_weights}
    cell, signs = seen["signs"]
    winning, reinit = seen["winning"][1], seen["reinit"][1]
    assert (cell.span.first, cell.span.last) == (0, 40)
    for name in ("0.weight", "2.weight"):
        assert torch.equal(signs[name].sign(), winning[name].sign())
        assert torch.equal(signs[name].abs(), reinit[name].abs())
        assert not torch.equal(signs[name], reinit[name])
    for name in ("0.bias", "2.bias"):
        assert torch.equal(signs[name], reinit[name])


def test_the_signs_are_part_of_the_key_and_new_weights_alone_are_not() -> None:
    plans = [
        make_plan(task(changes={"rewind_step": k}, levels=1, replicates=1, arms=("reinit", "signs"))) for k in (3, 7)
    ]
    for arm, distinct in (("reinit", 1), ("signs", 2)):
        assert len({cell.key for plan in plans for cell in plan if cell.arm == arm}) == distinct
