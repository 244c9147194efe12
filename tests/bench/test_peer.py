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
    training = found["training"]
    assert (training["rounds"], found["steps"], training["amount"], training["unit"]) == (2, 2, 2 * 64, "examples")
    peer, learner = training["sides"]
    assert (peer["name"], learner["name"]) == ("stable-baselines3: make_vec_env + A2C", "learner")
    assert peer["ratio"] > 0
    assert peer["cpu_ratio"] > 0
    assert (learner["ratio"], learner["cpu_ratio"]) == (1, 1)
    assert learner["per_second"] > 0
    assert found["scoring"] is None


def test_a_task_without_a_peer_is_refused() -> None:
    with pytest.raises(UsageError, match="has no peer"):
        measure(Registry().find("vision/mnist5k-lenet300").at("smoke").spec, 1, 1)


def test_a_peer_that_does_not_score_is_refused_where_scoring_is_to_be_timed() -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
    with pytest.raises(UsageError, match=r"no peer of rl/cartpole scores a split: leave --scorings out"):
        measure(Registry().find("rl/cartpole").at("smoke").spec, 1, 1, scorings=1)


def test_a_cohort_is_timed_by_the_work_of_all_its_runs() -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
    spec = Registry().find("rl/cartpole").at("smoke").spec
    found = measure(spec, rounds=3, steps=3, slots=5).training
    peer, cohort = found.sides
    assert (cohort.name, cohort.cpu_ratio, found.amount) == ("a cohort of 5", 1, 3 * 64)
    # Work a second is stated of both sides: their quotient is the ratio, but for the medians being of other rounds.
    assert cohort.per_cpu_second / peer.per_cpu_second == pytest.approx(peer.cpu_ratio, rel=0.8)
    assert peer.cpu_ratio > 1
    with pytest.raises(UsageError, match="offers no cohort"):
        measure(Registry().find("rl/atari-breakout").at("smoke").spec, 1, 1, slots=2)
    with pytest.raises(UsageError, match="a cohort is timed in training alone"):
        measure(spec, 1, 1, scorings=1, slots=2)


def test_a_game_of_which_gymnasium_has_no_old_version_has_no_peer() -> None:
    pytest.importorskip("ale_py", reason="needs the extra `rl`")
    from domains.rl.emulator import fingerprint

    changes = {"data.settings.game": "tetris", "data.fingerprint": fingerprint("tetris")}
    with pytest.raises(UsageError, match="gymnasium has no TetrisNoFrameskip-v4 to compare with: name a task of"):
        measure(Registry().find("rl/atari-breakout").at("smoke", changes).spec, 1, 1)


def test_a_peer_normalises_what_its_task_does() -> None:
    pytest.importorskip("Box2D", reason="needs the extra `rl`")
    found = measure(Registry().find("rl/lunarlander").at("smoke").spec, 1, 1).training
    assert found.sides[0].name == "stable-baselines3: make_vec_env + A2C + VecNormalize"
