"""A step is timed in seconds of its own, at small batches where a task allows it, and reckoned along a line."""

import pytest

from suite.experiment.measure import reckoned


def test_the_cost_that_does_not_grow_with_the_batch_is_counted_once() -> None:
    """Such as the update of the weights: 1 s here, and .5 s an example."""
    assert reckoned({2: 2.0, 4: 3.0}, 512) == pytest.approx(1.0 + 512 * 0.5)


def test_noise_does_not_tilt_the_line_beyond_reason() -> None:
    assert reckoned({2: 3.0, 4: 2.0}, 10) == pytest.approx(2.0 + 6 * 0.25), "half of an example's share at least"
    assert reckoned({2: 0.1, 4: 2.0}, 10) == pytest.approx(10 * 0.5), "no more than in proportion"


def test_one_batch_is_scaled_and_the_tasks_own_is_taken_as_it_is() -> None:
    assert reckoned({2: 3.0}, 8) == pytest.approx(12.0)
    assert reckoned({2: 3.0, 4: 9.0}, 4) == 9.0
