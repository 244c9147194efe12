"""Verdicts say what the replicates show, and "undecided" wherever they do not."""

import numpy as np
import pytest
from scipy import stats as oracle
from synthetic_cells import papers, spec, view

from suite.experiment.method import Method
from suite.results.area import heights, pruned
from suite.results.curve import curves_of
from suite.results.judge import AreaVerdict, DensityVerdict, Judgement, judge, over_all
from suite.results.stats import holm


def judged(value: object = papers, *args: object, **changed: object) -> Judgement:
    return judge(curves_of(view(value, *args, **changed)))  # type: ignore[arg-type]


def at(judgement: Judgement, against: str, level: int) -> DensityVerdict:
    return next(v for v in judgement.against(against) if v.level == level)


def primary(judgement: Judgement, against: str) -> AreaVerdict:
    return next(v for v in judgement.primary if v.against == against)


def test_the_verdict_of_a_comparison_is_one_paired_test_of_areas_below_density_one() -> None:
    found = primary(judged(), "reinit")
    mean = {}
    for arm in ("winning", "reinit"):
        rows = np.array([[papers(arm, n, r) for n in range(1, 5)] for r in range(3)])
        mean[arm] = np.trapezoid(rows[:, ::-1], np.log(0.8 ** np.arange(4, 0, -1)), axis=1) / np.log(0.8**-3)
    expected = oracle.ttest_rel(mean["winning"], mean["reinit"])
    interval = expected.confidence_interval(0.95)
    assert found.difference == pytest.approx(np.mean(mean["winning"] - mean["reinit"]))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.ci95 == pytest.approx((interval.low, interval.high))
    assert found.densities == pytest.approx(tuple(0.8**n for n in range(1, 5)))
    assert (found.n, found.verdict, found.reason) == (3, "wins", None)
    assert found.ours == pytest.approx(np.mean([papers("winning", 4, r) for r in range(3)]))
    assert found.theirs == pytest.approx(np.mean([papers("reinit", 4, r) for r in range(3)]))


def test_more_levels_cost_the_primary_verdict_nothing() -> None:
    """Holm takes the wins of single densities; the one test over all has only more to go by."""

    def score(arm: str, level: int, replicate: int) -> float:
        noise = np.random.default_rng([level, replicate, len(arm)]).normal(0, 0.004)
        return 0.9 + (0.02 if arm == "winning" else 0.0) + float(noise)

    few, many = (judged(score, levels=n, arms=("winning", "random")) for n in (2, 20))
    assert primary(few, "random").verdict == primary(many, "random").verdict == "wins"
    assert "undecided" in {v.verdict for v in many.against("random")}


def test_winning_is_compared_with_the_dense_network_over_all_densities() -> None:
    found = primary(judged(), "dense")
    dense = [papers("dense", 0, r) for r in range(3)]
    levels = [point for point in judged().curves.arms["winning"] if point.level]
    difference = np.array(heights(levels)) - dense
    assert found.difference == pytest.approx(difference.mean())
    assert (found.verdict, found.theirs) == ("ties", pytest.approx(np.mean(dense)))


def test_a_verdict_may_speak_of_a_range_of_densities() -> None:
    curves = judged().curves
    assert over_all(curves, "random", densest=0.7, sparsest=0.5).densities == pytest.approx((0.64, 0.512))
    assert over_all(curves, "random", densest=0.1).reason == "no density below 1 that both have"


def test_values_that_are_equal_on_both_sides_tie_and_say_so() -> None:
    found = judged(lambda arm, level, replicate: 1.0)
    for verdict in (*found.primary, *found.verdicts):
        assert (verdict.verdict, verdict.difference) == ("ties", 0.0)
        assert verdict.reason == "all values are equal on both sides"


def test_two_replicates_decide_nothing() -> None:
    found = judged(replicates=(0, 1))
    assert {v.verdict for v in (*found.primary, *found.verdicts)} == {"undecided"}
    assert primary(found, "random").reason == "2 replicates: a verdict takes 3"
    assert found.critical_density is None


def test_a_diverged_replicate_at_any_density_leaves_the_whole_comparison_undecided() -> None:
    found = judged(lambda *place: None if place == ("random", 2, 1) else papers(*place))
    verdict = primary(found, "random")
    assert (verdict.verdict, verdict.reason, verdict.p) == ("undecided", "replicate 1 of random diverged", None)
    assert primary(found, "reinit").verdict == "wins"


def test_differences_are_paired_by_replicate_and_adjusted_over_the_densities_of_one_comparison() -> None:
    found = judged().against("reinit")
    raw = [
        oracle.ttest_rel(*([papers(arm, n, r) for r in range(3)] for arm in ("winning", "reinit"))).pvalue
        for n in range(1, 5)
    ]
    assert [v.p for v in found] == pytest.approx(raw)
    assert [v.p_adjusted for v in found] == pytest.approx(holm(raw))
    assert [v.difference for v in found] == pytest.approx(
        [sum(papers("winning", n, r) - papers("reinit", n, r) for r in range(3)) / 3 for n in range(1, 5)]
    )


def test_winning_beats_random_where_the_gap_is_wide() -> None:
    assert at(judged(), "random", 4).verdict == "wins"
    assert at(judged(), "random", 4).reason is None


def test_where_lower_is_better_the_lower_arm_wins() -> None:
    task = spec(metric={"higher_is_better": False, "chance": 2.0})
    assert at(judged(papers, task), "random", 4).verdict == "loses"
    assert at(judged(lambda *place: 1 - papers(*place), task), "random", 4).verdict == "wins"


def test_one_replicate_decides_nothing_and_says_so() -> None:
    found = judged(replicates=(0,))
    assert {(v.verdict, v.reason, v.ci95, v.p_adjusted) for v in found.verdicts} == {
        ("undecided", "1 replicate: a verdict takes 3", None, None)
    }
    assert found.critical_density is None


def test_a_density_with_a_diverged_replicate_gets_no_verdict() -> None:
    found = judged(lambda *place: None if place == ("random", 4, 1) else papers(*place))
    verdict = at(found, "random", 4)
    assert (verdict.verdict, verdict.p_adjusted, verdict.replicates_needed) == ("undecided", None, None)
    assert verdict.reason == "replicate 1 of random diverged"
    three = [v.p for v in found.against("random") if v.level < 4]
    assert [v.p_adjusted for v in found.against("random")][:3] == pytest.approx(holm([p for p in three if p]))


def test_after_a_ladder_diverged_its_survivors_are_not_compared_alone() -> None:
    gone = [("winning", 4, 1), *((arm, n, 1) for arm in ("reinit", "random") for n in (3, 4))]
    found = judged(lambda *place: None if place == ("winning", 3, 1) else papers(*place), skip=gone)
    assert at(found, "random", 3).reason == "replicate 1 of winning diverged"
    assert at(found, "random", 4).reason == "the ladder of replicate 1 diverged at level 3"
    assert at(found, "random", 4).verdict == "undecided"


def test_the_critical_density_stops_where_a_replicate_diverged() -> None:
    """The replicates that finished equal dense, but a ticket that diverges does not."""

    def score(arm: str, level: int, replicate: int) -> float | None:
        return None if (arm, level, replicate) == ("winning", 3, 1) else 0.9 + 0.001 * replicate

    assert judged(score).critical_density == pytest.approx(0.64)


def test_a_diverged_dense_run_leaves_nothing_decided() -> None:
    found = judged(lambda *place: None if place == ("dense", 0, 0) else papers(*place))
    assert {v.verdict for v in found.verdicts} == {"undecided"}
    assert at(found, "dense", 1).reason == "replicate 0 of dense diverged"
    assert at(found, "random", 4).reason == "the ladder of replicate 0 diverged at level 0"
    assert found.critical_density is None


def test_tickets_of_a_diverged_dense_run_that_never_were_are_no_mere_gap() -> None:
    gone = [(arm, n, 1) for arm in ("winning", "random") for n in range(1, 5)]

    def judged_by(method: Method) -> DensityVerdict:
        arms = ("winning", "random")
        found = judged(lambda *p: None if p == ("dense", 0, 1) else papers(*p), method=method, arms=arms, skip=gone)
        return at(found, "random", 4)

    at_end = judged_by(Method(schedule="one-shot"))
    assert (at_end.verdict, at_end.p_adjusted) == ("undecided", None)
    assert at_end.reason == "the dense run of replicate 1 diverged and left no ticket"
    at_start = judged_by(Method(schedule="one-shot", score_at="start"))
    assert at_start.reason == "preliminary: 2 of 3 replicates finished"


def test_a_run_in_progress_is_called_preliminary() -> None:
    verdict = at(judged(skip=[("random", 4, 1)]), "random", 4)
    assert (verdict.n, verdict.reason) == (2, "preliminary: 2 of 3 replicates finished")
    nothing = at(judged(skip=[("random", 4, r) for r in range(3)]), "random", 4)
    assert (nothing.n, nothing.verdict, nothing.reason) == (0, "undecided", "no replicate finished in both arms yet")


def test_a_constant_difference_of_few_replicates_is_undecided_with_its_reason() -> None:
    found = judged(lambda arm, level, replicate: 0.0 if arm == "random" else 1.0)
    verdict = at(found, "random", 1)
    assert (verdict.difference, verdict.ci95, verdict.p) == (1.0, (1.0, 1.0), 0.25)
    assert verdict.verdict == "undecided"
    assert verdict.reason is not None
    assert "only signs" in verdict.reason
    assert verdict.replicates_needed == 8  # 2^-7 < .05 / 4 densities
    assert at(found, "dense", 1).verdict == "ties"
    assert found.critical_density == pytest.approx(0.8**4)


def test_undecided_comes_with_the_number_of_replicates_that_would_decide() -> None:
    def score(arm: str, level: int, replicate: int) -> float:
        return 0.9 if arm == "dense" else 0.9 - (arm != "winning") * (0.1 + 0.2 * (replicate - 1))

    found = judged(score)
    p28, p29 = (2 * oracle.t.sf(0.5 * n**0.5, n - 1) for n in (28, 29))  # a difference of half an SD
    assert p29 < 0.05 / 4 <= p28  # four densities
    assert {(v.verdict, v.replicates_needed) for v in found.against("reinit")} == {("undecided", 29)}
    won = at(judged(), "random", 4)
    assert (won.verdict, won.replicates_needed) == ("wins", None)


def test_critical_density_uses_the_lower_bound_not_the_mean() -> None:
    """Level 2 has the dense mean, but replicates so far apart that a loss beyond the margin is possible."""

    def score(arm: str, level: int, replicate: int) -> float:
        spread = 0.2 if (arm, level) == ("winning", 2) else 0.001
        return 0.9 + spread * (replicate - 1) * (1 if arm == "winning" else -1)

    assert judged(score).critical_density == pytest.approx(0.8)


def test_areas_are_per_replicate_between_chance_and_the_mean_of_this_runs_dense_values() -> None:
    found = judged()
    dense = sum(papers("dense", 0, r) for r in range(3)) / 3
    expected = [(height - 0.1) / (dense - 0.1) for height in heights(pruned(found.curves.arms["random"]))]
    assert found.area["random"].values == pytest.approx(expected)
    assert found.area["winning"].estimate.mean > found.area["random"].estimate.mean  # type: ignore[operator]


def test_a_replicate_with_a_hole_has_no_area() -> None:
    values = judged(skip=[("random", 2, 1)]).area["random"].values
    assert values[1] is None
    assert None not in (values[0], values[2])


def test_areas_are_taken_at_the_densities_all_arms_share() -> None:
    skip = [(arm, n, r) for arm in ("reinit", "random") for n in (1, 3) for r in range(3)]
    found = judged(at=(2, 4), skip=skip)
    assert found.area_densities == pytest.approx((0.64, 0.8**4))
    assert primary(found, "reinit").densities == pytest.approx((0.64, 0.8**4))
    assert len(primary(found, "dense").densities) == 4
    assert [v.level for v in found.against("reinit")] == [2, 4]


def test_a_dense_network_no_better_than_chance_gives_no_scale_for_areas() -> None:
    assert judged(lambda arm, level, replicate: 0.1).area["winning"].values == (None, None, None)
    worse = judged(lambda arm, level, replicate: 0.05 + 0.001 * replicate)
    assert worse.area["winning"].values == (None, None, None)


def test_without_a_winning_arm_there_is_nothing_to_compare() -> None:
    found = judged(arms=("random",))
    assert (found.verdicts, found.primary) == ((), ())
    assert found.critical_density is None
    assert None not in found.area["random"].values
