"""Cells run once, whatever happens, and come out the same bit for bit."""

import itertools
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.experiment import cell as cell_module
from suite.experiment import meter, pacing
from suite.experiment.adopt import adopt
from suite.experiment.arithmetic import environment, reproducible
from suite.experiment.errors import Diverged, RunError
from suite.experiment.executors import InlineExecutor
from suite.experiment.learner import Span
from suite.experiment.plan import Cell, Plan
from suite.experiment.runner import Outcome, execute, make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from suite.tickets.arms import ARMS
from suite.tickets.scores import CRITERIA, Criterion
from suite.tickets.select import survivors
from tests.experiment import toy
from tests.experiment.running import Quiet, results, run
from tests.experiment.toy import task

ALL_ARMS = ("winning", "reinit", "shuffled_layerwise", "random", "shuffled_mask")


def test_densities_follow_the_rate_exactly_and_every_arm_has_them(tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=3, arms=ALL_ARMS), tmp_path)
    size = 16 * 2 + 3 * 16
    remaining = [size]
    for _ in range(3):
        remaining.append(survivors(remaining[-1], 0.4))
    for (_, level, _), result in results(plan, store).items():
        assert sum(layer.remaining for layer in result.layers.values()) == remaining[level]
        assert result.density == remaining[level] / size


def test_masks_of_a_ladder_are_nested_and_arms_permute_them(tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=2, replicates=1, arms=ALL_ARMS), tmp_path)
    cells = {(c.arm, c.level): c for c in plan}
    first, second = (store.mask(cells["winning", n].mask_key or "").mask for n in (1, 2))
    assert first.intersect(second) == second
    found = results(plan, store)
    digests = {arm: found[arm, 2, 0].mask_digest for arm in ALL_ARMS}
    assert digests["winning"] == digests["reinit"] == second.digest
    assert digests["random"] == digests["shuffled_mask"] != second.digest
    assert digests["shuffled_layerwise"] not in (digests["winning"], digests["random"])


def test_the_same_run_twice_skips_every_cell(tmp_path: Path) -> None:
    plan, _, first = run(task(), tmp_path)
    _, _, second = run(task(), tmp_path)
    assert (first.finished, first.skipped) == (len(plan.cells), 0)
    assert (second.finished, second.skipped) == (0, len(plan.cells))


def test_ladders_go_first_since_everything_else_hangs_on_them(tmp_path: Path) -> None:
    began: list[Cell] = []

    class Noting(Quiet):
        def started(self, cell: Cell, slot: int) -> None:
            began.append(cell)

    plan, store = make_plan(task(levels=2, replicates=2)), Store.create(tmp_path)
    execute([plan], store, InlineExecutor(), Noting())
    assert len(began) == len(plan.cells)
    ladders = [cell for cell in began if cell.prunes]
    assert began[: len(ladders)] == ladders


def test_numbers_too_small_for_a_normal_float_are_flushed_to_zero_while_cells_train() -> None:
    tiny = torch.tensor(1e-310, dtype=torch.float64)
    with reproducible():
        assert (tiny / 2).item() == 0.0
    assert (tiny / 2).item() > 0.0


def test_the_callers_arithmetic_comes_back(tmp_path: Path) -> None:
    """Cells run with denormals flushed, a state of the processor; here it once broke every later test with floats."""
    threads = torch.get_num_threads()
    run(task(levels=1), tmp_path)
    assert sys.float_info.min / 2 > 0.0
    assert torch.get_num_threads() == threads


def test_on_cuda_only_deterministic_algorithms_are_allowed_while_cells_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cuBLAS needs for it is in a worker's environment before the library is loaded."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with reproducible(Runtime(device="cuda:1", threads=2)):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 2
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert not torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.allow_tf32
    with reproducible(Runtime()):
        assert not torch.are_deterministic_algorithms_enabled()
    cuda, cpu = environment(Runtime(device="cuda", threads=3)), environment(Runtime())
    assert (cuda["OMP_NUM_THREADS"], cuda["CUBLAS_WORKSPACE_CONFIG"]) == ("3", ":4096:8")
    assert (cpu["OMP_NUM_THREADS"], "CUBLAS_WORKSPACE_CONFIG" in cpu) == ("1", False)


def test_two_runs_come_out_the_same_bit_for_bit(tmp_path: Path) -> None:
    plan, store, _ = run(task(changes={"model.dropout": 0.3, "rewind_step": 7}), tmp_path / "a")
    _, other, _ = run(task(changes={"model.dropout": 0.3, "rewind_step": 7}), tmp_path / "b")
    mine, theirs = results(plan, store), results(plan, other)
    assert {p: r.weights_digest for p, r in mine.items()} == {p: r.weights_digest for p, r in theirs.items()}
    assert len({r.weights_digest for r in mine.values()}) == len(mine)


@pytest.mark.parametrize("execution", ["single", "cohort"])
def test_tickets_start_from_the_dense_weights_at_k_under_their_mask(
    execution: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from inside: the weights at the first step of each cell that is rewound, against a bare run up to k."""
    changes = {"rewind_step": 7, "model.dropout": 0.3} if execution == "single" else {"rewind_step": 7}
    chosen = task(changes=changes, levels=1, arms=("winning", "shuffled_mask"), exec=execution)
    plan = make_plan(chosen)
    seen: list[dict[str, torch.Tensor]] = []
    original = cell_module.enforce

    def spied(model: torch.nn.Module, *rest: Any) -> AbstractContextManager[None]:
        entered = original(model, *rest)
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return entered

    monkeypatch.setattr(cell_module, "enforce", spied)
    store = Store.create(tmp_path)
    rewound = 0
    for unit in plan.units():
        cell_module.run_cells(unit, store, lambda steps, total: None)
        for slot, cell in enumerate(unit if unit[0].arm != "dense" else ()):
            bare = toy.ToyLearner(cell.spec, cell.streams, Span(0, 40), Runtime())
            bare.advance(7)
            mask = ARMS[cell.arm].mask(store.mask(cell.mask_key or "").mask, cell.streams.seed("permutation", 1))
            for name, value in bare.model.state_dict().items():
                expected = value * mask[name] if name in mask else value
                found = seen[-1][name][slot] if execution == "cohort" else seen[-1][name]
                assert torch.allclose(found, expected, atol=1e-6)
            rewound += 1
    assert rewound == 4


def test_the_winning_ticket_goes_on_from_step_k(tmp_path: Path) -> None:
    """Under a mask that keeps all it still parts from the dense run: its optimizer is fresh."""
    plan, store, _ = run(task(changes={"rate": 0.0, "rewind_step": 7, "model.dropout": 0.3}, levels=1), tmp_path)
    found = results(plan, store)
    winning, dense = found["winning", 1, 0], found["dense", 0, 0]
    assert (winning.first_step, winning.steps, dense.steps) == (7, 33, 40)
    fresh_optimizer = winning.weights_digest != dense.weights_digest
    assert fresh_optimizer  # Adam's moments start anew at k, so the runs part
    assert found["reinit", 1, 0].weights_digest != dense.weights_digest


def test_a_ticket_rewound_to_step_0_under_a_full_mask_repeats_the_dense_run(tmp_path: Path) -> None:
    plan, store, _ = run(task(changes={"rate": 0.0, "model.dropout": 0.3}, levels=1), tmp_path)
    found = results(plan, store)
    assert found["winning", 1, 0].weights_digest == found["dense", 0, 0].weights_digest


def test_rewound_weights_are_replayed_when_the_cache_is_gone(tmp_path: Path) -> None:
    plan, store, _ = run(task(changes={"rewind_step": 7}), tmp_path / "a")
    bare = Store.create(tmp_path / "b")
    ladder = [c for c in plan if c.arm == "dense"]
    adopt(bare, store, ladder)
    assert not list((tmp_path / "b" / "cache").iterdir())
    _, _, outcome = run(task(changes={"rewind_step": 7}), tmp_path / "b")
    assert outcome.skipped == len(ladder)
    assert {p: r.weights_digest for p, r in results(plan, bare).items()} == {
        p: r.weights_digest for p, r in results(plan, store).items()
    }


def test_finished_cells_are_pruned_further_without_being_lost(tmp_path: Path) -> None:
    """Another rate needs other masks of the same dense run, which is trained again to the same bits."""
    run(task(), tmp_path)
    for cached in (tmp_path / "cache").iterdir():
        cached.unlink()
    _, _, outcome = run(task(changes={"rate": 0.5}), tmp_path)
    assert not outcome.failed
    _, store, _ = run(task(changes={"rate": 0.5}), tmp_path / "fresh")
    plan, again, _ = run(task(changes={"rate": 0.5}), tmp_path)
    assert {p: r.weights_digest for p, r in results(plan, again).items()} == {
        p: r.weights_digest for p, r in results(plan, store).items()
    }


def test_training_goes_on_from_a_snapshot_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"model.dropout": 0.3}
    plan, store, _ = run(task(changes=changes, levels=1, replicates=1), tmp_path / "whole")
    monkeypatch.setattr(cell_module, "SNAPSHOT_SECONDS", 0.0)
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 0.0)  # after every step
    ticks = itertools.count()
    monkeypatch.setattr(meter.time, "perf_counter", lambda: float(next(ticks)))  # read once a step

    class Killed(Exception):
        pass

    def tell(steps: int, total: int) -> None:
        if steps == 20:
            raise Killed

    other = Store.create(tmp_path / "killed")
    for cell in plan:
        with pytest.raises(Killed):
            cell_module.run_cells((cell,), other, tell)
        assert other.cell(cell.key) is None
        seen: list[int] = []
        cell_module.run_cells((cell,), other, lambda steps, total, seen=seen: seen.append(steps))
        assert min(seen) > 18  # it did not start over
    assert {p: r.weights_digest for p, r in results(plan, other).items()} == {
        p: r.weights_digest for p, r in results(plan, store).items()
    }
    assert min(result.spent.wall_seconds for result in results(plan, other).values()) > 30  # both halves count
    assert not [path for path in (tmp_path / "killed" / "cache").iterdir() if "partial" in path.name]


def test_masks_are_not_lost_on_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen elsewhere: a resumed run that trains all weights again. Here each loss after the resume sees the mask."""
    plan, store, _ = run(task(levels=1, replicates=1), tmp_path)
    cell = next(cell for cell in plan if cell.arm == "winning")
    kept = store.mask(cell.mask_key or "").mask
    (tmp_path / "cells" / f"{cell.key}.json").unlink()
    monkeypatch.setattr(cell_module, "SNAPSHOT_SECONDS", 0.0)
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 0.0)  # after every step

    class Killed(Exception):
        pass

    def kill(steps: int, total: int) -> None:
        if steps == 20:
            raise Killed

    with pytest.raises(Killed):
        cell_module.run_cells((cell,), store, kill)
    original, revived = toy.ToyLearner.loss, []

    def loss(self: toy.ToyLearner, step: int) -> torch.Tensor:
        weights = dict(self.model.named_parameters())
        revived.append(sum(int(weights[name][~mask].count_nonzero()) for name, mask in kept.items()))
        return original(self, step)

    monkeypatch.setattr(toy.ToyLearner, "loss", loss)
    cell_module.run_cells((cell,), store, lambda steps, total: None)
    assert 0 < len(revived) < cell.steps
    assert not any(revived)


@pytest.mark.parametrize("criterion", ["magnitude", "signed-magnitude", "random", "snip", "grasp", "synflow"])
def test_one_shot_criteria_give_masks_of_the_exact_counts(criterion: str, tmp_path: Path) -> None:
    changes = {"criterion": criterion, "schedule": "one-shot", "score_at": "start", "rounds": 3}
    plan, store, outcome = run(task(changes=changes, replicates=1), tmp_path)
    assert not outcome.failed
    found = results(plan, store)
    assert sum(layer.remaining for layer in found["winning", 2, 0].layers.values()) == survivors(
        survivors(80, 0.4), 0.4
    )


@pytest.mark.parametrize(("scope", "levels", "size"), [("global", 5, 16 * 2 + 3 * 16), ("layerwise", 6, 16 * 2)])
def test_rounds_go_on_when_a_tensor_is_emptied(
    scope: str, levels: int, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tensor loses all its weights long before the last level."""
    scored = {"2.weight": 1.0, "0.weight": 0.0}
    monkeypatch.setitem(
        CRITERIA, "magnitude",
        Criterion("magnitude", lambda m, _: {n: w.abs() + scored.get(n, 0) for n, w in m.named_parameters()}, False),
    )  # fmt: skip
    changes = {"rate": 0.7, "rounds": 2, "scope": scope}
    plan, store, outcome = run(task(changes=changes, levels=levels, replicates=1, arms=("winning",)), tmp_path)
    assert not outcome.failed
    remaining = size
    for _ in range(levels):
        remaining = survivors(remaining, 0.7)
    layers = results(plan, store)["winning", levels, 0].layers
    assert layers["0.weight"].remaining == 0
    counted = layers.values() if scope == "global" else [layers["0.weight"]]
    assert sum(layer.remaining for layer in counted) == remaining


def test_a_layer_whose_scores_order_nothing_is_named_in_the_notes_and_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def of_the_first_alone(model: torch.nn.Module, _: object) -> dict[str, torch.Tensor]:
        return {n: w.abs() if n == "0.weight" else torch.zeros_like(w) for n, w in model.named_parameters()}

    monkeypatch.setitem(CRITERIA, "magnitude", Criterion("magnitude", of_the_first_alone, False))
    plan, store, outcome = run(task(levels=1, replicates=1, arms=("winning",)), tmp_path)
    assert not outcome.failed
    said = "pruning to level 1 by magnitude, position decided in 2.weight: all 48 scores are equal (0), 16 of them were"
    assert results(plan, store)["dense", 0, 0].notes["pruning"].startswith(said)
    assert f"lottery: warning: toy/points dense replicate 0: {said}" in capfd.readouterr().err


def test_pruning_leaves_the_dense_run_what_it_was(tmp_path: Path) -> None:
    """Scores at the start, many rounds and densities: none of it may touch the run that is pruned."""
    plan, store, _ = run(task(replicates=1), tmp_path / "imp")
    changes = {"criterion": "synflow", "schedule": "one-shot", "score_at": "start", "rounds": 5}
    other_plan, other, _ = run(task(changes=changes, replicates=1), tmp_path / "synflow")
    dense, others = results(plan, store)["dense", 0, 0], results(other_plan, other)["dense", 0, 0]
    assert dense.weights_digest == others.weights_digest


def test_a_cohort_trains_what_its_cells_train_alone(tmp_path: Path) -> None:
    plan, store, _ = run(task(levels=2, changes={"rewind_step": 7}), tmp_path / "single")
    grouped, together, outcome = run(task(levels=2, changes={"rewind_step": 7}, exec="cohort"), tmp_path / "cohort")
    assert not outcome.failed
    alone, joint = results(plan, store), results(grouped, together)
    assert alone.keys() == joint.keys()
    for place, result in alone.items():
        assert joint[place].mask_digest == result.mask_digest
        assert joint[place].test["accuracy"] == pytest.approx(result.test["accuracy"], abs=0.04)
        assert joint[place].provenance.execution == "cohort"


def test_a_diverged_run_is_recorded_and_loses_only_its_descendants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = toy.ToyLearner.loss

    def loss(self: toy.ToyLearner, step: int) -> torch.Tensor:
        lost = self._streams.replicate == 1 and step == 5 and bool((self.model[0].weight == 0).any())
        return original(self, step) * (float("nan") if lost else 1.0)

    monkeypatch.setattr(toy.ToyLearner, "loss", loss)
    plan, store, outcome = run(task(arms=("winning",)), tmp_path)
    found = {(c.arm, c.level, c.replicate): store.cell(c.key) for c in plan}
    lost = found["winning", 1, 1]
    assert lost is not None
    assert lost.diverged
    assert lost.value is None
    assert found["winning", 2, 1] is None
    assert found["winning", 2, 0] is not None
    assert not outcome.failed
    assert not outcome.blocked
    assert list(outcome.lost.values()) == ["toy/points imp winning level 2 replicate 1 starts from a run that diverged"]
    reporter = Quiet()
    again = execute([plan], store, InlineExecutor(), reporter)
    assert (again.finished, again.skipped, again.blocked) == (0, len(plan.cells) - 1, {})
    assert again.lost == outcome.lost
    assert reporter.announced == 0


def test_a_score_that_is_no_number_is_a_diverged_run_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step can blow up and leave finite weights behind."""
    monkeypatch.setattr(toy.ToyLearner, "evaluate", lambda self, split: {"accuracy": float("nan")})
    plan, store, outcome = run(task(levels=0, replicates=1), tmp_path)
    result = store.cell(plan.cells[0].key)
    assert result is not None
    assert (result.diverged, dict(result.test), outcome.failed) == (True, {}, {})


def test_a_diverged_member_of_a_cohort_takes_only_its_own_ladder_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _, _ = run(task(arms=("winning",), exec="cohort"), tmp_path / "whole")
    original = toy.ToyCohort.diverged

    def diverged(self: toy.ToyCohort) -> list[bool]:
        first_level = bool((self.model[0].weight == 0).any()) and not self.model[0].weight.isnan().any()
        lost = [slot._streams.replicate == 1 for slot in self._slots] if first_level else original(self)
        return [bool(one) for one in lost]

    monkeypatch.setattr(toy.ToyCohort, "diverged", diverged)
    plan, store, outcome = run(task(arms=("winning",), exec="cohort"), tmp_path / "lost")
    found = {(c.level, c.replicate): store.cell(c.key) for c in plan}
    assert {place for place, result in found.items() if result is not None and result.diverged} == {(1, 1)}
    assert found[2, 1] is None
    survivor = found[2, 0]
    assert survivor is not None
    assert survivor.weights_digest == results(whole, Store(tmp_path / "whole"))["winning", 2, 0].weights_digest
    assert not outcome.blocked
    (reason,) = outcome.lost.values()
    assert "level 2 replicate 1 starts from a run that diverged" in reason
    _, _, again = run(task(arms=("winning",), exec="cohort"), tmp_path / "lost")
    assert (again.finished, again.failed) == (0, {})


def test_plans_that_share_a_cell_have_all_its_masks_made(tmp_path: Path) -> None:
    plans = [make_plan(task(changes={"rate": rate}, replicates=1, levels=1)) for rate in (0.4, 0.6)]
    store = Store.create(tmp_path)
    outcome = execute(plans, store, InlineExecutor(), Quiet())
    assert not outcome.failed
    assert not outcome.blocked
    densities = [results(plan, store)["winning", 1, 0].density for plan in plans]
    assert densities == [survivors(80, rate) / 80 for rate in (0.4, 0.6)]


AT_START = {"schedule": "one-shot", "score_at": "start"}


@pytest.mark.parametrize("execution", ["single", "cohort"])
@pytest.mark.parametrize(
    "methods",
    [
        ({"criterion": "random"}, {"rate": 0.6, "scope": "layerwise"}),
        (AT_START, {}),
        ({"schedule": "one-shot"}, AT_START),
        ({"rewind_step": 7}, {"rewind_step": 3}),
    ],
)
def test_plans_that_share_a_cell_come_out_as_they_do_alone(
    methods: tuple[dict[str, object], ...], execution: str, tmp_path: Path
) -> None:
    tasks = [task(changes=changes, arms=("winning",), exec=execution) for changes in methods]
    plans, store = [make_plan(each) for each in tasks], Store.create(tmp_path / "together")
    assert plans[0].cells[0].key == plans[1].cells[0].key
    execute(plans, store, InlineExecutor(), Quiet())
    for number, each in enumerate(tasks):
        plan, alone, _ = run(each, tmp_path / str(number))
        joint = results(plan, store)
        for place, result in results(plan, alone).items():
            assert (joint[place].mask_digest, joint[place].weights_digest) == (
                result.mask_digest,
                result.weights_digest,
            )
        keys = [prune.key for cell in plan for prune in cell.prunes]
        assert [store.mask(key).digest for key in keys] == [alone.mask(key).digest for key in keys]


@pytest.mark.parametrize("execution", ["single", "cohort"])
def test_a_last_level_that_cannot_be_pruned_further_is_finished_all_the_same(execution: str, tmp_path: Path) -> None:
    """Floors of a fifth keep 17 of 80 weights; three halvings would leave 10."""

    def halved(levels: int) -> tuple[Plan, Store, Outcome]:
        changes = {"rate": 0.5, "floor": 0.2}
        return run(task(changes=changes, levels=levels, replicates=2, arms=("winning",), exec=execution), tmp_path)

    plan, store, first = halved(2)
    assert not first.failed
    assert len(results(plan, store)) == first.finished == 6
    _, _, second = halved(2)
    assert (second.finished, second.skipped) == (0, 6)
    _, _, more = halved(3)
    words = (
        "level 2 replicate 0: no ticket of level 3 can be made by magnitude: "
        "floor = 0.2 keeps 17 weights, more than the 10"
    )
    assert words in next(iter(more.failed.values()))
    assert len(more.blocked) == 2
    _, _, third = halved(2)
    assert (third.finished, third.skipped) == (0, 6)


def test_a_level_that_cannot_be_pruned_further_is_kept_when_more_are_asked_for(tmp_path: Path) -> None:
    chosen = task(changes={"rate": 0.5, "floor": 0.2}, levels=3, replicates=1, arms=("winning",))
    plan, store, outcome = run(chosen, tmp_path)
    assert (len(outcome.failed), len(outcome.blocked)) == (1, 1)
    assert [store.has(cell.key) for cell in plan] == [True, True, True, False]


def test_a_shared_dense_run_keeps_the_rewind_point_of_every_method(tmp_path: Path) -> None:
    plans = [make_plan(task(changes={"rewind_step": k}, replicates=1, levels=0)) for k in (0, 7, 3)]
    store = Store.create(tmp_path)
    execute(plans, store, InlineExecutor(), Quiet())
    (dense,) = plans[0].cells
    assert all(store.snapshot(f"{dense.key}-{k}") is not None for k in (0, 7, 3))


def test_a_dense_run_that_diverged_is_still_pruned_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = toy.ToyLearner.loss

    def loss(self: toy.ToyLearner, step: int) -> torch.Tensor:
        dense = step == 5 and bool((self.model[0].weight != 0).all())
        return original(self, step) * (float("nan") if dense else 1.0)

    monkeypatch.setattr(toy.ToyLearner, "loss", loss)
    run(task(replicates=1, arms=("winning",)), tmp_path)
    plan, store, _ = run(task(changes=AT_START, replicates=1, arms=("winning",)), tmp_path)
    found = results(plan, store)
    assert [found[place].diverged for place in (("dense", 0, 0), ("winning", 1, 0), ("winning", 2, 0))] == [
        True, False, False,
    ]  # fmt: skip


def test_a_cell_that_fails_takes_only_its_descendants_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = toy.ToyLearner.evaluate

    def evaluate(self: toy.ToyLearner, split: str) -> object:
        if self._streams.replicate == 1:
            raise RunError("no evaluation today")
        return original(self, split)  # type: ignore[arg-type]

    monkeypatch.setattr(toy.ToyLearner, "evaluate", evaluate)
    plan, _store, outcome = run(task(), tmp_path)
    assert list(outcome.failed.values()) == ["toy/points dense replicate 1: no evaluation today"]
    assert outcome.finished == len(plan.cells) // 2
    assert len(outcome.blocked) == len(plan.cells) // 2 - 1


def test_a_corrupted_mask_stops_the_run_before_anything_is_trained(tmp_path: Path) -> None:
    plan, _store, _ = run(task(), tmp_path)
    key = plan.cells[0].prunes[0].key
    path = tmp_path / "masks" / f"{key}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RunError, match=f"{key}.safetensors is corrupted.*: delete it and run again"):
        run(task(), tmp_path)
    path.unlink()
    run(task(), tmp_path)
    assert path.read_bytes() == whole


def test_a_learner_that_does_not_give_the_metric_fails_its_cells_and_keeps_none(tmp_path: Path) -> None:
    plan, store, outcome = run(task(changes={"metric.name": "fame"}), tmp_path)
    assert all("measured by 'fame', but its learner gives only: accuracy" in m for m in outcome.failed.values())
    assert len(outcome.failed) + len(outcome.blocked) == len(plan.cells)
    assert not any(store.has(cell.key) for cell in plan)


def test_a_corrupted_cell_stops_the_run_before_anything_is_trained(tmp_path: Path) -> None:
    plan, _store, _ = run(task(), tmp_path)
    path = tmp_path / "cells" / f"{plan.cells[3].key}.json"
    path.write_text(path.read_text().replace('"accuracy":0.', '"accuracy":1.', 1))
    with pytest.raises(RunError, match=r"is corrupted .* delete it and run again"):
        run(task(), tmp_path)
    path.unlink()
    _, _, outcome = run(task(), tmp_path)
    assert outcome.finished == 1


def test_one_runner_at_a_time(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    with store.lock(), pytest.raises(RunError, match="another run is at work"), Store(tmp_path).lock():
        pass


def test_diverged_is_raised_and_not_swallowed() -> None:
    learner = toy.ToyLearner(
        task().spec, make_plan(task()).cells[0].streams, make_plan(task()).cells[0].span, Runtime()
    )
    with torch.no_grad():
        next(iter(learner.parameters())).fill_(float("nan"))
    with pytest.raises(Diverged):
        learner.advance(1)
