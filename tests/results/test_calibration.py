"""Intervals and verdicts err as often as they say: simulated, seeded, on the functions that reports use."""

import numpy as np
import pytest

from suite.results.area import heights
from suite.results.curve import point_of
from suite.results.stats import ALPHA, Array, holm, interquartile, student


def covered(low: Array, high: Array) -> float:
    """How often a true mean of 0 lies between the bounds."""
    return float(np.mean((low < 0) & (high > 0)))


@pytest.mark.parametrize("n", [3, 5, 9, 10, 20])
def test_an_interval_of_a_mean_covers_it_in_95_of_100_samples(n: int) -> None:
    _, low, high, p = student(np.random.default_rng(n).standard_normal((20_000, n)))
    assert 0.94 <= covered(low, high) <= 0.96
    assert np.array_equal(p < ALPHA, (low > 0) | (high < 0))


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("tails", ["normal", "student"])
def test_an_interval_of_the_interquartile_mean_covers_it(n: int, tails: str) -> None:
    rng = np.random.default_rng(n)
    pairs = rng.standard_normal((2, 800, n)) if tails == "normal" else rng.standard_t(3, (2, 800, n))
    _, low, high = interquartile(pairs[0] - pairs[1])
    assert 0.92 <= covered(low, high) <= 0.97


def null_families(n: int, families: int = 3000, densities: int = 14) -> Array:
    """Differences [family, density, replicate] without any effect, correlated .5 between densities."""
    rng = np.random.default_rng(n)
    own, shared = rng.standard_normal((families, densities, n)), rng.standard_normal((families, 1, n))
    return (own + shared) / np.sqrt(2)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_holms_verdicts_err_in_no_more_than_six_of_a_hundred_families(n: int) -> None:
    p = student(null_families(n))[3]
    assert np.mean([min(holm(list(family))) < ALPHA for family in p]) <= 0.06


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_primary_test_errs_in_no_more_than_six_of_a_hundred_runs(n: int) -> None:
    differences = null_families(n)
    runs = differences.transpose(0, 2, 1).reshape(-1, differences.shape[1])  # every replicate of every run a row
    points = [
        point_of(level + 1, 0.8 ** (level + 1), tuple(map(float, runs[:, level])), "mean")
        for level in range(runs.shape[1])
    ]
    p = student(np.array(heights(points)).reshape(-1, n))[3]
    assert 0.04 <= np.mean(p < ALPHA) <= 0.06
