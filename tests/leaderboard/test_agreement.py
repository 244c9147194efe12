"""Claimed against found where other bits are owed: honest entries are not accused, shifts from the stated power are."""

import math

import numpy as np
import pytest

from suite.leaderboard.agreement import FALSE_ALARM, Contrast, Spread, contrasts, spread_of

ARMS = ("winning", "dense", "reinit", "random")
Claims = dict[str, tuple[np.ndarray, np.ndarray]]


def test_the_spread_comes_from_the_other_replicates() -> None:
    """The SD of .90 and .92 times the root of two; the score in question does not excuse itself."""
    assert spread_of([[0.9, 0.92, 0.99]], 0, 2, 0.02) == Spread(pytest.approx(0.0141421 * math.sqrt(2), rel=1e-4), 1)
    assert spread_of([[0.9, None, 0.92, 0.7]], 0, 3, 0.02) == spread_of([[0.9, 0.92, 0.7]], 0, 2, 0.02)


def test_where_replicates_do_not_differ_the_margin_stands_in() -> None:
    assert spread_of([[0.9, 0.9, 0.99]], 0, 2, 0.02) == Spread(0.01, math.inf)
    assert spread_of([[0.9, 0.99]], 0, 1, 0.02) == Spread(0.01, math.inf)


def test_neighbouring_densities_lend_their_spread() -> None:
    curve = [[0.9, 0.92], [0.8, 0.99], [0.7, 0.72], [0.6, 0.62], [0.1, 0.9]]
    assert spread_of(curve, 1, 1, 0.02) == Spread(pytest.approx(math.sqrt(2) * 0.0141421, rel=1e-4), 3)


def test_the_tolerance_of_one_cell_is_that_of_all_cells_judged_together() -> None:
    """Normal quantiles: of .995 for one, of .9995 for ten."""
    assert Spread(0.01, math.inf).tolerance(1) == pytest.approx(0.0257583, rel=1e-4)
    assert Spread(0.01, math.inf).tolerance(10) == pytest.approx(0.0329053, rel=1e-4)


def test_a_mean_is_judged_by_students_t_on_the_paired_differences() -> None:
    """Five differences of SD .01, an entry whose replicates vary wildly: t(1 - .005; 4) = 4.6041 for one mean."""
    noise = np.array([-1.2649, -0.6325, 0.0, 0.6325, 1.2649]) * 0.01
    (one,) = contrasts({"winning": [(float(d), Spread(10.0, 20)) for d in noise]}, "winning", 1e-9)
    level = FALSE_ALARM / 2
    assert one.tolerance == pytest.approx(_t(4, 1 - level / 2) * 0.01 / math.sqrt(5), rel=1e-3)


def test_a_mean_is_judged_by_the_entrys_own_spread_where_a_forger_adds_noise() -> None:
    """Differences all over the place, replicates that agree: four cells of SD .01 have a mean of SD .005."""
    (one,) = contrasts({"winning": [(d, Spread(0.01, 1e9)) for d in (5.0, -5.0, 3.0, -2.9)]}, "winning", 1e-9)
    assert one.tolerance == pytest.approx(_t(1e9, 1 - FALSE_ALARM / 4) * 0.005, rel=1e-3)
    assert not one.holds


def test_a_last_digit_accuses_nobody() -> None:
    (one,) = contrasts({"winning": [(1e-9, Spread(0.01, 9))] * 5}, "winning", 0.02)
    assert (one.tolerance, one.holds) == (0.0002, True)


def test_equal_shifts_of_all_cells_are_seen_however_wide_the_replicates() -> None:
    (one,) = contrasts({"winning": [(0.003, Spread(0.5, 9))] * 5}, "winning", 0.02)
    assert not one.holds


def test_lowering_a_control_is_seen_in_winning_minus_control() -> None:
    honest = [(d, Spread(0.01, 50)) for d in (0.001, -0.001, 0.002, -0.002)]
    lowered = [(d - 0.05, spread) for d, spread in honest]
    found = {one.name: one.holds for one in contrasts({"winning": honest, "random": lowered}, "winning", 0.02)}
    assert found == {"winning": True, "random": False, "winning - random": False}


def _t(df: float, level: float) -> float:
    from scipy.stats import t

    return float(t(df).ppf(level))


def claims(rng: np.random.Generator, replicates: int, chaos: float) -> Claims:
    """Six densities of every arm, replicates of SD 1 of which `chaos` is that of a run: what is true, and claimed."""
    found = {}
    for arm in ARMS:
        true = rng.normal(0, math.sqrt(1 - chaos**2), (6, replicates))
        found[arm] = (true, true + rng.normal(0, chaos, true.shape))
    return found


def trained_again(rng: np.random.Generator, entry: Claims, n: int, chaos: float, shift: float) -> tuple[Contrast, ...]:
    """The means of `n` cells of every arm trained again on another machine, `shift` added to all winning claims."""
    differences = {}
    for arm, (true, honest) in entry.items():
        claimed = honest + (shift if arm == "winning" else 0)
        found = true + rng.normal(0, chaos, true.shape)
        curve = claimed.tolist()
        drawn = [divmod(int(i), true.shape[1]) for i in rng.choice(true.size, n, replace=False)]
        differences[arm] = [(claimed[at] - found[at], spread_of(curve, *at, 0.1)) for at in drawn]
    return contrasts(differences, "winning", 0.1)


@pytest.mark.parametrize(("replicates", "chaos"), [(5, 1.0), (2, 1.0), (10, 0.5)])
def test_one_of_a_hundred_honest_entries_is_accused_and_what_the_power_says_is_caught(
    replicates: int, chaos: float
) -> None:
    rng = np.random.default_rng(8)
    accused, caught = [], []
    for _ in range(100):
        entry = claims(rng, replicates, chaos)
        honest = [trained_again(rng, entry, 8, chaos, 0.0) for _ in range(3)]
        accused += [not all(one.holds for one in found) for found in honest]
        forged = [trained_again(rng, entry, 8, chaos, honest[0][0].caught)[0] for _ in range(3)]
        caught += [not one.holds for one in forged]
    assert np.mean(accused) <= 0.02
    assert np.mean(caught) >= 0.95
