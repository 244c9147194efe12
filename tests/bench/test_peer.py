"""`lottery bench peer` times both sides on the same amount of work."""

import json

import pytest

from suite.bench.peer import measure
from suite.experiment.errors import UsageError
from suite.experiment.registry import Registry
from tests.commands import lottery


def test_both_sides_take_the_updates_that_they_are_timed_by() -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
    shown = lottery("bench", "peer", "rl/cartpole", "--scale", "smoke", "--rounds", "2", "--steps", "2", "--json")
    assert shown.returncode == 0
    found = json.loads(shown.stdout)
    assert (found["rounds"], found["steps"], found["examples"]) == (2, 2, 2 * 64)
    assert found["peer"]["name"] == "stable-baselines3: make_vec_env + A2C"
    assert found["ratio"] > 0
    assert found["cpu_ratio"] > 0
    assert found["learner"]["per_second"] > 0


def test_a_task_without_a_peer_is_refused() -> None:
    with pytest.raises(UsageError, match="has no peer"):
        measure(Registry().find("vision/mnist5k-lenet300").at("smoke").spec, 1, 1)
