"""Statistics of a few replicates: intervals, differences, verdicts, areas. Pure functions of numbers.

Student-t below ten values, BCa bootstrap from ten. Where all values are equal no test of a mean is defined (exact match
reaches 100 % in every replicate): the interval is then that one point, and the p-value is the one signs alone give.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from suite.results.bootstrap import Array, Statistic, bca, centre

Interval = tuple[float, float]
Outcome = Literal["wins", "ties", "loses", "undecided"]

ALPHA: Final = 0.05
BOOTSTRAP_FROM: Final = 10
MOST_REPLICATES: Final = 1000
"""Beyond this no number of replicates is proposed."""


@dataclass(frozen=True)
class Estimate:
    """n values: mean, SD (n - 1), and the 95 % interval of `centre`, which is the mean or the interquartile mean.

    One value has no SD and no interval; no value has nothing.
    """

    n: int
    mean: float | None
    sd: float | None
    centre: float | None
    interval: Interval | None
    statistic: Statistic


@dataclass(frozen=True)
class Difference:
    """How much better a is than b (positive is better), with 95 % interval and two-sided p-value before adjustment.

    `n` counts the pairs, or the smaller group. SD is that of the paired differences, or of the difference of two single
    values, one of each group: the root of the sum of their variances.
    """

    n: int
    value: float | None
    sd: float | None
    interval: Interval | None
    p: float | None
    paired: bool = True


def estimate(values: Sequence[float], statistic: Statistic = "mean") -> Estimate:
    """Mean, SD and interval of values; `iqm` takes effect from ten values. Raises ValueError for NaN and infinity."""
    x = _finite(values)
    used = _used(x.size, statistic)
    if x.size == 0:
        return Estimate(0, None, None, None, None, used)
    mean, middle = float(centre(x, "mean")), float(centre(x, used))
    if x.size == 1:
        return Estimate(1, mean, None, middle, None, used)
    return Estimate(x.size, mean, _sd(x), middle, _test(x, used, np.abs(x).max())[0], used)


def middle(values: Sequence[float], statistic: Statistic = "mean") -> float:
    """The `centre` of their estimate, without its interval. Raises ValueError for NaN, infinity and no value."""
    x = _finite(values)
    if x.size == 0:
        raise ValueError("no value has no middle")
    return float(centre(x, _used(x.size, statistic)))


def paired(
    a: Sequence[float], b: Sequence[float], higher_is_better: bool = True, statistic: Statistic = "mean"
) -> Difference:
    """Paired difference a - b, oriented so that positive is better; a[i] and b[i] are of one replicate.

    Below ten pairs Student-t; from ten BCa, of the mean or of the interquartile mean of the differences. When all
    differences are equal: interval = that point, p = 1 if it is 0, else 2^(1-n) (two-sided sign test).
    Raises ValueError for unequal lengths.
    """
    x, y = _finite(a), _finite(b)
    if x.size != y.size:
        raise ValueError(f"{x.size} and {y.size} values: paired values come in pairs")
    d = (x - y) if higher_is_better else (y - x)
    if d.size == 0:
        return Difference(0, None, None, None, None)
    used = _used(d.size, statistic)
    value = float(centre(d, used))
    if d.size == 1:
        return Difference(1, value, None, None, None)
    scale = max(np.abs(x).max(), np.abs(y).max())
    interval, p = _test(d, used, scale)
    sd = 0.0 if _constant(d, scale) else _sd(d)
    return Difference(d.size, _snap(value, scale), sd, interval, p)


def welch(a: Sequence[float], b: Sequence[float], higher_is_better: bool = True) -> Difference:
    """Unpaired difference of means a - b, oriented, by Welch's t-test (degrees of freedom of Welch and Satterthwaite).

    Each group's spread is judged by the size of its own values: beside 1e30, others still vary. With no spread in
    either group: interval = the difference, p = 1 if it is 0, else 2 / C(n_a + n_b, n_a) (the permutation test's
    least). Groups of one value have no interval.
    """
    x, y = _finite(a), _finite(b)
    n = min(x.size, y.size)
    if n == 0:
        return Difference(0, None, None, None, None, paired=False)
    scales = [float(np.abs(v).max()) for v in (x, y)]
    difference = float(centre(x, "mean") - centre(y, "mean")) * (1 if higher_is_better else -1)
    value = _snap(difference, max(scales))  # a difference carries the rounding of the larger
    if n == 1:
        return Difference(1, value, None, None, None, paired=False)
    sds = [0.0 if _constant(v, scale) else _sd(v) for v, scale in zip((x, y), scales, strict=True)]
    va, vb = sds[0] ** 2 / x.size, sds[1] ** 2 / y.size
    if va + vb == 0:
        p = 1.0 if value == 0 else 2 / math.comb(x.size + y.size, x.size)
        return Difference(n, value, 0.0, (value, value), p, paired=False)
    share = va / (va + vb)
    df = 1 / (share**2 / (x.size - 1) + (1 - share) ** 2 / (y.size - 1))
    interval, p = _student(value, math.sqrt(va + vb), df)
    return Difference(n, value, math.hypot(*sds), interval, p, paired=False)


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted for their number (Holm 1979), in the order given."""
    adjusted = [0.0] * len(ps)
    worst = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = worst
    return tuple(adjusted)


def outcome(difference: Difference, p_adjusted: float | None, margin: float) -> Outcome:
    """`wins`: adjusted p < .05 and better; `loses`: its mirror; `ties`: the whole interval lies within +-margin.

    A difference can be significant and within the margin: it wins or loses, and its size says how much that matters.
    """
    if difference.value is None or difference.interval is None or p_adjusted is None:
        return "undecided"
    if p_adjusted < ALPHA and difference.value != 0:
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
    for n in range(difference.n + 1, MOST_REPLICATES + 1):
        if difference.sd == 0:
            least = 2.0 ** (1 - n) if difference.paired else 2 / math.comb(2 * n, n)
            if effect > 0 and least < level:
                return n
            continue
        error = difference.sd / math.sqrt(n)
        within = effect + float(stdtrit(n - 1, 0.975)) * error <= margin
        if within or _student(effect, error, n - 1)[1] < level:
            return n
    return None


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


def area(densities: Sequence[float], values: Sequence[float], chance: float, dense: float) -> float | None:
    """Area under a curve over log-density, by trapezoid; 1 is the dense value at every density, 0 is chance.

    Divided by the range of log-density, so curves over one range compare. None for fewer than two densities, for one
    of 0, which has no logarithm, or when dense equals chance.
    """
    points = sorted(zip(densities, values, strict=True))
    if len(points) < 2 or points[0][0] <= 0 or points[0][0] == points[-1][0] or dense == chance:
        return None
    x = np.log([density for density, _ in points])
    y = (np.array([value for _, value in points]) - chance) / (dense - chance)
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def tie_groups(
    entries: Sequence[Sequence[float]], higher_is_better: bool = True, statistic: Statistic = "mean"
) -> tuple[tuple[int, ...], ...]:
    """Entries by rank, best `middle` first, cut into groups: each is not significantly worse than its group's leader.

    Welch's test of means at .05 between leader and entry, whatever the statistic; an entry of one value cannot be told
    apart and joins. So does one with the better mean and the worse interquartile mean: the test contradicts the rank.
    """
    sign = 1 if higher_is_better else -1
    order = sorted(range(len(entries)), key=lambda i: (-sign * middle(entries[i], statistic), i))
    groups: list[list[int]] = []
    for i in order:
        if groups and _joins(entries[i], entries[groups[-1][0]], higher_is_better):
            groups[-1].append(i)
        else:
            groups.append([i])
    return tuple(tuple(group) for group in groups)


def _joins(entry: Sequence[float], leader: Sequence[float], higher_is_better: bool) -> bool:
    """Whether an entry's mean is not significantly worse than the leader's."""
    found = welch(leader, entry, higher_is_better)
    return found.p is None or found.value is None or found.p >= ALPHA or found.value <= 0


def _test(x: Array, statistic: Statistic, scale: float) -> tuple[Interval, float]:
    """Interval of the centre of at least two values, and p-value of its being 0."""
    value = _snap(float(centre(x, statistic)), scale)
    if _constant(x, scale):
        return (value, value), 1.0 if value == 0 else 2.0 ** (1 - x.size)
    if x.size >= BOOTSTRAP_FROM:
        result = bca(x, statistic)
        return (result.low, result.high), result.p
    return _student(value, _sd(x) / math.sqrt(x.size), x.size - 1)


def _student(value: float, error: float, df: float) -> tuple[Interval, float]:
    half = float(stdtrit(df, 0.975)) * error
    return (value - half, value + half), 2 * float(stdtr(df, -abs(value) / error))


def _used(n: int, statistic: Statistic) -> Statistic:
    """The interquartile mean takes effect from ten values."""
    return statistic if n >= BOOTSTRAP_FROM else "mean"


def _sd(x: Array) -> float:
    return float(np.std(x, ddof=1))


def _constant(x: Array, scale: float) -> bool:
    """All equal, but for the rounding of numbers of size `scale`: .3 - .2 and .2 - .1 are one difference."""
    return float(np.ptp(x)) <= 1e-12 * scale


def _snap(value: float, scale: float) -> float:
    """0 where a difference of numbers of size `scale` is only their rounding."""
    return 0.0 if abs(value) <= 1e-12 * scale else value


def _finite(values: Sequence[float]) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise ValueError("values must be finite: a diverged replicate has none")
    return x
