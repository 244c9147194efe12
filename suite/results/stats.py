"""Statistics of a few replicates: intervals, differences, verdicts. Pure functions of numbers.

Every interval of a mean and every p-value is Student's t, at every number of replicates: the bootstrap's are too narrow
for so few. The interquartile mean is shown beside the mean, with its own interval, and no p-value comes from it.
"""

import gc
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import comb

Array = NDArray[np.float64]
Interval = tuple[float, float]
Outcome = Literal["wins", "ties", "loses", "undecided"]
Statistic = Literal["mean", "iqm"]

ALPHA: Final = 0.05
LEAST_REPLICATES: Final = 3
"""With fewer replicates there is no verdict: two values that happen to be equal show no spread at all."""
IQM_FROM: Final = 10
"""The interquartile mean is shown from so many values: of fewer it keeps too little."""
MOST_REPLICATES: Final = 1000
"""Beyond this no number of replicates is proposed."""


@dataclass(frozen=True)
class Estimate:
    """n values: mean, SD (n - 1) and Student's 95 % interval; the interquartile mean with its own, where it is shown.

    One value has no SD and no interval; no value has nothing.
    """

    n: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    iqm: float | None = None
    iqm_interval: Interval | None = None


@dataclass(frozen=True)
class Difference:
    """How much better a is than b (positive is better), with 95 % interval and two-sided p-value before adjustment.

    `n` counts the pairs, or the smaller group; below three there is no p-value. SD is that of the paired differences,
    or of the difference of two single values, one of each group: the root of the sum of their variances.
    """

    n: int
    value: float | None
    sd: float | None
    interval: Interval | None
    p: float | None
    paired: bool = True


def student(samples: Array) -> tuple[Array, Array, Array, Array]:
    """Means of samples [..., n], both bounds of their 95 % intervals, and the p-values of their being 0.

    Student's t for every n >= 2; a sample without spread has bounds or p-values that are no number.
    """
    with warnings.catch_warnings():  # of numbers that overflow or hardly vary: the result says so itself
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_1samp(samples, 0.0, axis=-1)
        bounds = test.confidence_interval(1 - ALPHA)
        return np.mean(samples, axis=-1), bounds.low, bounds.high, test.pvalue


def interquartile(samples: Array) -> tuple[Array, Array, Array]:
    """Interquartile means of samples [..., n], and both bounds of their 95 % intervals (Tukey and McLaughlin 1963).

    floor(n / 4) values are dropped at either end (Agarwal et al. 2021, section 4.3).
    """
    share = samples.shape[-1] // 4 / samples.shape[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = stats.mstats.trimmed_mean_ci(samples, limits=(share, share), alpha=ALPHA, axis=-1)
        low, high = (np.ma.filled(bound, np.nan) for bound in bounds)
        return stats.trim_mean(samples, 0.25, axis=-1), low, high


def estimate(values: Sequence[float], statistic: Statistic = "mean") -> Estimate:
    """Mean, SD and interval of values, with `iqm` the interquartile mean too from ten values.

    Raises ValueError for NaN and infinity.
    """
    x = _finite(values)
    if x.size == 0:
        return Estimate(0, None, None, None)
    if x.size == 1:
        return Estimate(1, float(x[0]), None, None)
    mean, low, high, _ = student(x)
    spread = not _constant(x, np.abs(x).max())
    bounds = (float(low), float(high)) if spread else (float(mean), float(mean))
    sd = float(np.std(x, ddof=1))
    if statistic == "mean" or x.size < IQM_FROM:
        return Estimate(x.size, float(mean), sd, bounds)
    iqm, low, high = interquartile(x)
    return Estimate(x.size, float(mean), sd, bounds, float(iqm), (float(low), float(high)))


def paired(a: Sequence[float], b: Sequence[float], higher_is_better: bool = True) -> Difference:
    """Mean of the paired differences a - b, oriented so that positive is better; a[i] and b[i] are of one replicate.

    Student's t. Where all differences are equal it is not defined: the interval is that one point, and p is 1 if it is
    0, else the sign test's. (Scores are counts out of a finite test set: three equal differences come by chance.)
    Raises ValueError for unequal lengths.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.size != y.size:
        raise ValueError(f"{x.size} and {y.size} values: paired values come in pairs")
    scale = max(np.abs(_finite(a)).max(initial=0), np.abs(_finite(b)).max(initial=0))
    d = np.sort((x - y) if higher_is_better else (y - x))  # equal differences in any order give equal bits
    if d.size == 0:
        return Difference(0, None, None, None, None)
    if d.size == 1:
        return Difference(1, float(d[0]), None, None, None)
    mean, low, high, p = student(d)
    value = _snap(float(mean), scale)
    if _constant(d, scale):
        signs = 1.0 if value == 0 else float(stats.binomtest(d.size, d.size).pvalue)
        return Difference(d.size, value, 0.0, (value, value), _tested(signs, d.size))
    sd = float(np.std(d, ddof=1))
    return Difference(d.size, value, sd, (float(low), float(high)), _tested(float(p), d.size))


def welch(a: Sequence[float], b: Sequence[float], higher_is_better: bool = True) -> Difference:
    """Difference of the means of two groups a - b, oriented, by Welch's t-test.

    A group's spread is judged by the size of its own values: beside 1e30, others still vary. With no spread in either
    group: interval = the difference, p = 1 if it is 0, else that of the Mann-Whitney test. Groups of one value have no
    interval.
    """
    x, y = _finite(a), _finite(b)
    n = min(x.size, y.size)
    if n == 0:
        return Difference(0, None, None, None, None, paired=False)
    sign = 1 if higher_is_better else -1
    scales = [float(np.abs(group).max()) for group in (x, y)]
    value = _snap(float(np.mean(x) - np.mean(y)) * sign, max(scales))  # a difference carries the larger's rounding
    if n == 1:
        return Difference(1, value, None, None, None, paired=False)
    x, y = (
        np.full(group.size, np.mean(group)) if _constant(group, scale) else group
        for group, scale in zip((x, y), scales, strict=True)
    )
    if np.ptp(x) == 0 == np.ptp(y):
        p = 1.0 if value == 0 else float(stats.mannwhitneyu(x, y, method="exact").pvalue)
        return Difference(n, value, 0.0, (value, value), _tested(p, n), paired=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_ind(x, y, equal_var=False)
        low, high = test.confidence_interval(1 - ALPHA)
    bounds = (float(low), float(high)) if sign > 0 else (-float(high), -float(low))
    sd = math.hypot(np.std(x, ddof=1), np.std(y, ddof=1))
    return Difference(n, value, sd, bounds, _tested(float(test.pvalue), n), paired=False)


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted for their number (Holm 1979), in the order given."""
    if not ps:
        return ()
    from statsmodels.stats.multitest import multipletests  # takes half a second: only where something is adjusted

    gc.freeze()  # it collects all garbage at every call, a tenth of a second; what is frozen is not looked at
    try:
        return tuple(float(p) for p in multipletests(ps, ALPHA, method="holm")[1])
    finally:
        gc.unfreeze()


def outcome(difference: Difference, p: float | None, margin: float) -> Outcome:
    """`wins`: p < .05 (adjusted, where there are several) and better; `loses`: its mirror; `ties`: within +-margin.

    A tie's whole interval lies there. A difference can be significant and within the margin: it wins or loses, and its
    size says how much that matters. Below three replicates nothing is decided.
    """
    if difference.value is None or difference.interval is None or p is None or difference.n < LEAST_REPLICATES:
        return "undecided"
    if p < ALPHA and difference.value != 0:
        return "wins" if difference.value > 0 else "loses"
    low, high = difference.interval
    return "ties" if -margin <= low and high <= margin else "undecided"


def replicates_needed(difference: Difference, margin: float, tests: int = 1) -> int | None:
    """The least number of replicates that gives a verdict if mean and SD stay as they are; None beyond a thousand.

    A verdict is p < .05 / `tests` (the hardest step of Holm), or an interval within +-margin. It is an estimate from
    few values: the mean it supposes is as uncertain as the interval says. None with fewer than two pairs. Unpaired, it
    is a number of each group; n - 1 is the least that Welch's degrees of freedom can be, so fewer may do.
    """
    if difference.value is None or difference.sd is None:
        return None
    effect, level = abs(difference.value), ALPHA / max(1, tests)
    n = np.arange(max(difference.n + 1, LEAST_REPLICATES), MOST_REPLICATES + 1)
    if difference.sd == 0:
        p = 2.0 ** (1 - n) if difference.paired else 2 / comb(2 * n, n)
        decided = (p < level) & (effect > 0)
    else:
        error = difference.sd / np.sqrt(n)
        within = effect + stats.t.ppf(1 - ALPHA / 2, n - 1) * error <= margin
        decided = within | (2 * stats.t.sf(effect / error, n - 1) < level)
    return int(n[decided][0]) if decided.any() else None


def critical_density(densities: Sequence[float], lower_bounds: Sequence[float | None], margin: float) -> float | None:
    """The smallest tested density with every tested density from it upwards no worse than dense by more than `margin`.

    `lower_bounds` are those of (winning - dense), oriented; None (no interval, diverged) does not pass.
    """
    critical = None
    for density, low in sorted(zip(densities, lower_bounds, strict=True), key=lambda pair: -pair[0]):
        if low is None or low < -margin:
            break
        critical = density
    return critical


def _tested(p: float, n: int) -> float | None:
    """A p-value from which a verdict may come; None of too few values, or of numbers that overflow."""
    return p if n >= LEAST_REPLICATES and math.isfinite(p) else None


def _constant(x: Array, scale: float) -> bool:
    """All equal, but for the rounding of numbers of size `scale`: .3 - .2 and .2 - .1 are one difference."""
    return float(np.ptp(x)) <= 1e-12 * scale


def _snap(value: float, scale: float) -> float:
    """0 where a difference of numbers of size `scale` is only their rounding."""
    return 0.0 if abs(value) <= 1e-12 * scale else value


def _finite(values: Sequence[float]) -> Array:
    """Values in order of size: the same values give the same bits, in whatever order they come."""
    x = np.sort(np.asarray(values, dtype=np.float64))
    if not np.isfinite(x).all():
        raise ValueError("values must be finite: a diverged replicate has none")
    return x
