"""Statistics of the RL field, against Agarwal et al.'s own library as an oracle."""

import importlib
import random
import sys
from types import ModuleType

import numpy as np
import pytest
from synthetic_cells import spec, view

from suite.results.curve import curves_of
from suite.results.field import Field, field_of, improvement, interquartile_mean, profile

RL = {"statistic": "interquartile-mean", "unit": "reward", "chance": 20.0, "margin": 25.0}


def returns(arm: str, level: int, replicate: int) -> float:
    height = {"dense": 500.0, "winning": 480.0, "reinit": 400.0, "random": 300.0}[arm]
    return round(height - 30 * level + random.Random(f"{arm} {level} {replicate}").gauss(0, 60))


def made(**changed: object) -> Field:
    found = field_of(curves_of(view(returns, spec(metric=RL), replicates=tuple(range(7)), **changed)))
    assert found is not None
    return found


def matrix(arm: str, levels: int = 4, replicates: int = 7) -> np.ndarray:
    """Scores of an arm as rliable takes them: runs by tasks, densities being the tasks."""
    return np.array([[returns(arm, level, r) for level in range(1, levels + 1)] for r in range(replicates)])


def test_the_interquartile_mean_is_rliables() -> None:
    metrics = pytest.importorskip("rliable.metrics")
    for arm, own in made().arms.items():
        assert own.iqm == pytest.approx(metrics.aggregate_iqm(matrix(arm)))
        assert own.runs == 28


def test_the_probability_of_improvement_is_rliables() -> None:
    metrics = pytest.importorskip("rliable.metrics")
    found = made().arms
    assert found["winning"].improvement is None
    for arm in ("reinit", "random"):
        expected = metrics.probability_of_improvement(matrix("winning"), matrix(arm))
        assert found[arm].improvement == pytest.approx(expected)
        assert expected > 0.6


def test_performance_profiles_are_rliables(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rliable")
    # What it bootstraps with does not import beside pandas 3; a profile itself takes no bootstrap.
    bootstrap = ModuleType("arch.bootstrap")
    vars(bootstrap).update(IIDBootstrap=object, IndependentSamplesBootstrap=object)
    monkeypatch.setitem(sys.modules, "arch", ModuleType("arch"))
    monkeypatch.setitem(sys.modules, "arch.bootstrap", bootstrap)
    vars(sys.modules["arch"])["bootstrap"] = bootstrap
    library = importlib.import_module("rliable.library")
    found = made()
    for arm, own in found.arms.items():
        expected = [library.run_score_deviation(matrix(arm), threshold) for threshold in found.thresholds]
        np.testing.assert_allclose(own.profile, expected)
        assert own.profile[0] > own.profile[50] > own.profile[-1] == 0


def test_equal_values_count_half_and_a_metric_may_fall() -> None:
    assert improvement([3.0, 5.0], [3.0, 1.0]) == 3.5 / 4
    assert improvement([3.0, 5.0], [3.0, 1.0], higher_is_better=False) == 0.5 / 4
    assert improvement([2.0, 2.0], [2.0]) == 0.5
    assert profile([1.0, 2.0, 4.0], [0.0, 2.0]).tolist() == [1.0, 1 / 3]
    assert profile([1.0, 2.0, 4.0], [0.0, 2.0], higher_is_better=False).tolist() == [0.0, 1 / 3]
    assert interquartile_mean([0.0, 1.0, 2.0, 100.0]) == 1.5
    with pytest.raises(ValueError, match="both sides"):
        improvement([], [1.0])


def test_only_densities_that_all_arms_share_count_and_runs_without_a_score_nowhere() -> None:
    lost = {("random", 2, r) for r in range(7)} | {("winning", 3, 0)}
    found = made(skip=lost)
    assert [round(density, 3) for density in found.densities] == [0.8, 0.512, 0.41]
    assert [own.runs for own in found.arms.values()] == [20, 21, 21]


def test_a_task_whose_metric_does_not_ask_has_no_such_statistics() -> None:
    assert field_of(curves_of(view(returns))) is None
    assert field_of(curves_of(view(returns, spec(metric=RL), arms=("reinit",)))) is None
