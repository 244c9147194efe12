"""One game in ale-py's C++ emulator, whose state can be taken out and put back.

ale-py's `AtariVectorEnv` steps all its games at once, while stable-baselines3's wrappers take steps in one game alone:
a no-op when a life is lost, FIRE and another action at every start. A vector environment for each game can do that, but
hands every step to a thread and back, which on one core costs a quarter of the step again, and hides its state.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.experiment.errors import RunError, UsageError
from suite.experiment.explain import nearest

Picture = NDArray[np.uint8]

NOOP = 0
FIRE = 1

UNPLAYED = frozenset({"backgammon", "combat", "joust", "maze_craze", "video_checkers", "warlords"})
"""ROMs of ale-py that are no games here: four end its process, two have no action that is none."""

INSTALL = "pip install 'lottery-suite[rl]'"


class Emulator:
    """A game: `restart` begins one, `act` takes a step of `frame_skip` frames.

    `frame` is the last picture, grey, `pixels` x `pixels`: the brighter of the step's last two frames at each place,
    made smaller; at a start and at a game's end, the last frame. `lives`, `frames` and `total` are the game's lives
    left, frames so far (the no-ops at its start among them) and return so far; `terminated` says whether it is over. A
    game begins with 1 to `noop_max` frames without an action. Equal seeds and actions give equal games. Raises
    UsageError for a game that ale-py does not play, RunError where its ROM is missing.
    """

    def __init__(self, game: str, seed: int, pixels: int, frame_skip: int, noop_max: int) -> None:
        from ale_py import ALEInterface, LoggerMode

        path = rom_path(game)
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self._ale: Any = ALEInterface()
        self._ale.setInt("random_seed", seed)
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.loadROM(path)
        self._seed, self._pixels, self._frame_skip, self._noop_max = seed, pixels, frame_skip, noop_max
        self._known = self._ale.getMinimalActionSet()
        self.actions = len(self._known)
        self.fires = self.actions > 2 and self._known[FIRE].name == "FIRE"
        screen = self._ale.getScreenDims()
        self._before, self._last = np.zeros(screen, dtype=np.uint8), np.zeros(screen, dtype=np.uint8)
        self.games = self.total = 0
        self._frame: Picture | None = None

    @property
    def frame(self) -> Picture:
        """The last picture; `frames_of` makes those of several games in less time."""
        if self._frame is None:
            (self._frame,) = _smaller([self._last], self._pixels)
        return self._frame

    @property
    def lives(self) -> int:
        """Lives that are left."""
        return int(self._ale.lives())

    @property
    def frames(self) -> int:
        """Frames since the game began."""
        return int(self._ale.getEpisodeFrameNumber())

    @property
    def terminated(self) -> bool:
        """Whether the game is over."""
        return bool(self._ale.game_over())

    def restart(self) -> None:
        """Begin the next game."""
        self._ale.reset_game()
        no_ops = np.random.default_rng([self._seed, self.games]).integers(1, self._noop_max, endpoint=True)
        for _ in range(int(no_ops)):
            self._ale.act(self._known[NOOP])
            if self._ale.game_over():
                self._ale.reset_game()
        self.games += 1
        self.total = 0
        self._ale.getScreenGrayscale(self._last)
        self._frame = None

    def act(self, action: int) -> int:
        """Take a step; returns its reward, as the game counts."""
        emulator, known, reward = self._ale, self._known[action], 0
        for left in reversed(range(self._frame_skip)):
            reward += int(emulator.act(known))
            if emulator.game_over():
                break
            if left == 1:
                emulator.getScreenGrayscale(self._before)
        emulator.getScreenGrayscale(self._last)
        if self._frame_skip > 1 and not emulator.game_over():
            np.maximum(self._before, self._last, out=self._last)
        self.total += reward
        self._frame = None
        return reward

    def state(self) -> bytes:
        """The emulator's own state, its random numbers among them; `put_back` goes on from it with the same version."""
        return bytes(self._ale.cloneState(include_rng=True).__getstate__())

    def put_back(self, state: bytes, games: int, total: int, frame: Picture) -> None:
        """Go on from a state, of the game that is the `games`-th since the emulator was made."""
        from ale_py import ALEState

        held: Any = ALEState.__new__(ALEState)
        held.__setstate__(state)  # what unpickling calls, without a pickle: the bytes are read by ale-py alone
        self._ale.restoreState(held)
        self.games, self.total, self._frame = games, total, frame

    def picture(self) -> Picture:
        """The screen as it is now, in colour, (height, width, 3), of most games (210, 160, 3)."""
        screen: Picture = self._ale.getScreenRGB()
        return screen


def frames_of(games: Sequence[Emulator]) -> list[Picture]:
    """`frame` of each game, all with as many pixels."""
    new = [game for game in games if game._frame is None]
    for game, frame in zip(new, _smaller([game._last for game in new], new[0]._pixels) if new else (), strict=True):
        game._frame = frame
    return [game.frame for game in games]


def _smaller(screens: Sequence[Picture], pixels: int) -> list[Picture]:
    """Screens made smaller, up to four at a time as the channels of one: equal numbers in two thirds of the time."""
    import cv2

    found: list[Picture] = []
    for first in range(0, len(screens), 4):
        several = screens[first : first + 4]
        one = cv2.merge(several) if len(several) > 1 else several[0]
        smaller = np.asarray(cv2.resize(one, (pixels, pixels), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        found += [smaller] if smaller.ndim == 2 else [smaller[:, :, i] for i in range(len(several))]
    return found


def rom_path(game: str) -> Path:
    """Where ale-py has a game's ROM; raises UsageError for a game that it cannot play, RunError where there is none."""
    from ale_py import roms

    import_module("cv2")  # the first picture needs it: that it is missing is told before a run begins

    known = sorted({*roms.get_all_rom_ids()} - UNPLAYED)
    if game not in known:
        raise UsageError(f"data.settings.game = {game!r}{nearest(game, known)}: one of {', '.join(known)}")
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
