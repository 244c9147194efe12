"""The bootstrap is BCa, deterministic, and takes over from ten values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from suite.results import stats
from suite.results.bootstrap import bca, centre

SKEWED = np.random.default_rng(3).exponential(1.0, 14)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_interquartile_mean_is_the_trimmed_mean_of_a_quarter(values: list[float]) -> None:
    found = float(centre(np.array(values), "iqm"))
    assert found == pytest.approx(float(oracle.trim_mean(values, 0.25)), abs=1e-9)


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_interval_is_scipys_bca_up_to_the_resamples(statistic: str) -> None:
    def of(x: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(x.mean(axis=axis) if statistic == "mean" else oracle.trim_mean(x, 0.25, axis=axis))

    expected = oracle.bootstrap((SKEWED,), of, n_resamples=50_000, method="BCa", random_state=1).confidence_interval
    found = bca(SKEWED, statistic)  # type: ignore[arg-type]
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
    plain = oracle.bootstrap((SKEWED,), of, n_resamples=50_000, method="percentile", random_state=1)
    if statistic == "mean":  # the correction is more than the tolerance: a percentile interval would fail
        assert abs(found.high - plain.confidence_interval.high) > 0.05


def test_the_same_values_give_the_same_bits_in_any_order_of_calls() -> None:
    first = bca(SKEWED)
    bca(SKEWED[:10])
    np.random.default_rng().random(5)
    assert bca(SKEWED) == first


@pytest.mark.parametrize("shift", [0.3, 0.6, 0.9])
def test_p_is_where_the_interval_touches_zero(shift: float) -> None:
    """Moved so that an end point is 0, a sample has p = .05."""
    at_rest = bca(SKEWED)
    assert bca(SKEWED - at_rest.low).p == pytest.approx(0.05, abs=0.004)
    assert bca(SKEWED - at_rest.high).p == pytest.approx(0.05, abs=0.004)
    moved = bca(SKEWED - shift)
    assert (moved.p < 0.05) == (moved.low > 0 or moved.high < 0)


def test_p_is_never_below_what_signs_alone_can_give() -> None:
    assert bca(np.linspace(1.0, 1.1, 10)).p == 2.0**-9


def test_skew_does_not_weaken_ten_differences_of_one_sign() -> None:
    """A lossy ticket's, as measured: the acceleration once made p .003 of resamples that never come near 0."""
    lost = np.array([-0.017, -0.016, -0.006, -0.012, -0.017, -0.015, -0.017, -0.016, -0.021, -0.016])
    assert bca(lost).p == bca(-lost).p == 2.0**-9


def test_the_bootstrap_takes_over_at_ten_values() -> None:
    nine, ten = (SKEWED[:n].tolist() for n in (9, 10))
    t9 = oracle.t.interval(0.95, 8, loc=np.mean(nine), scale=oracle.sem(nine))
    assert stats.estimate(nine).interval == pytest.approx(t9)
    found = bca(SKEWED[:10])
    assert stats.estimate(ten).interval == (found.low, found.high)
    assert stats.paired(ten, [0.0] * 10).p == found.p


def test_the_interquartile_mean_is_used_only_from_ten_values() -> None:
    nine, ten = (SKEWED[:n].tolist() for n in (9, 10))
    assert stats.estimate(nine, "iqm").statistic == "mean"
    robust = stats.estimate(ten, "iqm")
    assert robust.statistic == "iqm"
    assert robust.centre == pytest.approx(oracle.trim_mean(ten, 0.25))
    assert robust.mean == pytest.approx(np.mean(ten))
    assert stats.paired(ten, [0.0] * 10, statistic="iqm").value == pytest.approx(robust.centre)


def test_ten_equal_values_have_a_point_for_interval() -> None:
    assert stats.estimate([0.5] * 12).interval == (0.5, 0.5)
    assert stats.paired([1.0] * 10, [0.0] * 10).p == 2.0**-9
