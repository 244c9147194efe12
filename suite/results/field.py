"""Statistics of the RL field, from Agarwal et al. 2021 (arXiv 2108.13264).

Agarwal et al. take them over tasks; here they are over the tested densities below 1 that all arms share. No verdict
comes from these numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from suite.results.area import pruned
from suite.results.curve import CurvePoint, TaskCurves, statistic_of
from suite.results.stats import Array

THRESHOLDS: Final = 101
"""Scores at which a performance profile is taken, from the least to the greatest that any run has."""


@dataclass(frozen=True)
class ArmRuns:
    """All runs of an arm at the shared densities: how many, their interquartile mean, and their performance profile.

    `improvement` is the probability that a run of winning is better than one of this arm; None for winning itself.
    """

    runs: int
    iqm: float
    profile: tuple[float, ...]
    improvement: float | None


@dataclass(frozen=True)
class Field:
    """The arms of a task over `densities`; profiles are shares of runs better than each of the `thresholds`."""

    densities: tuple[float, ...]
    thresholds: tuple[float, ...]
    arms: Mapping[str, ArmRuns]


def improvement(mine: Sequence[float], theirs: Sequence[float], higher_is_better: bool = True) -> float:
    """Probability that a value of `mine` is better than one of `theirs`, equal ones counting half (section 4.3).

    It is the statistic of Mann and Whitney over the number of pairs. Raises ValueError without values on either side.
    """
    if not mine or not theirs:
        raise ValueError("a probability of improvement takes values on both sides")
    better = stats.mannwhitneyu(mine, theirs) if higher_is_better else stats.mannwhitneyu(theirs, mine)
    return float(better.statistic) / (len(mine) * len(theirs))


def profile(values: Sequence[float], thresholds: Sequence[float] | Array, higher_is_better: bool = True) -> Array:
    """Share of the values that are better than each threshold (section 4.2, run-score distribution)."""
    x, at = np.asarray(values, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)[:, None]
    return np.mean(x > at if higher_is_better else x < at, axis=1)  # type: ignore[no-any-return]


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half of all runs of all densities together (section 4.3)."""
    return float(stats.trim_mean(values, 0.25))


def field_of(curves: TaskCurves) -> Field | None:
    """The statistics of a task whose metric asks for them, as far as its runs are finished; else None.

    Runs that diverged or are missing have no score and count nowhere.
    """
    if statistic_of(curves.spec.metric) != "iqm" or "winning" not in curves.arms:
        return None
    higher = curves.spec.metric.higher_is_better
    by_level = {arm: {point.level: point for point in pruned(points)} for arm, points in curves.arms.items()}
    levels = [
        level
        for level in by_level["winning"]
        if all(level in own and _values(own[level]) for own in by_level.values())
    ]  # fmt: skip
    if not levels:
        return None
    runs = {arm: [_values(own[level]) for level in levels] for arm, own in by_level.items()}
    everything = [value for of in runs.values() for values in of for value in values]
    thresholds = np.linspace(min(everything), max(everything), THRESHOLDS)
    found = {}
    for arm, of in runs.items():
        own = [value for values in of for value in values]
        chances = [improvement(mine, theirs, higher) for mine, theirs in zip(runs["winning"], of, strict=True)]
        found[arm] = ArmRuns(
            runs=len(own),
            iqm=interquartile_mean(own),
            profile=tuple(profile(own, thresholds, higher).tolist()),
            improvement=None if arm == "winning" else float(np.mean(chances)),
        )
    densities = tuple(by_level["winning"][level].density for level in levels)
    return Field(densities, tuple(thresholds.tolist()), found)


def _values(point: CurvePoint) -> list[float]:
    return [value for value in point.values if value is not None]
