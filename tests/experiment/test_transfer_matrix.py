"""Several sources and targets: what they share, at which levels tickets are trained, and what it all costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.experiment.errors import UsageError
from suite.experiment.executors import InlineExecutor
from suite.experiment.plan import Cell, Cost, Plan, cell_cost
from suite.experiment.request import from_bytes, to_bytes
from suite.experiment.runner import asked, execute, make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.starting import mask_of, start_weights
from suite.experiment.store import Store
from suite.experiment.taskfile import Task
from suite.experiment.trainee import build
from suite.experiment.transfer import parts
from suite.tickets.arms import drawn
from suite.tickets.mask import Mask
from tests.experiment.running import Quiet
from tests.experiment.test_transfer import HEAD, named, source, transfer, wider
from tests.experiment.toy import task


def other(**fields: Any) -> Task:
    """A second source, of other batches and another rewind step."""
    changes = {"rewind_step": 3, "training.batch": 19, **fields}
    return named(task(changes=changes), "toy/other")


def random_cells(plan: Plan) -> list[Cell]:
    return [cell for cell in plan if cell.arm == "random"]


def keys(cells: list[Cell]) -> list[str]:
    return [cell.key for cell in cells]


def test_all_sources_share_a_targets_random_cells_and_no_other_arm() -> None:
    one, two = make_plan(transfer()), make_plan(transfer(origin=other()))
    assert len(random_cells(one)) == 2
    assert keys(random_cells(one)) == keys(random_cells(two))
    also = {cell.key for cell in two}
    shared = {cell.arm for cell in one if cell.key in also}
    assert shared == {"dense", "random"}
    itself = make_plan(transfer(target=replace(source(), options=transfer().options)))
    elsewhere = make_plan(transfer(target=replace(source(), options=transfer().options), origin=other()))
    assert keys(random_cells(itself)) == keys(random_cells(elsewhere))


def test_what_is_carried_does_not_matter_to_a_random_cell_but_over_which_tensors_its_mask_lies() -> None:
    usual = keys(random_cells(make_plan(transfer())))
    assert keys(random_cells(make_plan(transfer("mask")))) == usual
    assert keys(random_cells(make_plan(transfer("weights")))) == usual
    few = named(source(), "toy/few", prunable=("0.weight",))
    assert not set(usual) & set(keys(random_cells(make_plan(transfer(origin=few)))))
    turned = named(source(), "toy/turned", prunable=("2.weight", "0.weight"))
    assert keys(random_cells(make_plan(transfer(origin=turned)))) == usual


def test_random_cells_of_another_rate_target_or_replicate_are_others() -> None:
    usual = random_cells(make_plan(transfer()))
    target = task(levels=2, replicates=1, arms=("random",), changes={"rate": 0.3})
    rated = make_plan(transfer(target=target, origin=other(rate=0.3)))
    elsewhere = make_plan(transfer(target=named(transfer(), "toy/third")))
    later = make_plan(transfer(first_replicate=1))
    found = [keys(random_cells(plan)) for plan in (rated, elsewhere, later)]
    assert all(len(each) == 2 for each in found)
    assert len({*keys(usual), *found[0], *found[1], *found[2]}) == 8


def test_a_head_of_another_shape_is_no_part_of_what_random_masks_lie_over() -> None:
    origin = named(source(), "toy/source", **HEAD)
    wide, narrow = make_plan(transfer(target=wider(), origin=origin)), make_plan(transfer(origin=origin))
    assert {cell.start.drawn_over for cell in random_cells(wide)} == {("0.weight",)}
    assert {cell.start.drawn_over for cell in random_cells(narrow)} == {("0.weight", "2.weight")}
    (request,) = from_bytes(to_bytes([asked(transfer(target=wider(), origin=origin), "", [])]), Path("run.json"))
    assert keys(random_cells(request.plan)) == keys(random_cells(wide))


def test_a_random_cell_has_the_methods_count_of_weights_drawn_by_the_targets_stream_and_new_values(
    tmp_path: Path,
) -> None:
    few = named(source(), "toy/few", prunable=("0.weight",))
    cell = random_cells(make_plan(transfer(origin=few)))[1]
    assert cell.needs == ()
    assert (cell.span.first, cell.span.last) == (0, 40)
    assert (cell.method.name, cell.method.hash) == ("imp", transfer().method.hash)
    store, runtime = Store.create(tmp_path), Runtime()
    model = build(cell, runtime).model
    mask = mask_of(cell, store, model, runtime)
    assert mask.remaining == 11  # of 32: 19 after one pruning at a rate of .4
    assert mask == drawn(Mask.dense(model, ("0.weight",)), 11, cell.streams.seed("permutation", 2))
    begun = start_weights(cell, store, runtime)
    assert begun is not None
    fresh = build(cell, runtime).model.state_dict()
    initial = build(replace(cell, weights="rewound"), runtime).model.state_dict()
    assert torch.equal(begun["0.weight"], fresh["0.weight"])
    assert not torch.equal(begun["0.weight"], initial["0.weight"])
    assert all(torch.equal(begun[name], initial[name]) for name in ("0.bias", "2.weight", "2.bias"))


def test_tickets_are_trained_at_the_levels_asked_for_and_ladders_no_deeper() -> None:
    plan = make_plan(transfer(levels=4, at=(1, 3)))
    assert {(cell.arm, cell.level) for cell in plan.shown if cell.arm in ("winning", "random")} == {
        ("winning", 1), ("winning", 3), ("random", 1), ("random", 3),
    }  # fmt: skip
    ladder = [cell for cell in plan if cell.key in plan.support]
    assert [(cell.arm, cell.level) for cell in ladder] == [("dense", 0), ("winning", 1), ("winning", 2)]


def test_two_tasks_that_are_pruned_differently_are_refused() -> None:
    with pytest.raises(UsageError, match=r"rate = 0.3 in toy/other, 0.4 in toy/points: .* --set rate="):
        make_plan(transfer(origin=other(rate=0.3)))


def test_tickets_go_from_one_optimizer_to_another(tmp_path: Path) -> None:
    sgd = task(changes={"training.optimizer.name": "sgd", "training.optimizer.lr": 0.1})
    plan = make_plan(transfer(origin=named(sgd, "toy/sgd"), levels=1, arms=("winning", "random")))
    assert {cell.spec.training.optimizer["name"] for cell in plan.shown} == {"adam"}
    assert {cell.spec.training.optimizer["name"] for cell in plan if cell.key in plan.support} == {"sgd"}
    assert not execute([plan], Store.create(tmp_path), InlineExecutor(), Quiet()).failed


def test_the_parts_of_a_matrix_count_every_cell_once() -> None:
    few = {"levels": 2, "replicates": 1, "arms": ("winning", "random")}
    tasks = [replace(task(**few), source=None), named(replace(other(), options=task(**few).options), "toy/other")]
    plans = [make_plan(transfer(target=target, origin=replace(origin))) for target in tasks for origin in tasks]
    found = parts(plans)
    cells = {cell.key: cell for plan in plans for cell in plan}
    assert sum(found.values(), Cost()) == sum(map(cell_cost, cells.values()), Cost())
    assert {part: cost.cells for part, cost in found.items()} == {
        "ladder of toy/points": 1, "dense and random of toy/points": 3, "imp from toy/points on toy/points": 2,
        "ladder of toy/other": 2, "imp from toy/other on toy/points": 2,
        "dense and random of toy/other": 2, "imp from toy/points on toy/other": 2, "imp from toy/other on toy/other": 2,
    }  # fmt: skip
