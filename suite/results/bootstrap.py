"""The bias-corrected and accelerated bootstrap (Efron 1987), for a mean or an interquartile mean.

Resamples come from one fixed seed: the same values give the same interval, to the last bit.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Statistic = Literal["mean", "iqm"]
Array = NDArray[np.float64]

RESAMPLES: Final = 19_999
SEED: Final = 0
LEAST: Final = 2 / (RESAMPLES + 1)
"""The least two-sided p-value that so many resamples resolve."""


@dataclass(frozen=True)
class Bootstrap:
    """A 95 % interval, and the two-sided p-value of "the statistic is 0" that comes from inverting the interval."""

    low: float
    high: float
    p: float


def centre(values: Array, statistic: Statistic) -> Array:
    """Mean, or interquartile mean, over the last axis.

    The interquartile mean drops floor(n / 4) values at either end (Agarwal et al. 2021, section 4.3).
    """
    ordered = np.sort(values, axis=-1)  # equal multisets must give equal bits, whatever their order
    cut = ordered.shape[-1] // 4 if statistic == "iqm" else 0
    kept: Array = ordered[..., cut : ordered.shape[-1] - cut]
    mean: Array = kept.mean(axis=-1)
    return mean


def bca(values: Array, statistic: Statistic = "mean") -> Bootstrap:
    """BCa interval of a sample [n], n >= 2 with some spread (Efron and Tibshirani 1993, chapter 14).

    p is the level at which the interval just touches 0; where no resample reaches 0, the least that their number
    resolves (the acceleration would stretch that one unseen resample at will). It is held at or above 2^(1-n), the
    least p-value that signs alone can give: ten values of one sign are no evidence beyond their signs.
    """
    n = values.size
    rows = np.random.default_rng(SEED).integers(0, n, (RESAMPLES, n))
    samples = np.sort(centre(values[rows], statistic))
    z0 = float(ndtri(_rank(samples, float(centre(values, statistic)))))
    a = _acceleration(values, statistic)

    def position(z: float) -> float:
        return float(ndtr(z0 + (z0 + z) / (1 - a * (z0 + z))))

    z = float(ndtri(0.975))
    low, high = np.quantile(samples, [position(-z), position(z)])
    unreached = samples[0] > 0 or samples[-1] < 0
    p = LEAST if unreached else _inverted(_rank(samples, 0.0), z0, a)
    return Bootstrap(float(low), float(high), max(p, 2.0 ** (1 - n)))


def _inverted(rank: float, z0: float, a: float) -> float:
    """Two-sided p-value: the level whose BCa end point has this rank among the resamples."""
    w = float(ndtri(rank)) - z0
    if 1 + a * w <= 0:  # beyond the pole of the acceleration: no level reaches it
        return LEAST
    z = w / (1 + a * w) - z0
    return max(2 * float(ndtr(-abs(z))), LEAST)


def _rank(ordered: Array, value: float) -> float:
    """Fraction of an ordered sample below a value, ties counted half, kept off 0 and 1."""
    below = (np.searchsorted(ordered, value, "left") + np.searchsorted(ordered, value, "right")) / 2
    return float(np.clip(below / ordered.size, 1 / (ordered.size + 1), ordered.size / (ordered.size + 1)))


def _acceleration(values: Array, statistic: Statistic) -> float:
    """Skewness of the jackknife / 6; 0 when leaving a value out changes nothing."""
    n = values.size
    left_out = np.array([centre(np.delete(values, i), statistic) for i in range(n)])
    d = left_out.mean() - left_out
    scale = float((d**2).sum()) ** 1.5
    return float((d**3).sum()) / (6 * scale) if scale > 0 else 0.0
