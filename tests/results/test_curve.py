"""Curves show every cell there is, and name every one that is not."""

from dataclasses import replace

import pytest
from synthetic_cells import cell, papers, spec, view

from suite.experiment.method import Method
from suite.results.curve import curves_of


def test_dense_is_every_arms_first_point() -> None:
    curves = curves_of(view(papers))
    for points in curves.arms.values():
        assert points[0] == curves.dense
        assert [p.level for p in points] == [0, 1, 2, 3, 4]
    assert curves.dense.values == tuple(papers("dense", 0, r) for r in range(3))
    assert (curves.missing, curves.diverged) == ((), ())


def test_values_stand_in_the_order_of_the_replicates_whatever_the_order_of_the_cells() -> None:
    whole = view(papers, replicates=(4, 2, 7))
    shuffled = replace(whole, cells=whole.cells[::-1])
    point = curves_of(shuffled).point("reinit", 2)
    assert point is not None
    assert point.values == tuple(papers("reinit", 2, r) for r in (4, 2, 7))
    assert point.density == pytest.approx(0.64)


def test_a_missing_cell_is_named_and_left_out_of_the_mean() -> None:
    curves = curves_of(view(papers, skip=[("reinit", 2, 1)]))
    point = curves.point("reinit", 2)
    assert point is not None
    assert point.values[1] is None
    assert point.missing == (1,)
    assert point.mean == pytest.approx((papers("reinit", 2, 0) + papers("reinit", 2, 2)) / 2)
    assert curves.missing == (("reinit", 2, 1),)


def test_a_diverged_cell_is_listed_as_diverged_not_as_missing() -> None:
    curves = curves_of(view(lambda *at: None if at == ("random", 3, 2) else papers(*at)))
    point = curves.point("random", 3)
    assert point is not None
    assert (point.values[2], point.diverged, point.missing) == (None, (2,), ())
    assert (curves.diverged, curves.missing) == ((("random", 3, 2),), ())


def test_a_level_without_cells_stands_at_its_nominal_density() -> None:
    only_dense = [(arm, n, r) for arm in ("winning", "reinit", "random") for n in range(1, 5) for r in range(3)]
    curves = curves_of(view(papers, skip=only_dense))
    assert [p.density for p in curves.arms["winning"]] == pytest.approx([0.8**n for n in range(5)])
    assert curves.arms["winning"][4].mean is None
    assert len(curves.missing) == len(only_dense)


def test_a_level_without_a_cell_in_one_arm_stands_at_the_other_arms_density() -> None:
    task = spec()
    run = view(papers, task, skip=[("reinit", 1, r) for r in range(3)])
    own = {"winning": 0.79, "random": 0.78}
    moved = [c.model_copy(update={"density": own[c.arm]}) if c.level == 1 else c for c in run.cells]
    curves = curves_of(replace(run, cells=tuple(moved)))
    assert [curves.arms[arm][1].density for arm in ("winning", "reinit", "random")] == [0.79, 0.79, 0.78]


def test_arms_beside_the_ladder_are_expected_only_at_the_levels_asked_for() -> None:
    skip = [(arm, n, r) for arm in ("reinit", "random") for n in (1, 3) for r in range(3)]
    curves = curves_of(view(papers, at=(2, 4), skip=skip))
    assert [p.level for p in curves.arms["reinit"]] == [0, 2, 4]
    assert [p.level for p in curves.arms["winning"]] == [0, 1, 2, 3, 4]
    assert curves.missing == ()


def test_a_one_shot_method_has_no_ladder_so_all_its_arms_keep_to_the_levels_asked_for() -> None:
    skip = [(arm, n, r) for arm in ("winning", "reinit", "random") for n in (1, 3) for r in range(3)]
    one_shot = curves_of(view(papers, at=(2, 4), skip=skip, method=Method(schedule="one-shot")))
    assert [p.level for p in one_shot.arms["winning"]] == [0, 2, 4]
    assert one_shot.missing == ()
    assert len(curves_of(view(papers, at=(2, 4), skip=skip)).missing) == 6


def test_a_cell_nobody_asked_for_is_shown_all_the_same() -> None:
    run = view(papers, at=(2, 4), skip=[(arm, n, r) for arm in ("reinit", "random") for n in (1, 3) for r in range(3)])
    for arm in ("shuffled_mask", "reinit"):
        point = curves_of(replace(run, cells=(*run.cells, cell(run.spec, arm, 3, 1, 0.5)))).point(arm, 3)
        assert point is not None
        assert point.values == (None, 0.5, None)
        assert point.missing == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"task_hash": "00"}, "not of this"), ({"replicate": 9}, "replicate 9"), ({"key": "other"}, "are both")],
)
def test_a_cell_that_cannot_belong_here_is_refused(changed: dict[str, object], message: str) -> None:
    run = view(papers)
    foreign = run.cells[0].model_copy(update={"key": "other", **changed})
    with pytest.raises(ValueError, match=message):
        curves_of(replace(run, cells=(*run.cells, foreign)))


def test_the_same_cell_twice_counts_once() -> None:
    run = view(papers)
    assert curves_of(replace(run, cells=(*run.cells, run.cells[0]))) == curves_of(run)


def test_rl_has_its_interquartile_mean_beside_the_mean_from_ten_replicates() -> None:
    def score(arm: str, level: int, replicate: int) -> float:
        return 0.0 if replicate == 0 else 400.0 + replicate

    rl = curves_of(
        view(
            score, spec(id="rl/toy", metric={"statistic": "interquartile-mean"}), replicates=tuple(range(10)), levels=1
        )
    )
    assert rl.dense.iqm == pytest.approx(404.5)
    assert rl.dense.mean == pytest.approx(364.5)
    assert rl.dense.iqm_ci95 is not None
    assert rl.dense.iqm_ci95[0] < 404.5 < rl.dense.iqm_ci95[1]
    few = curves_of(
        view(score, spec(id="rl/toy", metric={"statistic": "interquartile-mean"}), replicates=tuple(range(9)), levels=1)
    )
    vision = curves_of(view(score, spec(), replicates=tuple(range(10)), levels=1))
    assert (few.dense.iqm, vision.dense.iqm) == (None, None)
    assert vision.dense.ci95 == rl.dense.ci95
