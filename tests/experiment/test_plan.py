"""A plan is a pure function of task and options."""

from collections import Counter

import pytest

from suite.experiment.errors import UsageError
from suite.experiment.plan import DENSE, Plan
from suite.experiment.runner import make_plan
from tests.experiment.toy import task

ALL_ARMS = ("winning", "reinit", "shuffled_layerwise", "random", "shuffled_mask")


def keys(plan: Plan) -> set[str]:
    return {cell.key for cell in plan}


def test_levels_n_gives_n_prunings_and_the_dense_run_once() -> None:
    plan = make_plan(task(levels=3, replicates=2, arms=ALL_ARMS))
    counts = Counter((cell.arm, cell.level) for cell in plan)
    assert counts[DENSE, 0] == 2
    assert {level for _, level in counts} == {0, 1, 2, 3}
    assert all(counts[arm, level] == 2 for arm in ALL_ARMS for level in (1, 2, 3))


def test_every_cell_comes_after_what_it_needs() -> None:
    seen: set[str] = set()
    for cell in make_plan(task(levels=4, arms=ALL_ARMS)):
        assert seen.issuperset(cell.needs)
        seen.add(cell.key)


def test_arms_of_a_level_start_from_the_same_mask() -> None:
    plan = make_plan(task(levels=2, replicates=1, arms=ALL_ARMS))
    masks = {level: {cell.mask_key for cell in plan if cell.level == level} for level in (1, 2)}
    assert all(len(found) == 1 for found in masks.values())
    assert masks[1] != masks[2]


def test_the_ladder_is_climbed_even_when_its_arm_is_not_asked_for() -> None:
    plan = make_plan(task(levels=3, replicates=1, arms=("random",)))
    assert sorted((c.arm, c.level) for c in plan) == [
        ("dense", 0), ("random", 1), ("random", 2), ("random", 3), ("winning", 1), ("winning", 2),
    ]  # fmt: skip


def test_other_arms_can_be_limited_to_some_levels() -> None:
    plan = make_plan(task(levels=4, replicates=1, at=(2, 4)))
    assert [c.level for c in plan if c.arm == "winning"] == [1, 2, 3, 4]
    assert [c.level for c in plan if c.arm == "random"] == [2, 4]


def test_one_shot_methods_prune_the_dense_run_once_per_density() -> None:
    plan = make_plan(task(changes={"criterion": "snip", "schedule": "one-shot", "score_at": "start"}, levels=3))
    dense = next(cell for cell in plan if cell.arm == DENSE)
    assert [prune.level for prune in dense.prunes] == [1, 2, 3]
    assert all(not cell.prunes and cell.needs == (cell.start.origin.cell.key,) for cell in plan if cell.arm != DENSE)


def test_only_the_mask_beyond_the_levels_asked_for_is_optional() -> None:
    ladder, longer = (make_plan(task(levels=levels, replicates=1, arms=("winning",))) for levels in (2, 3))
    optional = {cell.level: [prune.optional for prune in cell.prunes] for cell in ladder}
    assert optional == {0: [False], 1: [False], 2: [True]}
    last, inner = (plan.cells[2] for plan in (ladder, longer))
    assert [both.prunes for both in (last.shared_with(inner), inner.shared_with(last))] == [inner.prunes] * 2


def test_rewound_arms_train_from_k_and_fresh_ones_from_the_start() -> None:
    plan = make_plan(task(changes={"rewind_step": 10}, levels=1, replicates=1, arms=ALL_ARMS))
    spans = {cell.arm: (cell.span.first, cell.span.last, cell.span.shift) for cell in plan}
    assert spans["winning"] == spans["shuffled_mask"] == (10, 40, 0)
    assert spans["reinit"] == spans["random"] == spans["dense"] == (0, 40, 0)


def test_the_schedule_can_restart_and_fresh_arms_can_be_matched_in_steps() -> None:
    changes = {"rewind_step": 10, "schedule_after_rewind": "restart", "reinit_steps": "matched"}
    plan = make_plan(task(changes=changes, levels=1, replicates=1))
    spans = {cell.arm: (cell.span.first, cell.span.last, cell.span.shift) for cell in plan}
    assert spans["winning"] == spans["reinit"] == (10, 40, 10)


def test_more_levels_and_replicates_keep_the_keys_that_were_there() -> None:
    assert keys(make_plan(task(levels=2, replicates=1))) < keys(make_plan(task(levels=3, replicates=2)))


def test_rewind_sweeps_and_methods_share_the_dense_run() -> None:
    plans = [make_plan(task(changes={"rewind_step": k}, levels=1)) for k in (0, 5)]
    shared = keys(plans[0]) & keys(plans[1])
    assert shared >= {cell.key for cell in plans[0] if cell.arm == DENSE}
    assert not shared & {cell.key for cell in plans[0] if cell.arm == "winning"}


@pytest.mark.parametrize("changes", [{"training.total_steps": 41}, {"model.hidden": 17}, {"rate": 0.5}])
def test_a_changed_number_shares_no_ticket(changes: dict[str, float]) -> None:
    before, after = make_plan(task(levels=1)), make_plan(task(changes=changes, levels=1))
    assert not {c.key for c in before if c.level} & {c.key for c in after if c.level}


def test_the_members_of_a_cohort_take_part_in_its_keys() -> None:
    two, three = (make_plan(task(levels=1, replicates=n, exec="cohort")) for n in (2, 3))
    assert not keys(two) & keys(three)
    assert not keys(two) & keys(make_plan(task(levels=1, replicates=2)))
    assert [len(unit) for unit in two.units()] == [2, 6]


def test_the_cost_counts_steps_and_what_is_done_costs_nothing() -> None:
    plan = make_plan(task(changes={"rewind_step": 10}, levels=1, replicates=1))
    assert plan.cost().steps == 40 + 30 + 40 + 40
    assert plan.cost().seconds == pytest.approx(0.150)
    assert plan.cost(without=keys(plan)).cells == 0


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"rewind_step": 40}, {}, "steps 0 to 39"),
        ({"score_at": "start"}, {}, "one-shot"),
        ({"criterion": "magnitud"}, {}, "unknown criterion"),
        ({}, {"arms": ("winning", "losing")}, "unknown arm 'losing'"),
        ({}, {"levels": 2, "at": (3,)}, "beyond the last of 2"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, object], options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(task(changes=changes, **options))


def test_of_where_cells_compute_only_the_kind_of_device_is_in_their_keys() -> None:
    """Data root, threads and workers may be others on the next machine, and the same cells are still finished there."""
    here = keys(make_plan(task()))
    assert keys(make_plan(task(data="/elsewhere", threads=4, workers=2, jobs=3, executor="inline"))) == here
    on_gpu = keys(make_plan(task(device="cuda")))
    assert not on_gpu & here
    assert keys(make_plan(task(device="cuda:1"))) == on_gpu
    assert not keys(make_plan(task(device="mps"))) & (here | on_gpu)
