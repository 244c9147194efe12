"""Tickets of one task, trained on another: what is carried, what is drawn anew, and what is found only once."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.experiment import cell as cell_module
from suite.experiment.errors import UsageError
from suite.experiment.executors import InlineExecutor
from suite.experiment.plan import Cell, Plan
from suite.experiment.request import from_bytes, to_bytes
from suite.experiment.runner import asked, execute, make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from suite.experiment.taskfile import Source, Task
from suite.tickets.enforce import enforce
from tests.experiment import toy
from tests.experiment.running import Quiet, results, run
from tests.experiment.toy import task

ARMS = ("winning", "reinit", "random", "shuffled_mask", "signs")
HEAD = {"output_layer": ("2.weight", "2.bias")}
Weights = dict[str, torch.Tensor]


def source(**options: Any) -> Task:
    """A source task: the toy with other numbers in its hash, and the same network."""
    return named(task(changes={"rewind_step": 7, "training.batch": 17}, **options), "toy/source")


def named(of: Task, name: str, **fields: Any) -> Task:
    return replace(of, spec=of.spec.model_copy(update={"id": name, **fields}))


def transfer(carry: Any = "both", target: Task | None = None, origin: Task | None = None, **options: Any) -> Task:
    options = {"levels": 2, "replicates": 1, "arms": ARMS, **options}
    return replace(target or task(**options), source=Source(origin or source(), carry))


def of_target(plan: Plan, level: int = 1) -> dict[str, Cell]:
    return {cell.arm: cell for cell in plan.shown if cell.level == level}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights]:
    """Filled by runs: the weights of each cell, by its key, at its first step and under its mask."""
    seen: dict[str, Weights] = {}
    original = cell_module._Training._advance

    def spied(self: cell_module._Training) -> None:
        model = self._trainee.model
        with enforce(model, self._trainee.optimizer, self._trainee.mask(self._masks)):
            seen[self._first.key] = {name: value.clone() for name, value in model.state_dict().items()}
        original(self)

    monkeypatch.setattr(cell_module._Training, "_advance", spied)
    return seen


def initial(of: Task, fresh: bool = False) -> Weights:
    (dense,) = [cell for cell in make_plan(replace(of, source=None)) if cell.level == 0]
    streams = dense.streams.fresh() if fresh else dense.streams
    return toy.ToyLearner(dense.spec, streams, dense.span, Runtime()).model.state_dict()


def at_step_7(of: Task) -> Weights:
    (dense,) = [cell for cell in make_plan(replace(of, source=None)) if cell.level == 0][:1]
    learner = toy.ToyLearner(dense.spec, dense.streams, dense.span, Runtime())
    learner.advance(7)
    return learner.model.state_dict()


def masked(weights: Weights, store: Store, key: str | None) -> Weights:
    mask = store.mask(key or "").mask
    return {name: value * mask[name] if name in mask else value for name, value in weights.items()}


def same(found: Weights, expected: Weights) -> bool:
    return all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_transferred_ticket_has_the_sources_mask_and_rewound_weights_and_trains_the_whole_schedule(
    tmp_path: Path, begun: dict[str, Weights]
) -> None:
    chosen = transfer()
    plan, store, outcome = run(chosen, tmp_path)
    assert not outcome.failed
    cells = of_target(plan)
    assert {(cell.span.first, cell.span.last, cell.span.shift) for cell in cells.values()} == {(0, 40, 0)}
    assert {cell.replicate for cell in cells.values()} == {0}
    rewound, mask_key = at_step_7(source()), cells["winning"].mask_key
    found_in = next(cell for cell in plan if cell.key in plan.support and cell.level == 0)
    assert mask_key == found_in.prunes[0].key
    assert same(begun[cells["winning"].key], masked(rewound, store, mask_key))
    assert same(begun[cells["reinit"].key], masked(initial(chosen, fresh=True), store, mask_key))
    found = results(Plan(plan.task, plan.shown), store)
    assert found["winning", 1, 0].task == "toy/points"
    assert found["winning", 1, 0].method == "imp from toy/source"
    assert found["dense", 0, 0].task_hash == chosen.spec.hash


def test_the_same_arms_of_a_run_of_the_target_itself_are_other_cells() -> None:
    own = {cell.key for cell in make_plan(task(levels=2, replicates=1, arms=ARMS)) if cell.level}
    assert not own & {cell.key for cell in make_plan(transfer())}


def test_a_mask_alone_is_trained_from_the_targets_own_initial_weights(
    tmp_path: Path, begun: dict[str, Weights]
) -> None:
    chosen = transfer("mask")
    plan, store, _ = run(chosen, tmp_path)
    cell = of_target(plan)["winning"]
    assert same(begun[cell.key], masked(initial(chosen), store, cell.mask_key))
    assert cell.method.name == "imp mask from toy/source"


def test_weights_alone_are_trained_under_the_masks_of_the_targets_own_ladder(
    tmp_path: Path, begun: dict[str, Weights]
) -> None:
    chosen = transfer("weights")
    plan, store, _ = run(chosen, tmp_path)
    cells = of_target(plan)
    own = make_plan(replace(chosen, source=None))
    assert cells["winning"].mask_key == of_target(own)["winning"].mask_key
    assert same(begun[cells["winning"].key], masked(at_step_7(source()), store, cells["winning"].mask_key))
    of_source = [cell for cell in plan if cell.spec.id == "toy/source"]
    assert [cell.arm for cell in of_source] == ["dense"]


def wider() -> Task:
    """A target with a head of another size: its tensors are not carried."""
    return named(
        task(levels=2, replicates=1, arms=ARMS), "toy/wide", learner="tests.experiment.toy:WideLearner", **HEAD
    )


def test_a_head_of_another_size_is_unmasked_and_drawn_alike_under_every_arm(
    tmp_path: Path, begun: dict[str, Weights]
) -> None:
    origin = named(source(), "toy/source", **HEAD)
    plan, store, outcome = run(transfer(target=wider(), origin=origin), tmp_path)
    assert not outcome.failed
    cells = of_target(plan)
    heads = [begun[cell.key]["2.weight"] for cell in cells.values()]
    assert len(heads) == len(ARMS)
    assert all(torch.equal(head, heads[0]) for head in heads)
    assert heads[0].shape == (4, 16)
    assert bool((heads[0] != 0).all())
    found = results(Plan(plan.task, plan.shown), store)
    kept = int(store.mask(cells["winning"].mask_key or "").mask["0.weight"].sum())
    for arm in ARMS:
        result = found[arm, 1, 0]
        assert list(result.layers) == ["0.weight"]
        if arm == "random":
            assert result.layers["0.weight"].remaining == 19  # of 32, at a rate of .4
            continue
        assert result.layers["0.weight"].remaining == kept  # permuted or not: survivors stay among carried tensors
        assert result.notes["drawn anew under every arm"] == "2.weight, 2.bias (68 values)"
        assert result.notes["tickets of"].startswith("toy/source 1.0.0+changed smoke, hash ")


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (source(), r"tickets of toy/source do not fit toy/wide: '2.weight' has shape \(3, 16\) there, \(4, 16\) here"),
        (named(source(), "toy/source", prunable=("0.weight", "0.bias")), "prune '0.bias', which is not prunable in"),
    ],
)
def test_tickets_that_do_not_fit_are_refused_by_the_tensor(origin: Task, words: str, tmp_path: Path) -> None:
    _, _, outcome = run(transfer(target=wider(), origin=origin, levels=1), tmp_path)
    assert outcome.failed
    assert all(re.search(words, message) for message in outcome.failed.values())


def test_tickets_of_a_head_alone_are_refused_by_a_head_of_another_shape_before_anything_is_run() -> None:
    with pytest.raises(UsageError, match="tickets of toy/source have no tensor in common with toy/wide"):
        make_plan(transfer(target=wider(), origin=named(source(), "toy/source", prunable=("2.weight",), **HEAD)))


def test_a_sources_ladder_is_found_once_for_all_targets_and_shared_with_its_own_run(tmp_path: Path) -> None:
    targets = [task(levels=2, replicates=1, arms=ARMS), named(task(levels=2, replicates=1, arms=ARMS), "toy/other")]
    plans = [make_plan(transfer(target=target)) for target in targets]
    own = make_plan(replace(source(), options=targets[0].options))
    assert plans[0].support == plans[1].support
    assert plans[0].support <= {cell.key for cell in own}
    store = Store.create(tmp_path)
    outcome = execute(plans, store, InlineExecutor(), Quiet())
    assert outcome.finished == len({cell.key for plan in plans for cell in plan})
    again = execute(plans, store, InlineExecutor(), Quiet())
    assert (again.finished, again.skipped) == (0, outcome.finished)


def test_a_tickets_own_task_can_be_its_target() -> None:
    plan = make_plan(transfer(target=replace(source(), options=transfer().options)))
    assert [cell.arm for cell in plan.shown if cell.level == 0] == ["dense"]
    assert set(of_target(plan)) == set(ARMS)
    assert len({cell.key for cell in plan}) == len(plan.cells)


def test_a_cohort_trains_transferred_tickets_as_single_cells_do(tmp_path: Path) -> None:
    few = {"levels": 1, "replicates": 2, "arms": ("winning", "reinit", "random")}
    alone, store, _ = run(transfer(target=task(**few)), tmp_path / "single")
    joint, together, outcome = run(transfer(target=task(**few, exec="cohort")), tmp_path / "cohort")
    assert not outcome.failed
    one, other = (results(Plan(p.task, p.shown), s) for p, s in ((alone, store), (joint, together)))
    assert one.keys() == other.keys()
    for place, result in one.items():
        assert other[place].mask_digest == result.mask_digest
        assert other[place].test["accuracy"] == pytest.approx(result.test["accuracy"], abs=0.04)


def test_a_transfer_is_planned_from_its_request_as_from_its_task() -> None:
    (request,) = from_bytes(to_bytes([asked(transfer("mask"), "lottery transfer", [])]), Path("run.json"))
    assert [cell.key for cell in request.plan] == [cell.key for cell in make_plan(transfer("mask"))]
    assert not request.same_as(asked(transfer("both"), "", []))
    assert not request.same_as(asked(replace(transfer(), source=None), "", []))


def test_retraining_final_weights_is_refused_of_a_transfer() -> None:
    trained = replace(source(), method=source().method.model_copy(update={"retraining": "fine-tune"}))
    with pytest.raises(UsageError, match=r"retraining = 'fine-tune' .* choose another method"):
        make_plan(transfer(origin=trained))
