"""The area under a curve over log-density, at the tested densities below 1: what one test of a whole run rests on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from suite.results.curve import CurvePoint
from suite.results.stats import Estimate, estimate


@dataclass(frozen=True)
class Area:
    """Normalised area under a curve: 1 is the dense reference at every density, 0 is chance.

    `values` are those of the replicates; None: a cell is missing or diverged.
    """

    values: tuple[float | None, ...]
    estimate: Estimate


def pruned(points: Iterable[CurvePoint]) -> tuple[CurvePoint, ...]:
    """The points of a curve that its area is taken over: pruned ones that have something left."""
    return tuple(point for point in points if point.level > 0 and 0 < point.density < 1)


def heights(points: Sequence[CurvePoint]) -> tuple[float | None, ...]:
    """Every replicate's mean score over log-density (by trapezoid): its area, divided by the range of log-density.

    Of points at one density it is their plain mean. None where a replicate lacks a value.
    """
    if not points:
        return ()
    ordered = sorted(points, key=lambda point: point.density)
    x = np.log([point.density for point in ordered])
    y = np.array([[np.nan if value is None else value for value in point.values] for point in ordered])
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.trapezoid(y, x, axis=0) / (x[-1] - x[0]) if x[-1] > x[0] else y.mean(axis=0)
    return tuple(float(value) if np.isfinite(value) else None for value in mean)


def learnt(dense: float | None, chance: float, higher_is_better: bool) -> bool:
    """Whether a dense score is better than chance: only then is there a scale between the two."""
    sign = 1 if higher_is_better else -1
    return dense is not None and sign * (dense - chance) > 1e-9 * max(abs(chance), 1e-3)


def normalised(found: Sequence[float | None], chance: float, dense: float) -> Area:
    """The area whose heights these are, between chance and a dense reference that is better."""
    values = tuple(None if height is None else (height - chance) / (dense - chance) for height in found)
    return Area(values, estimate([value for value in values if value is not None]))
