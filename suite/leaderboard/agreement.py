"""Whether claimed scores agree with those found where other bits are owed: of single cells, and of means over cells.

A difference d is claimed - found of one cell, oriented so that a positive one flatters. An honest claim and what is
found differ by the chaos of rounding alone: d has mean 0, and no more variance than two replicates have.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean, variance

from scipy.special import chdtri, ndtri, stdtrit

FALSE_ALARM = 0.01
"""Honest entries of which a cell is refused: 1 of 100 verifications; of which a mean is refused: as many."""

CAUGHT = 0.95
"""The power that is stated is that of the shift caught in so many of 100 verifications."""

NEIGHBOURS = 2
"""So many densities to either side of a cell's own lend it their spread: few replicates have little of their own."""

LEAST = 0.01
"""Of the metric's margin: a smaller difference of means is no difference, so that no last digit accuses anyone."""

ENOUGH = 3
"""So few differences have a spread of their own."""


@dataclass(frozen=True)
class Spread:
    """How far two runs of one cell lie apart: the SD of their difference, and its degrees of freedom."""

    sd: float
    df: float

    def tolerance(self, tests: int) -> float:
        """How far one difference may be from 0 when `tests` are judged together: t(1 - .01 / (2 tests); df) x sd."""
        return float(stdtrit(self.df, 1 - FALSE_ALARM / (2 * max(1, tests)))) * self.sd


def spread_of(curve: Sequence[Sequence[float | None]], place: int, replicate: int, margin: float) -> Spread:
    """The spread of a cell by the entry's own replicates: sqrt(2) x their SD.

    `curve` has the values of every density, `place` is the one in question. The variance over replicates is pooled over
    the density and its `NEIGHBOURS`; the score in question is left out, since a forged one would excuse itself. Where
    replicates do not differ, half the metric's margin stands in.
    """
    squares, df = 0.0, 0
    for at in range(max(0, place - NEIGHBOURS), min(len(curve), place + NEIGHBOURS + 1)):
        known = [v for i, v in enumerate(curve[at]) if v is not None and (at, i) != (place, replicate)]
        if len(known) > 1:
            squares += variance(known) * (len(known) - 1)
            df += len(known) - 1
    if squares == 0:
        return Spread(margin / 2, math.inf)
    return Spread(math.sqrt(2 * squares / df), df)


@dataclass(frozen=True)
class Contrast:
    """A mean of differences, of one arm or of winning minus another arm, and how far from 0 an honest one may be.

    `caught` is the smallest uniform shift that is found out in 95 of 100 verifications like this one.
    """

    name: str
    cells: int
    mean: float
    tolerance: float
    caught: float

    @property
    def holds(self) -> bool:
        """Whether the mean is no further from 0 than the tolerance."""
        return abs(self.mean) <= self.tolerance


Differences = Mapping[str, Sequence[tuple[float, Spread]]]
"""By arm: the difference of each cell that was trained again, with its spread."""


def contrasts(
    differences: Differences, against: str, margin: float, alone: Collection[str] = ()
) -> tuple[Contrast, ...]:  # fmt: skip
    """The tests of means: of every arm, and of `against` (the arm that entries are ranked by) minus every other one.

    The arms in `alone` are of another task, and tested only by themselves.

    With D the mean of n differences d, or the difference of two such means (variances then add, degrees of freedom are
    those of Welch and Satterthwaite), D is refused beyond the smaller of

        t(1 - a/2; n - 1) sd(d) / sqrt(n)            Student's t on the paired differences themselves, from three on
        t(1 - a/2; df) sqrt(sum of sd_i^2) / n       by the spread sd_i of each cell in the entry's own replicates

    with a = .01 / (2 x number of means): one of 100 honest entries meets a refusal. The first is blind to what varies
    over replicates, the second to noise that a forger adds to hide a shift. Never less than a hundredth of the margin
    is refused. Caught in 95 of 100 cases is a shift that exceeds one of the bounds by the .95 quantile of the error of
    D, each variance taken at the upper end of its own 95 % interval.
    """
    sides = {arm: _Side.of(pairs) for arm, pairs in differences.items() if pairs}
    tested: dict[str, tuple[_Side, ...]] = {arm: (side,) for arm, side in sides.items()}
    if against in sides:
        tested |= {
            f"{against} - {arm}": (sides[against], side) for arm, side in sides.items() if arm not in (against, *alone)
        }
    level = FALSE_ALARM / (2 * len(tested)) if tested else FALSE_ALARM
    return tuple(_contrast(name, both, level, LEAST * margin) for name, both in tested.items())


@dataclass(frozen=True)
class _Variance:
    """Of a mean, with its degrees of freedom."""

    value: float
    df: float

    @classmethod
    def of_independent(cls, parts: Sequence["_Variance"]) -> "_Variance":
        """The variance of a difference of means, with the degrees of freedom of Welch and Satterthwaite."""
        total = fsum(part.value for part in parts)
        squares = fsum(part.value**2 / part.df for part in parts)
        return cls(total, total**2 / squares if squares else min(part.df for part in parts))

    @classmethod
    def of_claims(cls, spreads: Sequence[Spread]) -> "_Variance":
        """The variance of a mean of cells; their spreads share replicates, so that their errors do not cancel out."""
        values = [(spread.sd / len(spreads)) ** 2 for spread in spreads]
        total = fsum(values)
        errors = fsum(value / math.sqrt(spread.df) for value, spread in zip(values, spreads, strict=True))
        return cls(total, (total / errors) ** 2 if errors else math.inf)

    def bound(self, level: float) -> float:
        """What the error of the mean is below with probability `level`."""
        return float(stdtrit(self.df, level)) * math.sqrt(self.value)

    @property
    def largest(self) -> "_Variance":
        """The variance at the upper end of its own one-sided 95 % interval."""
        low = 1.0 if math.isinf(self.df) else float(chdtri(self.df, CAUGHT)) / self.df
        return _Variance(self.value / low, self.df)


@dataclass(frozen=True)
class _Side:
    """The differences of one arm: their mean, and its variance by themselves (None: too few) and by the entry."""

    n: int
    mean: float
    own: _Variance | None
    claimed: _Variance

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, Spread]]) -> "_Side":
        values, n = [value for value, _ in pairs], len(pairs)
        own = _Variance(variance(values) / n, n - 1) if n >= ENOUGH else None
        return cls(n, fmean(values), own, _Variance.of_claims([spread for _, spread in pairs]))


def _contrast(name: str, sides: Sequence[_Side], level: float, least: float) -> Contrast:
    mean = sides[0].mean - fsum(side.mean for side in sides[1:])
    ways = [_Variance.of_independent([side.claimed for side in sides])]
    if all(side.own is not None for side in sides):
        ways.append(_Variance.of_independent([side.own for side in sides if side.own is not None]))
    bounds = [way.bound(1 - level / 2) for way in ways]
    error = float(ndtri(CAUGHT))
    caught = [bounds[0] + error * math.sqrt(ways[0].largest.value)]
    caught += [way.largest.bound(1 - level / 2) + error * math.sqrt(way.largest.value) for way in ways[1:]]
    return Contrast(name, sum(side.n for side in sides), mean, max(least, min(bounds)), max(least, min(caught)))
