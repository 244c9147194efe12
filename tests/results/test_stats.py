"""Statistics agree with scipy's where scipy defines them, and stay honest where no test is defined."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as oracle

from suite.results import stats
from suite.results.stats import Difference

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 6))
FEW = st.lists(NUMBERS, min_size=3, max_size=14)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=14)
GROUPS = st.lists(st.floats(0, 1).map(lambda p: round(p, 6)), min_size=1, max_size=12)


def close(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-7, abs_tol=1e-9)


@given(FEW)
def test_interval_of_a_mean_is_students_at_every_number_of_values(values: list[float]) -> None:
    assume(np.ptp(values) > 1e-3)
    e = stats.estimate(values)
    low, high = oracle.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=oracle.sem(values))
    assert e.interval is not None
    assert e.mean is not None
    assert e.sd is not None
    assert close(e.interval[0], low)
    assert close(e.interval[1], high)
    assert close(e.mean, float(np.mean(values)))
    assert close(e.sd, float(np.std(values, ddof=1)))


def test_one_value_has_no_interval_and_none_has_nothing() -> None:
    one, none = stats.estimate([0.5]), stats.estimate([])
    assert (one.n, one.mean, one.sd, one.interval) == (1, 0.5, None, None)
    assert (none.n, none.mean, none.sd, none.interval, none.iqm) == (0, None, None, None, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        stats.estimate([1.0, bad])


@given(PAIRS)
def test_paired_difference_is_scipys_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    a, b = zip(*pairs, strict=True)
    assume(np.ptp(np.subtract(a, b)) > 1e-3)
    found, expected = stats.paired(a, b), oracle.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert found.p is not None
    assert found.interval is not None
    assert close(found.p, expected.pvalue)
    assert close(found.interval[0], interval.low)
    assert close(found.interval[1], interval.high)


def test_pairs_need_equal_lengths() -> None:
    with pytest.raises(ValueError, match="pairs"):
        stats.paired([1.0, 2.0], [1.0])


@given(PAIRS)
def test_where_lower_is_better_the_difference_turns_round(pairs: list[tuple[float, float]]) -> None:
    a, b = zip(*pairs, strict=True)
    up, down = stats.paired(a, b), stats.paired(a, b, higher_is_better=False)
    assert up.value is not None
    assert down.value is not None
    assert down.value == pytest.approx(-up.value)
    assert down.p == pytest.approx(up.p)
    assert up.interval is not None
    assert down.interval == pytest.approx((-up.interval[1], -up.interval[0]))


@given(FEW, FEW)
def test_unpaired_difference_is_scipys_welch_test(a: list[float], b: list[float]) -> None:
    assume(np.ptp(a) > 1e-3 or np.ptp(b) > 1e-3)
    found, expected = stats.welch(a, b), oracle.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p is not None
    assert found.interval is not None
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)


def test_welch_turns_round_and_needs_two_values_a_group() -> None:
    value = stats.welch([1.0, 2.0], [4.0, 6.0], higher_is_better=False).value
    assert value == pytest.approx(3.5)
    single = stats.welch([1.0], [2.0, 3.0])
    assert (single.n, single.value, single.interval, single.p) == (1, -1.5, None, None)
    assert stats.welch([], [1.0, 2.0]).value is None


def test_a_constant_difference_has_a_point_for_interval_and_the_sign_tests_p() -> None:
    found = stats.paired([1.0] * 6, [0.25] * 6)
    assert found.interval == (0.75, 0.75)
    assert found.sd == 0
    assert found.p == oracle.binomtest(6, 6).pvalue == 2**-5


def test_no_difference_at_all_has_p_one_and_ties() -> None:
    found = stats.paired([1.0, 0.9, 0.8], [1.0, 0.9, 0.8])
    assert (found.interval, found.p) == ((0.0, 0.0), 1.0)
    assert stats.outcome(found, 1.0, margin=0.0) == "ties"


@pytest.mark.parametrize("test", [stats.paired, stats.welch])
def test_two_replicates_have_an_interval_and_no_verdict(test: Callable[..., Difference]) -> None:
    for a, b in (([1.0, 0.9], [1.0, 0.9]), ([1.0, 0.99], [0.1, 0.11]), ([1.0, 1.0], [0.0, 0.0])):
        found = test(a, b)
        assert found.interval is not None
        assert found.p is None
        assert stats.outcome(found, 0.0, margin=5.0) == "undecided"


def test_rounding_is_not_taken_for_spread() -> None:
    """.3 - .2 and .2 - .1 differ in the last bit: a t-test on that would be significant at any level."""
    found = stats.paired([0.3, 0.2, 0.8], [0.2, 0.1, 0.7])
    assert found.p == 0.25
    assert found.sd == 0


def test_groups_without_spread_get_the_permutation_tests_p() -> None:
    found = stats.welch([1.0] * 3, [0.5] * 4)
    assert found.interval == (0.5, 0.5)
    assert found.p == pytest.approx(2 / 35)
    assert stats.welch([1.0] * 3, [1.0] * 4).p == 1.0


def test_a_huge_group_takes_the_spread_of_no_other() -> None:
    """Judged by 1e30, .90 to .92 would be one value thrice, which no test tells from anything."""
    small = [0.90, 0.91, 0.92]
    found = stats.welch([1e30] * 3, small)
    assert found.value == pytest.approx(1e30)
    assert found.p is not None
    assert found.p < 1e-9


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_never_below_the_raw_p_nor_above_bonferroni(ps: list[float]) -> None:
    for p, adjusted in zip(ps, stats.holm(ps), strict=True):
        assert p <= adjusted <= min(1.0, p * len(ps)) + 1e-15


@given(GROUPS)
def test_holm_keeps_the_order_of_the_p_values(ps: list[float]) -> None:
    adjusted = stats.holm(ps)
    pairs = sorted(zip(ps, adjusted, strict=True))
    assert [a for _, a in pairs] == sorted(adjusted)


def test_holm_on_the_textbook_case() -> None:
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@pytest.mark.parametrize(
    ("value", "interval", "p", "margin", "expected"),
    [
        (0.1, (0.05, 0.15), 0.049, 0.01, "wins"),
        (-0.1, (-0.15, -0.05), 0.049, 0.01, "loses"),
        (0.1, (0.05, 0.15), 0.05, 0.01, "undecided"),
        (0.0, (-0.01, 0.01), 1.0, 0.01, "ties"),
        (0.0, (-0.011, 0.01), 1.0, 0.01, "undecided"),
        (0.0, (-0.01, 0.011), 1.0, 0.01, "undecided"),
        (0.005, (0.004, 0.006), 0.001, 0.01, "wins"),  # small and real: the size says how much it matters
    ],
)
def test_outcomes_follow_their_definition(
    value: float, interval: stats.Interval, p: float, margin: float, expected: str
) -> None:
    assert stats.outcome(Difference(3, value, 0.01, interval, p), p, margin) == expected


def test_without_an_interval_nothing_is_decided() -> None:
    assert stats.outcome(stats.paired([0.9], [0.1]), None, 0.5) == "undecided"


@given(PAIRS, st.floats(0, 10))
def test_outcome_mirrors_when_the_arms_change_places(pairs: list[tuple[float, float]], margin: float) -> None:
    a, b = zip(*pairs, strict=True)
    mirror = {"wins": "loses", "loses": "wins", "ties": "ties", "undecided": "undecided"}
    one, other = stats.paired(a, b), stats.paired(b, a)
    assert stats.outcome(other, other.p, margin) == mirror[stats.outcome(one, one.p, margin)]


def test_replicates_needed_is_the_first_number_that_would_be_significant() -> None:
    needed = stats.replicates_needed(Difference(3, 0.1, 0.1, (-0.15, 0.35), 0.23), margin=0.0)

    def p(n: int) -> float:
        return float(2 * oracle.t.sf(math.sqrt(n), n - 1))

    assert needed is not None
    assert p(needed) < 0.05 <= p(needed - 1)


def test_replicates_needed_counts_the_tests_and_sees_ties() -> None:
    difference = Difference(3, 0.1, 0.1, (-0.15, 0.35), 0.23)
    alone, among_twenty = (stats.replicates_needed(difference, 0.0, tests) for tests in (1, 20))
    assert alone is not None
    assert among_twenty is not None
    assert alone < among_twenty
    tie = stats.replicates_needed(Difference(3, 0.0, 0.1, (-0.25, 0.25), 1.0), margin=0.1)
    assert tie is not None
    assert float(oracle.t.ppf(0.975, tie - 1)) * 0.1 / math.sqrt(tie) <= 0.1


def test_replicates_needed_gives_up_rather_than_promise() -> None:
    assert stats.replicates_needed(Difference(3, 0.0, 0.1, (-0.2, 0.2), 1.0), margin=0.0) is None
    assert stats.replicates_needed(Difference(1, 0.1, None, None, None), margin=0.0) is None
    assert stats.replicates_needed(Difference(3, 0.5, 0.0, (0.5, 0.5), 0.25), margin=0.0) == 6


def test_replicates_needed_of_unpaired_groups_is_a_number_of_each() -> None:
    a, b = [0.80, 0.90, 1.00], [0.70, 0.76, 0.85, 0.95]
    found = stats.welch(a, b)
    assert found.sd == pytest.approx(math.hypot(np.std(a, ddof=1), np.std(b, ddof=1)))
    needed = stats.replicates_needed(found, margin=0.0)
    assert needed is not None

    def p(n: int) -> float:
        means, sds = (np.mean(a), np.mean(b)), (np.std(a, ddof=1), np.std(b, ddof=1))
        return float(oracle.ttest_ind_from_stats(means[0], sds[0], n, means[1], sds[1], n, equal_var=False).pvalue)

    assert p(needed) < 0.05 < p(needed - 3)  # up to two too many: the degrees of freedom are the least possible


def test_replicates_needed_without_spread_counts_permutations_where_unpaired() -> None:
    """2 / C(6, 3) = .1 and 2 / C(8, 4) = .029, where the signs of four pairs give .125."""
    assert stats.replicates_needed(stats.welch([1.0] * 3, [0.5] * 3), margin=0.0) == 4
    assert stats.replicates_needed(stats.paired([1.0] * 3, [0.5] * 3), margin=0.0) == 6


def test_critical_density_stops_at_the_first_density_that_fails() -> None:
    densities = [0.1, 0.8, 0.4, 0.2]
    assert stats.critical_density(densities, [0.0, 0.0, -0.01, -0.02], margin=0.01) == 0.4
    assert stats.critical_density(densities, [0.0, 0.0, 0.0, 0.0], margin=0.01) == 0.1
    assert stats.critical_density(densities, [0.0, -0.02, 0.0, 0.0], margin=0.01) is None
    assert stats.critical_density(densities, [0.0, 0.0, 0.0, None], margin=0.01) == 0.4
    assert stats.critical_density([], [], margin=0.01) is None


SKEWED = np.random.default_rng(3).exponential(1.0, 14)


@pytest.mark.parametrize("n", [10, 13, 14])
def test_the_interquartile_mean_has_its_tukey_mclaughlin_interval(n: int) -> None:
    """By hand: winsorised SD, divided by the kept share and the root of n; kept - 1 degrees of freedom."""
    x, cut = np.sort(SKEWED[:n]), n // 4
    found = stats.estimate(x.tolist(), "iqm")
    assert found.iqm == pytest.approx(oracle.trim_mean(x, 0.25))
    winsorised = np.clip(x, x[cut], x[n - cut - 1]).std(ddof=1)
    half = oracle.t.ppf(0.975, n - 2 * cut - 1) * winsorised / ((1 - 2 * cut / n) * math.sqrt(n))
    assert found.iqm_interval == pytest.approx((found.iqm - half, found.iqm + half))
    plain = stats.estimate(x.tolist())
    assert (plain.iqm, plain.iqm_interval) == (None, None)
    assert (found.mean, found.interval) == (plain.mean, plain.interval), "the mean stands beside it, as ever"


def test_nine_values_have_no_interquartile_mean() -> None:
    assert stats.estimate(SKEWED[:9].tolist(), "iqm").iqm is None


def test_the_same_values_give_the_same_bits_in_any_order() -> None:
    values = SKEWED.tolist()
    assert stats.estimate(values) == stats.estimate(values[::-1])
    assert stats.paired(values, [0.1] * 14) == stats.paired(values[::-1], [0.1] * 14)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=10, max_size=14))
def test_nothing_is_nan_from_ten_values_on(values: list[float]) -> None:
    for statistic in ("mean", "iqm"):
        e = stats.estimate(values, statistic)  # type: ignore[arg-type]
        d = stats.paired(values, values[::-1])
        assert e.interval is not None
        assert d.interval is not None
        assert d.p is not None
        assert all(math.isfinite(x) for x in (*e.interval, *d.interval, d.p))
        assert e.interval[0] <= e.interval[1]
        assert 0 < d.p <= 1
