"""One game in ale-py's C++ vector environment, which others can wait for and which can be played again from its record.

A vector environment steps all its games at once, while stable-baselines3's wrappers take steps in one game alone: a
no-op when a life is lost, FIRE and another action at every start. So each game is a vector environment of its own, with
a thread in which it runs. The emulator's state cannot be read: a game is taken up again by playing it from its start.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.experiment.errors import RunError, UsageError
from suite.experiment.explain import nearest

Picture = NDArray[np.uint8]

NOOP = 0
FIRE = 1
ENDLESS = 2**30
"""Frames after which ale-py would cut a game off: whoever plays does it instead."""

SCREEN = (210, 160)
INSTALL = "pip install 'lottery-suite[rl]'"


class Emulator:
    """A game: `restart` begins one, `send` and `receive` take a step of `frame_skip` frames, `act` both.

    `frame` is the last picture, grey, `pixels` x `pixels`: the brighter of the step's last two frames at each place,
    made smaller. `lives`, `frames` and `total` are the game's lives left, frames so far (the no-ops at its start among
    them) and return so far; `terminated` says whether it is over. A game begins with 1 to `noop_max` frames without an
    action. Equal seeds and actions give equal games. Raises UsageError for a game that ale-py does not know, RunError
    where its ROM is missing, ModuleNotFoundError without ale-py.
    """

    def __init__(self, game: str, seed: int, pixels: int, frame_skip: int, noop_max: int) -> None:
        self._arguments: dict[str, Any] = {
            "game": game, "num_envs": 1, "num_threads": 1, "frameskip": frame_skip, "stack_num": 1,
            # ale-py draws 0 to noop_max - 1 no-ops; those of 0 are drawn again.
            "noop_max": noop_max + 1, "reward_clipping": False, "use_fire_reset": False,
            "max_num_frames_per_episode": ENDLESS,
        }  # fmt: skip
        self._seed, self._resets, self._actions = seed, 0, bytearray()
        self._vector = self._make(img_height=pixels, img_width=pixels)
        self._ale = self._vector.ale
        self._colour: _Replay | None = None
        actions = [action.name for action in self._ale.get_action_set()]
        self.actions = len(actions)
        self.fires = self.actions > 2 and actions[FIRE] == "FIRE"
        self.terminated = True
        self.lives = self.frames = 0
        self.total = 0
        self.frame: Picture = np.zeros((pixels, pixels), dtype=np.uint8)

    @property
    def resets(self) -> int:
        """How often the emulator was reset since it was seeded: more often than games began, see `restart`."""
        return self._resets

    @property
    def record(self) -> Picture:
        """The present game's actions."""
        return np.frombuffer(bytes(self._actions), dtype=np.uint8)

    def restart(self) -> None:
        """Begin the next game."""
        self._reset()
        while not self.frames:
            self._reset()

    def send(self, action: int) -> None:
        """Take an action, without waiting for what comes of it."""
        self._actions.append(action)
        self._ale.send(np.array([action], dtype=np.int64), _STRENGTH)

    def receive(self) -> int:
        """Wait for the step; returns its reward, as the game counts."""
        observed, rewards, terminated, _, info = self._ale.recv()
        self._see(observed, info)
        self.terminated = bool(terminated[0])
        reward = int(rewards[0])
        self.total += reward
        return reward

    def act(self, action: int) -> int:
        """Take an action and wait for its reward."""
        self.send(action)
        return self.receive()

    def take_up(self, resets: int, actions: Picture) -> None:
        """Play again what `record` says of the game that began after so many resets."""
        self._resets = 0
        while self._resets < resets:
            self._reset()
        for action in actions.tolist():
            self.act(action)

    def picture(self) -> Picture:
        """The screen as it is now, in colour, (210, 160, 3): from a second emulator that plays the same."""
        if self._colour is None:
            self._colour = _Replay(self._make(img_height=SCREEN[0], img_width=SCREEN[1], grayscale=False), self._seed)
        return self._colour.picture(self._resets, bytes(self._actions))

    def _reset(self) -> None:
        # Seeding loads the ROM again, a tenth of a second: done once, the no-ops of later games follow from it.
        observed, info = self._vector.reset(seed=None if self._resets else np.array([self._seed]))
        self._resets += 1
        self._actions.clear()
        self.terminated, self.total = False, 0
        self._see(observed, info)

    def _see(self, observed: Picture, info: dict[str, Any]) -> None:
        self.frame = observed[0, 0]
        self.lives, self.frames = int(info["lives"][0]), int(info["episode_frame_number"][0])

    def _make(self, **shape: Any) -> Any:
        from ale_py import AtariVectorEnv

        rom_path(self._arguments["game"])
        return AtariVectorEnv(**self._arguments, **shape)


class _Replay:
    """An emulator that follows another one's record, and shows the screen."""

    def __init__(self, vector: Any, seed: int) -> None:
        self._vector, self._seed, self._resets, self._played = vector, seed, 0, 0
        self._seen: Picture = np.zeros((*SCREEN, 3), dtype=np.uint8)

    def picture(self, resets: int, actions: bytes) -> Picture:
        while self._resets < resets:
            seed = None if self._resets else np.array([self._seed])
            self._seen, self._played = self._vector.reset(seed=seed)[0], 0
            self._resets += 1
        for action in actions[self._played :]:
            self._seen = self._vector.step(np.array([action], dtype=np.int64))[0]
        self._played = len(actions)
        screen: Picture = self._seen[0, 0].copy()
        return screen


_STRENGTH = np.ones(1, dtype=np.float32)


def rom_path(game: str) -> Path:
    """Where ale-py has a game's ROM; raises UsageError for a game it does not know, RunError where there is none."""
    from ale_py import roms

    known = roms.get_all_rom_ids()
    if game not in known:
        raise UsageError(f"data.settings.game = {game!r}{nearest(game, known)}: one of {', '.join(sorted(known))}")
    try:
        path = roms.get_rom_path(game)
    except OSError as error:
        raise RunError(
            f"the ROM of {game} is not where ale-py looks for it ({error}): {INSTALL}, whose ale-py brings the ROMs, "
            f"and unset ALE_ROMS_DIR"
        ) from error
    assert path is not None
    return Path(path)


@cache
def fingerprint(game: str) -> str:
    """SHA-256 of a game's ROM and of 64 steps of fixed actions under fixed settings: pictures, rewards, lives."""
    emulator = Emulator(game, seed=0, pixels=84, frame_skip=4, noop_max=30)
    found = hashlib.sha256(rom_path(game).read_bytes())
    emulator.restart()
    for step in range(64):
        reward = 0 if emulator.terminated else emulator.act(step % emulator.actions)
        found.update(emulator.frame.tobytes())
        found.update(f"{reward} {emulator.lives} {emulator.frames}\n".encode())
    return found.hexdigest()
