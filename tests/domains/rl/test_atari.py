"""Atari games from ale-py's C++ environments are those that stable-baselines3's wrappers give."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
from ale_py import ALEInterface, roms
from stable_baselines3.common import atari_wrappers
from stable_baselines3.common.atari_wrappers import AtariWrapper, NoopResetEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from domains.rl.emulator import NOOP, UNPLAYED, Emulator, frames_of, rom_path
from domains.rl.environments.atari import Atari, Games, _seed
from suite.experiment.errors import RunError, UsageError

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


def wrapped(
    game: str, pixels: int, told: Starts, seed: int, grey: bool, limit: int | None = None
) -> Callable[[], gym.Env[Any, Any]]:
    """`make_atari_env`'s environment with the emulator's seed, no-ops as told, and games over after `limit` frames."""
    from ale_py.env import AtariEnv

    def make() -> gym.Env[Any, Any]:
        kind: Any = "grayscale" if grey else "rgb"
        env = AtariEnv(
            game, obs_type=kind, frameskip=1, repeat_action_probability=0.0, max_num_frames_per_episode=limit
        )
        env.ale.setInt("random_seed", seed)
        env.load_game()
        return AtariWrapper(_AsTold(Monitor(env), told), noop_max=0, screen_size=pixels)

    return make


def over_after(frames: int, game: Emulator, name: str) -> Emulator:
    """The emulator, whose every game is over after so many frames, in the middle of a step too."""
    game._ale.setInt("max_num_frames_per_episode", frames)
    game._ale.loadROM(rom_path(name))
    return game


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> dict[int, Starts]:
    """The starts of every emulator's games, by its seed."""
    found: dict[int, Starts] = {}
    restart = Emulator.restart

    def watched(self: Emulator) -> None:
        no_ops = np.random.default_rng([self._seed, self.games]).integers(1, self._noop_max, endpoint=True)
        restart(self)
        found.setdefault(self._seed, []).append((self.games, int(no_ops)))

    monkeypatch.setattr(Emulator, "restart", watched)
    return found


@pytest.mark.parametrize(
    ("game", "pixels", "grey", "steps"),
    [
        ("breakout", 84, True, 260),
        ("seaquest", 42, True, 420),
        ("seaquest", 42, False, 60),
        ("berzerk", 42, True, 400),  # its frames are counted from before its first
        ("qbert", 42, True, 500),
    ],
)
def test_games_are_those_of_stable_baselines3s_wrappers(
    game: str, pixels: int, grey: bool, steps: int, starts: dict[int, Starts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures, rewards, ends, lost lives, no-ops and FIRE at every start, and the returns of whole games.

    The wrappers take the brighter of two frames in each colour and make it grey, ale-py the other way round, so that
    things that flicker differ by a shade; from grey frames, all is equal.
    """
    if grey:
        monkeypatch.setattr(atari_wrappers.cv2, "cvtColor", lambda frame, code: frame)
    ours = Games(settings(game, pixels=pixels), ENVS, [SEED])
    seeds = [_seed(SEED, i) for i in range(ENVS)]
    told = [starts.setdefault(seed, []) for seed in seeds]
    theirs = DummyVecEnv([wrapped(game, pixels, *each, grey) for each in zip(told, seeds, strict=True)])
    stacked = VecFrameStack(theirs, 4)
    seen, others = [ours.reset()], [np.asarray(stacked.reset())]
    generator = np.random.default_rng(0)
    returns: list[tuple[int, float]] = []
    lives = paid = 0
    for _ in range(steps):
        actions = generator.integers(ours.games[0].actions, size=ENVS)
        observed, rewards, dones, infos = ours.step(actions)
        other, other_rewards, other_dones, other_infos = stacked.step(actions)
        seen.append(np.asarray(observed))
        others.append(np.asarray(other))
        assert rewards.tolist() == other_rewards.tolist()
        assert dones.tolist() == other_dones.tolist()
        paid += int(np.abs(rewards).sum())
        over = [i for i in np.flatnonzero(dones).tolist() if "episode" in other_infos[i]]
        lives += int(dones.sum()) - len(over)
        returns += [(i, other_infos[i]["episode"]["r"]) for i in over]
        assert not any(infos[i]["TimeLimit.truncated"] for i in np.flatnonzero(dones))
    assert ours.finished == returns
    if grey:
        np.testing.assert_array_equal(np.stack(seen), np.moveaxis(np.stack(others), -1, 2))
        assert min(len(returns), lives, paid) > 0
    else:
        differences = np.abs(np.stack(seen).astype(int) - np.moveaxis(np.stack(others), -1, 2))
        assert differences.max() <= 16
        assert (differences > 0).mean() < 0.01


def test_a_game_that_is_over_before_its_episode_has_begun_is_followed_by_the_next_as_in_stable_baselines3s_wrappers(
    starts: dict[int, Starts],
) -> None:
    """With the no-op behind a lost life, with FIRE, or with the action behind it."""
    ours = Games(settings("breakout", pixels=42), ENVS, [SEED])
    for game in ours.games:
        over_after(119, game, "breakout")
    seeds = [_seed(SEED, i) for i in range(ENVS)]
    told = [starts.setdefault(seed, []) for seed in seeds]
    theirs = DummyVecEnv([wrapped("breakout", 42, *each, False, 119) for each in zip(told, seeds, strict=True)])
    ours.reset()
    theirs.reset()
    generator, steps_of_begun_games = np.random.default_rng(0), set[int]()
    for _ in range(150):
        actions = generator.integers(ours.games[0].actions, size=ENVS)
        _, rewards, dones, _ = ours.step(actions)
        began = {i: each[-1][1] for i, each in enumerate(told) if each}
        _, other_rewards, other_dones, infos = theirs.step(actions)
        assert rewards.tolist() == other_rewards.tolist()
        assert dones.tolist() == other_dones.tolist()
        for i, game in enumerate(ours.games):
            (emulator,) = theirs.get_attr("ale", i)
            assert (game.frames, game.lives) == (emulator.getEpisodeFrameNumber(), emulator.lives())
            if i in began and "episode" not in infos[i]:
                steps_of_begun_games.add((game.frames - began[i]) // 4)
    assert steps_of_begun_games == {2, 1, 0}
    for i, returns in enumerate(theirs.env_method("get_episode_rewards")):
        assert [value for number, value in ours.finished if number == i] == returns


@pytest.mark.parametrize(("limit", "last"), [(101, 101), (102, 105)])
def test_a_game_that_is_cut_off_is_not_played_on(limit: int, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its one frame without an action is followed by steps of four; behind the last is no no-op as behind a life."""
    games, ends, restart = Games(settings("breakout", max_frames=limit, noop_max=1), 1, [SEED]), [], Emulator.restart

    def watched(self: Emulator) -> None:
        ends.append(self.frames)
        restart(self)

    games.reset()
    monkeypatch.setattr(Emulator, "restart", watched)
    while len(ends) < 3:
        games.step(np.array([NOOP]))
    assert ends == [last] * 3


def test_no_life_is_lost_between_a_game_that_won_some_and_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost one would be followed by a no-op, four frames more than FIRE and the action behind it take."""
    monkeypatch.setattr(Emulator, "lives", property(lambda game: 6 if game.games == 1 else 5))
    games = Games(settings("breakout", max_frames=101, noop_max=1), 1, [SEED])
    games.reset()
    while not games.finished:
        games.step(np.array([NOOP]))
    assert (games.games[0].games, games.games[0].frames) == (2, 9)


def test_a_lost_life_ends_no_episode_where_only_a_game_does() -> None:
    games = Games(settings("breakout", pixels=42, terminal_on_life_loss=False), 1, [SEED])
    games.reset()
    generator, (game,), lives, ends = np.random.default_rng(0), games.games, [], 0
    for _ in range(400):
        lives.append(game.lives)
        before = game.games
        dones = games.step(generator.integers(game.actions, size=1))[2]
        assert dones.tolist() == [game.games > before]
        ends += int(dones[0])
    assert set(lives) == {5, 4, 3, 2, 1}
    assert ends == len(games.finished) == game.games - 1 > 0


@pytest.mark.parametrize(
    ("before", "lives", "terminated", "ends"),
    [(3, 2, False, True), (3, 3, False, False), (1, 0, False, False), (1, 0, True, True)],
)
def test_the_last_life_ends_an_episode_when_the_game_is_over(
    before: int, lives: int, terminated: bool, ends: bool
) -> None:
    """Some games have no life left for some frames before they are over: that is one end, not two."""
    games = Games(settings("breakout"), 1, [SEED])
    last: Any = SimpleNamespace(lives=lives, terminated=terminated, frames=9)
    games.games, games._lives = [last], [before]
    assert games._ends(0) == ends


def test_a_game_goes_on_from_its_state() -> None:
    """Where it was, with the same lives, frames and return, and through the games that begin after it."""
    one, two = (Emulator("breakout", seed=3, pixels=42, frame_skip=4, noop_max=30) for _ in range(2))
    generator = np.random.default_rng(0)
    one.restart()
    while one.games < 3:
        one.act(int(generator.integers(one.actions)))
        if one.terminated:
            one.restart()
    for action in generator.integers(one.actions, size=30).tolist():
        one.act(action)
    two.put_back(one.state(), one.games, one.total, one.frame)
    began = one.games
    while one.games < began + 2:
        assert (one.games, one.lives, one.frames, one.total) == (two.games, two.lives, two.frames, two.total)
        np.testing.assert_array_equal(one.frame, two.frame)
        action = int(generator.integers(one.actions))
        assert one.act(action) == two.act(action)
        assert one.terminated == two.terminated
        if one.terminated:
            one.restart()
            two.restart()


@pytest.mark.parametrize("frames", [6, 7, 8])
def test_a_step_ends_with_the_game_and_shows_its_last_frame_alone(frames: int) -> None:
    class Counted:
        def __init__(self, emulator: Any) -> None:
            self.emulator, self.acts = emulator, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.emulator, name)

        def act(self, action: Any) -> Any:
            self.acts += 1
            return self.emulator.act(action)

    game = over_after(frames, Emulator("seaquest", seed=3, pixels=210, frame_skip=4, noop_max=1), "seaquest")
    game.restart()
    game.act(NOOP)
    game._ale = counted = Counted(game._ale)
    game.act(NOOP)
    assert game.terminated
    assert game.frames == 5 + counted.acts == frames
    screen = counted.getScreenGrayscale()
    assert (np.maximum(game._before, screen) > screen).any()
    np.testing.assert_array_equal(game._last, screen)


def test_a_game_that_ends_within_its_frames_without_an_action_begins_again() -> None:
    game = over_after(3, Emulator("breakout", seed=3, pixels=42, frame_skip=4, noop_max=30), "breakout")
    began = []
    for _ in range(20):
        game.restart()
        assert not game.terminated
        began.append(game.frames)
    assert set(began) == {0, 1, 2}


def test_pictures_of_several_games_are_those_of_each() -> None:
    games = [Emulator("seaquest", seed=seed, pixels=42, frame_skip=4, noop_max=30) for seed in range(6)]
    for number, game in enumerate(games):
        game.restart()
        for action in range(4 + number):
            game.act(action)
    alone = games[5].frame  # made before the others: four and then one are left
    together = frames_of(games)
    assert together[5] is alone
    assert len({frame.tobytes() for frame in together}) == 6
    for game, frame in zip(games, together, strict=True):
        np.testing.assert_array_equal(frame, cv2.resize(game._last, (42, 42), interpolation=cv2.INTER_AREA))
        assert game.frame is frame


def test_games_begin_with_frames_without_an_action_of_every_number() -> None:
    game = Emulator("breakout", seed=3, pixels=42, frame_skip=4, noop_max=3)
    began = []
    for _ in range(20):
        game.restart()
        began.append(game.frames)
    assert set(began) == {1, 2, 3}


def test_the_picture_of_a_game_is_its_screen_in_colour() -> None:
    """The grey picture is what the emulator makes of it: equal where nothing has moved between two frames."""
    game = Emulator("breakout", seed=3, pixels=84, frame_skip=4, noop_max=30)
    game.restart()
    shown = []
    for step in range(12):
        if step in (0, 6, 11):
            picture = game.picture()
            grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (84, 84), interpolation=cv2.INTER_AREA)
            assert np.abs(grey.astype(int) - game.frame).max() <= 1
            shown.append(picture)
        game.act(NOOP if step in (5, 10) else 2)
    assert shown[0].shape == (210, 160, 3)
    assert len({picture.tobytes() for picture in shown}) > 1
    assert any((picture[:, :, 0] != picture[:, :, 2]).any() for picture in shown)


def test_a_game_is_cut_off_and_its_last_observation_handed_over() -> None:
    games = Games(settings("seaquest", pixels=42, max_frames=120), 1, [SEED])
    games.reset()
    ends = []
    for step in range(60):
        before = games.games[0].frames
        observed, _, dones, infos = games.step(np.array([0]))
        if dones[0]:
            ends.append(step)
            assert before < 120
            assert infos[0]["TimeLimit.truncated"]
            assert infos[0]["terminal_observation"].shape == (4, 42, 42)
            assert infos[0]["terminal_observation"][:-1].any()
            assert not np.asarray(observed)[0, :-1].any()
    assert len(ends) == len(games.finished) == 2


def test_an_environment_at_rest_stays_as_it_is_while_the_others_go_on() -> None:
    games = Games(settings("seaquest", pixels=42), 2, [SEED])
    games.reset()
    games.rest(0)
    frames = [game.frames for game in games.games]
    for _ in range(5):
        _, rewards, dones, _ = games.step(np.array([1, 1]))
        assert (rewards[0], dones[0]) == (0, False)
    assert games.games[0].frames == frames[0]
    assert games.games[1].frames == frames[1] + 20


def test_rewards_are_clipped_for_the_agent_only() -> None:
    clipped, plain = (Games(settings("seaquest", pixels=42, clip_rewards=c), 1, [SEED]) for c in (True, False))
    clipped.reset()
    plain.reset()
    generator = np.random.default_rng(1)
    paid = []
    while not paid:
        actions = generator.integers(18, size=1)
        (small,), (large,) = clipped.step(actions)[1], plain.step(actions)[1]
        assert small == np.sign(large)
        paid += [large] if large else []
    assert paid[0] == 20
    assert clipped.running.tolist() == plain.running.tolist() == [20]


def test_a_game_of_another_screen_is_played() -> None:
    """Adventure's is 250 high, most games' 210."""
    emulator = Emulator("adventure", seed=0, pixels=42, frame_skip=4, noop_max=30)
    emulator.restart()
    emulator.act(0)
    assert emulator.frame.shape == (42, 42)
    assert emulator.picture().shape == (250, 160, 3)


def test_the_games_are_the_roms_that_can_be_played_and_have_a_no_op() -> None:
    """A ROM that ale-py does not support ends the process; in Backgammon the first action is FIRE."""
    played = set()
    for name in roms.get_all_rom_ids():
        path = roms.get_rom_path(name)
        if ALEInterface.isSupportedROM(path) is not None:
            emulator = ALEInterface()
            emulator.loadROM(path)
            played |= {name} if emulator.getMinimalActionSet()[NOOP].name == "NOOP" else set()
    assert {*roms.get_all_rom_ids()} - UNPLAYED == played
    with pytest.raises(UsageError, match=r"game = 'combat'.*: one of adventure, .*"):
        rom_path("combat")


def test_a_game_that_is_not_known_and_a_rom_that_is_missing_are_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        UsageError, match=r"data\.settings\.game = 'seaquests'; nearest: seaquest, .*: one of adventure, "
    ):
        Games(settings("seaquests"), 1, [SEED])
    monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path))
    with pytest.raises(RunError, match=r"the ROM of seaquest .*: pip install 'lottery-suite\[rl\]'") as told:
        Games(settings("seaquest"), 1, [SEED])
    assert "\n" not in str(told.value)
