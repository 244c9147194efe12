"""Areas: mean heights over log-density at the tested densities below 1, on a scale from chance to dense."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from suite.results.area import heights, learnt, normalised, pruned
from suite.results.curve import CurvePoint, point_of


def curve(densities: list[float], values: list[tuple[float | None, ...]]) -> list[CurvePoint]:
    """A curve of replicates' values at each density, levels from 1."""
    return [point_of(i + 1, d, v, "mean") for i, (d, v) in enumerate(zip(densities, values, strict=True))]


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9, unique=True), st.floats(-5, 5), st.floats(0.1, 5))
def test_area_is_one_at_dense_zero_at_chance_and_half_between(
    densities: list[float], chance: float, gap: float
) -> None:
    assume(len(densities) == 1 or math.log(max(densities) / min(densities)) > 1e-6)
    for dense in (chance + gap, chance - gap):  # both directions of the metric
        row = tuple(chance + share * (dense - chance) for share in (0.0, 0.5, 1.0))
        found = normalised(heights(curve(densities, [row] * len(densities))), chance, dense)
        assert found.values == pytest.approx((0.0, 0.5, 1.0), abs=1e-6)
        assert found.estimate.n == 3


def test_height_is_taken_over_the_logarithm_of_density() -> None:
    """From .8 to .2 the score falls from 1 to 0: in log-density half of the way is at .4."""
    points = curve([0.8, 0.4, 0.2], [(1.0,), (1.0,), (0.0,)])
    assert heights(points) == pytest.approx((0.75,))
    assert heights(points[::-1]) == pytest.approx((0.75,))


def test_points_of_one_density_have_their_mean() -> None:
    assert heights(curve([0.5], [(0.3, 0.4)])) == pytest.approx((0.3, 0.4))
    assert heights(curve([0.5, 0.5], [(0.3,), (0.5,)])) == pytest.approx((0.4,))
    assert heights([]) == ()


def test_a_replicate_with_a_hole_has_no_height() -> None:
    assert heights(curve([0.5, 0.25], [(0.3, 0.4), (None, 0.4)])) == (None, pytest.approx(0.4))


def test_dense_and_empty_networks_are_no_tested_densities() -> None:
    points = [point_of(level, density, (0.5,), "mean") for level, density in enumerate((1.0, 1.0, 0.5, 0.0))]
    assert [point.density for point in pruned(points)] == [0.5]


@pytest.mark.parametrize(
    ("dense", "higher", "expected"),
    [(0.9, True, True), (0.1, True, False), (0.05, True, False), (0.05, False, True), (0.9, False, False)],
)
def test_a_network_has_learnt_if_it_is_better_than_chance(dense: float, higher: bool, expected: bool) -> None:
    assert learnt(dense, 0.1, higher) is expected
    assert learnt(None, 0.1, higher) is False
