"""Atari games from ale-py's C++ environments are those that stable-baselines3's wrappers give."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.atari_wrappers import AtariWrapper, NoopResetEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from domains.rl.emulator import Emulator
from domains.rl.environments.atari import Atari, Games, _seed

SEED, ENVS = 7, 2
Starts = list[tuple[int, int]]
"""Of each game that began: resets of the emulator before it, and frames without an action."""


def settings(game: str, **changes: Any) -> Atari:
    usual: dict[str, Any] = {
        "game": game, "pixels": 84, "frame_skip": 4, "frame_stack": 4, "noop_max": 30, "terminal_on_life_loss": True,
        "clip_rewards": True, "max_frames": 108_000,
    }  # fmt: skip
    return Atari(**usual | changes)


class _AsTold(gym.Wrapper[Any, Any, Any, Any]):
    """Begins a game with as many resets and no-ops as another emulator's did, whose random numbers are its own."""

    def __init__(self, env: gym.Env[Any, Any], told: Starts) -> None:
        super().__init__(env)
        self.told, self.wrapper, self.resets = told, NoopResetEnv(env), 0

    def reset(self, **_: Any) -> Any:
        resets, no_ops = self.told.pop(0)
        while self.resets < resets - 1:
            self.env.reset()
            self.resets += 1
        self.resets += 1
        self.wrapper.override_num_noops = no_ops
        return self.wrapper.reset()


def wrapped(game: str, pixels: int, told: Starts, seed: int, **changes: Any) -> Callable[[], gym.Env[Any, Any]]:
    """`make_atari_env`'s environment with the emulator's seed, and no-ops as told."""
    from ale_py.env import AtariEnv

    def make() -> gym.Env[Any, Any]:
        env = AtariEnv(game, frameskip=1, repeat_action_probability=0.0, max_num_frames_per_episode=108_000)
        env.ale.setInt("random_seed", seed)
        env.load_game()
        return AtariWrapper(_AsTold(Monitor(env), told), noop_max=0, screen_size=pixels, **changes)

    return make


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> dict[int, Starts]:
    """The starts of every emulator's games, by its seed."""
    found: dict[int, Starts] = {}
    restart = Emulator.restart

    def watched(self: Emulator) -> None:
        restart(self)
        found.setdefault(self._seed, []).append((self.resets, self.no_ops))

    monkeypatch.setattr(Emulator, "restart", watched)
    return found


@pytest.mark.parametrize(("game", "pixels", "steps"), [("breakout", 84, 260), ("seaquest", 42, 420)])
def test_games_are_those_of_stable_baselines3s_wrappers(
    game: str, pixels: int, steps: int, starts: dict[int, Starts]
) -> None:
    """Pictures, rewards, ends, lost lives, no-ops and FIRE at every start, and the returns of whole games."""
    ours = Games(settings(game, pixels=pixels), ENVS, [SEED])
    seeds = [_seed(SEED, i) for i in range(ENVS)]
    told: list[Starts] = [starts.setdefault(seed, []) for seed in seeds]
    theirs = VecFrameStack(DummyVecEnv([wrapped(game, pixels, *each) for each in zip(told, seeds, strict=True)]), 4)
    generator = np.random.default_rng(0)
    returns: list[tuple[int, float]] = []
    lives = games = paid = 0
    differences = []

    def compare(mine: Any, other: Any) -> None:
        differences.append(np.abs(mine.astype(int) - np.moveaxis(other, -1, 1).astype(int)))

    compare(ours.reset(), theirs.reset())
    for _ in range(steps):
        actions = generator.integers(ours.action_space.n, size=ENVS)
        observed, rewards, dones, infos = ours.step(actions)
        other, other_rewards, other_dones, other_infos = theirs.step(actions)
        compare(observed, other)
        assert rewards.tolist() == other_rewards.tolist()
        assert dones.tolist() == other_dones.tolist()
        paid += int(np.abs(rewards).sum())
        for i in np.flatnonzero(dones):
            over = "episode" in other_infos[i]
            games, lives = games + over, lives + (not over)
            returns += [(int(i), other_infos[i]["episode"]["r"])] if over else []
            assert not infos[i]["TimeLimit.truncated"]
    found = np.stack(differences)
    print(game, "max", found.max(), "share>1", (found > 1).mean(), "share>0", (found > 0).mean(), games, lives, paid)
    assert ours.finished == returns
    assert min(games, lives, paid) > 0
