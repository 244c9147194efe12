"""Acrobot moves as gymnasium's, LunarLander is made again from its actions, and what is missing is named."""

from collections.abc import Callable
from threading import get_ident
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.error import DependencyNotInstalled, DeprecatedEnv, VersionNotFound

from domains.rl.environments.acrobot import Acrobot
from domains.rl.environments.lunarlander import LunarLanderV3
from domains.rl.replayed import Replayed
from domains.rl.vectorised import Environments
from suite.experiment.errors import RunError
from suite.experiment.learner import Span
from suite.experiment.loading import builder
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from tests.commands import lottery

TASKS = ["rl/cartpole", "rl/acrobot", "rl/lunarlander"]


def landers(envs: int, seeds: tuple[int, ...] = (0,)) -> Replayed:
    return LunarLanderV3(max_episode_steps=1000, reward_scale=1.0).make(envs, seeds)


def test_acrobots_move_as_gymnasiums_single_one() -> None:
    vector, generator = Acrobot(6, seeds=[3], max_episode_steps=120), np.random.default_rng(0)
    singles = [gym.make("Acrobot-v1", max_episode_steps=120) for _ in range(6)]

    def same_state(i: int) -> None:
        singles[i].reset(seed=i)
        singles[i].unwrapped.state = vector.state[:, i].astype(np.float32)  # type: ignore[attr-defined]

    for i in range(6):
        same_state(i)
    goals = limits = 0
    for _ in range(130):
        # Half of them swing themselves up by pushing the way they bend, the others are pushed about.
        actions = np.where(np.arange(6) % 2, np.sign(vector.state[3]).astype(int) + 1, generator.integers(3, size=6))
        observed, rewards, dones, infos = vector.step(actions)
        assert isinstance(observed, np.ndarray)
        for i, single in enumerate(singles):
            seen, reward, terminated, truncated, _ = single.step(int(actions[i]))
            assert (rewards[i], dones[i]) == (reward, terminated or truncated)
            np.testing.assert_allclose(infos[i]["terminal_observation"] if dones[i] else observed[i], seen, rtol=1e-5)
            if dones[i]:
                assert infos[i]["TimeLimit.truncated"] == truncated
                assert np.abs(vector.state[:, i]).max() <= 0.1
                same_state(i)
                goals, limits = goals + terminated, limits + truncated
    assert (goals + limits, limits) == (len(vector.finished), 3)
    assert goals >= 3
    assert sorted(value for _, value in vector.finished)[:3] == [-120.0] * 3


@pytest.mark.parametrize("start", [(-2.8, -2.9, 12.5, -28.2), (1.9, 2.5, -12.5, 28.2)])
def test_acrobots_turn_no_faster_than_gymnasiums(start: tuple[float, ...]) -> None:
    vector, single = Acrobot(1, seeds=[0]), cast(Any, gym.make("Acrobot-v1").unwrapped)
    single.reset(seed=0)
    vector.state[:, 0] = single.state = np.array(start)
    vector.step(np.array([2]))
    single.step(2)
    np.testing.assert_allclose(vector.state[:, 0], single.state, rtol=1e-9)
    assert np.abs(vector.state[2:, 0]).tolist() == [4 * np.pi, 9 * np.pi]


def test_a_goal_reached_in_the_last_step_is_no_truncation() -> None:
    vector = Acrobot(1, seeds=[0], max_episode_steps=1)
    vector.state[:, 0] = [np.pi, 0.0, 0.0, 0.0]
    _, _, dones, infos = vector.step(np.array([1]))
    assert dones[0]
    assert not infos[0]["TimeLimit.truncated"]


@pytest.mark.parametrize("make", [lambda: Acrobot(5, seeds=[1]), lambda: landers(5)], ids=["arrays", "Box2D"])
def test_restored_environments_go_on_bit_for_bit(make: Callable[[], Environments]) -> None:
    """In the middle of episodes, some of which ended before."""
    generator = np.random.default_rng(2)
    played, restored = make(), make()
    played.reset()
    restored.reset()
    for _ in range(170):
        played.step(generator.integers(3, size=5))
    restored.restore(*played.snapshot())
    assert restored.running.tolist() == played.running.tolist()
    for _ in range(170):
        actions = generator.integers(3, size=5)
        one, two = played.step(actions), restored.step(actions)
        for mine, other in zip(one[:3], two[:3], strict=True):
            np.testing.assert_array_equal(mine, other)  # type: ignore[arg-type]
    assert played.finished == restored.finished


def test_landers_move_as_gymnasiums_own_and_each_has_random_numbers_of_its_own() -> None:
    one, neighbours = landers(1), landers(3)
    single = gym.make("LunarLander-v3")
    single.unwrapped.np_random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0).spawn(1)[0]))
    first, _ = single.reset()
    np.testing.assert_array_equal(one.reset()[0], first)
    starts = neighbours.reset()
    np.testing.assert_array_equal(starts[0], first)
    assert len({row.tobytes() for row in starts}) == 3
    for t in range(60):
        seen, reward, terminated, _, _ = single.step(t % 4)
        observed, rewards, dones, _ = one.step(np.array([t % 4]))
        assert isinstance(rewards, np.ndarray)
        assert (rewards[0], dones[0]) == (np.float32(reward), terminated)
        neighbours.step(np.array([t % 4, 2, 0]))
        if terminated:
            break
        np.testing.assert_array_equal(observed[0], seen)  # type: ignore[index]
    assert neighbours.snapshot()[1]["taken"][0] == t + 1 - (t + 1 if terminated else 0)


def test_a_resting_lander_is_not_stepped() -> None:
    both = landers(2)
    both.reset()
    both.rest(1)
    before = both.step(np.array([2, 2]))[0]
    after = both.step(np.array([2, 2]))[0]
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert before[1].tolist() == after[1].tolist()
    assert before[0].tolist() != after[0].tolist()
    assert both.snapshot()[1]["taken"] == [2, 0]


def test_landers_live_in_one_thread_beside_the_learners_so_that_their_memory_lies_apart() -> None:
    """Every world is made and moved there, after a snapshot is put back too."""
    threads = set()
    played = landers(2)

    def seen(single: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        class Seen(gym.Wrapper[Any, Any, Any, Any]):
            def step(self, action: Any) -> Any:
                threads.add(get_ident())
                return super().step(action)

            def reset(self, **kwargs: Any) -> Any:
                threads.add(get_ident())
                return super().reset(**kwargs)

        return Seen(single)

    played._single = [seen(single) for single in played._single]
    played.reset()
    played.step(np.array([2, 2]))
    played.restore(*played.snapshot())
    assert len(threads) == 1
    assert get_ident() not in threads


def not_imported(cause: ImportError) -> Exception:
    """What gymnasium makes of a Box2D that is missing, or whose own libraries are."""
    error = DependencyNotInstalled("Box2D is not installed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (not_imported(ImportError("libm.so: no such file")), "rl/lunarlander needs 'Box2D', which is installed but "
         "cannot be loaded (libm.so: no such file): install it again, or what it lacks"),
        (not_imported(ModuleNotFoundError("No module named 'Box2D'")), "rl/lunarlander needs 'Box2D', which is not "
         "installed: pip install 'lottery-suite[rl]'"),
        (VersionNotFound("no version v3"), "has no LunarLander-v3: pip install 'gymnasium>="),
        (DeprecatedEnv("use v4"), "has no LunarLander-v3: pip install 'gymnasium>="),
    ],
)  # fmt: skip
def test_what_is_missing_or_broken_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, words: str
) -> None:
    def make(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("domains.rl.environments.lunarlander.gym.make", make)
    refused = lottery("run", "rl/lunarlander", "--scale", "smoke")
    assert refused.returncode == 1
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_retired_environment_is_refused_with_the_present_one() -> None:
    refused = lottery("run", "rl/cartpole", "--scale", "smoke", "--set", "data.name=CartPole-v0")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "data.name = 'CartPole-v0'; nearest: CartPole-v1" in refused.stderr


@pytest.mark.parametrize("task", TASKS)
def test_an_update_of_the_paper_task_trains_every_weight_of_its_whole_network(task: str) -> None:
    """P2: 3 x 128 and 3 x 256 units, 32 environments of 4 steps, all weights and biases prunable."""
    spec = Registry().find(task).at("paper").spec
    learner = builder(spec)(spec, Streams(spec.hash, 1000), Span(0, spec.training.total_steps), Runtime())
    before = {name: weights.detach().clone() for name, weights in learner.model.named_parameters()}
    learner.advance(1)
    assert set(spec.prunable) == set(before)
    units = 128 if task == "rl/cartpole" else 256
    assert before["mlp_extractor.policy_net.4.weight"].shape == (units, units)
    assert spec.training.batch == 128
    for name, weights in learner.model.named_parameters():
        assert not torch.equal(weights, before[name]), name


@pytest.mark.parametrize("task", TASKS)
def test_the_rewind_step_of_the_paper_task_is_its_first_epoch_of_twenty(task: str) -> None:
    found = Registry().find(task).at("paper")
    assert found.method.rewind_step * 20 == found.spec.training.total_steps


@pytest.mark.parametrize("task", TASKS)
def test_the_random_ticket_of_the_paper_task_is_trained_at_each_of_twenty_levels(task: str) -> None:
    options = Registry().find(task).at("paper").options
    assert (options.arms, options.levels, options.at) == (("winning", "reinit", "random"), 20, None)


def test_an_error_of_gymnasium_is_no_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LunarLanderV3, "name", "LunarLander-v99")
    with pytest.raises(RunError, match="has no LunarLander-v99"):
        landers(1)
