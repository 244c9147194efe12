"""The environment `atari`: games of the Atari 2600 from pixels, as stable-baselines3's wrappers have them."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor

from domains.rl.emulator import FIRE, NOOP, Emulator, Picture, fingerprint, frames_of
from domains.rl.environments import Environment
from domains.rl.vectorised import Environments
from suite.experiment.errors import RunError

Whole = Annotated[int, Field(ge=1)]
BEHIND_FIRE = 2
"""The second action at every start, as stable-baselines3's `FireResetEnv` has it."""


class Atari(Environment):
    """A game of the Arcade Learning Environment (Bellemare et al. 2013); no action is repeated by chance."""

    name: ClassVar[str] = "atari"

    game: str = Field(description="the game, as its ROM is called: seaquest, space_invaders")
    pixels: Whole = Field(description="height and width of the pictures")
    frame_skip: Whole = Field(
        description="frames that an action is held for; the picture is the brighter of the last two"
    )
    frame_stack: Whole = Field(description="pictures that the agent sees at a time")
    noop_max: Whole = Field(description="a game begins with 1 to so many frames without an action")
    terminal_on_life_loss: bool = Field(
        description="a lost life ends an episode for the agent; returns are those of whole games"
    )
    clip_rewards: bool = Field(description="the agent sees the reward's sign; returns are those of the game")
    max_frames: Whole = Field(description="frames after which a game is cut off, 60 a second")

    def make(self, envs_per_seed: int, seeds: Sequence[int]) -> "Games":
        """ale-py's C++ emulators."""
        return Games(self, envs_per_seed, seeds)

    def fingerprint(self) -> str:
        """SHA-256 of the ROM and of a fixed play under fixed settings, whatever the task's are."""
        return fingerprint(self.game)


class Games(Environments):
    """Games side by side: `envs_per_seed` in a row for each seed, each with random numbers of its own.

    Observations are uint8 of shape (num_envs, frame_stack, pixels, pixels), the newest picture last; actions are
    integers, the game's own; `games` are the emulators. What the agent meets is what stable-baselines3's `AtariWrapper`
    and `VecFrameStack` give: an episode ends with a life and begins with a no-op (a new game: with `restart`), then
    FIRE and one more action in games that have it, and with empty pictures behind the first one. `finished` and
    `running` are of whole games and count all rewards as the game does, those of these first steps among them.
    """

    pictures_per_second = 15.0

    def __init__(self, settings: Atari, envs_per_seed: int, seeds: Sequence[int]) -> None:
        self._settings = settings
        size = settings.pixels
        self.games = [
            Emulator(settings.game, _seed(seed, i), size, settings.frame_skip, settings.noop_max)
            for seed in seeds
            for i in range(envs_per_seed)
        ]
        num_envs = len(self.games)
        shape = (settings.frame_stack, size, size)
        super().__init__(num_envs, spaces.Box(0, 255, shape, np.uint8), spaces.Discrete(self.games[0].actions))
        self.finished = []
        self._lives = [0] * num_envs
        self._observed: Picture = np.zeros((num_envs, *shape), dtype=np.uint8)
        self._actions: list[int] = []
        self._resting: set[int] = set()
        self._quiet: dict[str, Any] = {}

    @property
    def running(self) -> NDArray[np.float64]:  # type: ignore[override]  # an attribute there
        """Returns of the games in progress."""
        return np.array([game.total for game in self.games], dtype=np.float64)

    def reset(self) -> Picture:
        """Begin a new game everywhere; those in progress are given up."""
        for i, game in enumerate(self.games):
            game.restart()
            self._lives[i] = game.lives
            self._fire(i)
        self._observed = np.zeros_like(self._observed)
        self._observed[:, -1] = frames_of(self.games)
        return self._observed

    def rest(self, environment: int) -> None:
        """Leave this game as it is from now on."""
        self._resting.add(environment)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions.tolist()

    def step_wait(self) -> VecEnvStepReturn:
        """One step in every game; episodes that end are followed by the next one's first picture in the same step."""
        # A new array each time: stable-baselines3 keeps the last one.
        observed = np.empty_like(self._observed)
        observed[:, :-1] = self._observed[:, 1:]
        rewards, done = np.zeros(self.num_envs, dtype=np.float32), np.zeros(self.num_envs, dtype=np.bool_)
        infos = [self._quiet] * self.num_envs
        for i, (game, action) in enumerate(zip(self.games, self._actions, strict=True)):
            if i not in self._resting:
                rewards[i] = game.act(action)
                done[i] = self._ends(i)
        observed[:, -1] = frames_of(self.games)
        for i in np.flatnonzero(done).tolist():
            cut_off = self._is_over(i) and not self.games[i].terminated
            infos[i] = {"terminal_observation": observed[i].copy(), "TimeLimit.truncated": cut_off}
            self._go_on(i)
            self._fire(i)
            observed[i, :-1] = 0
            observed[i, -1] = self.games[i].frame
        self._observed = observed
        return observed, np.sign(rewards) if self._settings.clip_rewards else rewards, done, infos

    def close(self) -> None:
        """End the emulators."""
        self.games.clear()

    def picture(self, environment: int) -> Picture:
        """The screen of a game in colour, (height, width, 3), of most games (210, 160, 3)."""
        return self.games[environment].picture()

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The emulators' own states, and the pictures seen last."""
        states = {f"environment.state.{i}": np.frombuffer(g.state(), np.uint8) for i, g in enumerate(self.games)}
        tensors = {name: torch.from_numpy(state.copy()) for name, state in states.items()}
        tensors["environment.observed"] = torch.from_numpy(self._observed.copy())
        return tensors, {
            "emulator": version("ale-py"),
            "games": [game.games for game in self.games],
            "lives": list(self._lives),
            "running": [game.total for game in self.games],
            "finished": [list(episode) for episode in self.finished],
        }

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go on where every game was; raises RunError for a snapshot of another version of ale-py."""
        if meta["emulator"] != version("ale-py"):
            raise RunError(
                f"the snapshot is of ale-py {meta['emulator']}, and ale-py {version('ale-py')} cannot go on from it: "
                f"delete it, or pip install 'ale-py=={meta['emulator']}'"
            )
        self._observed = tensors["environment.observed"].numpy().copy()
        for i, game in enumerate(self.games):
            state = tensors[f"environment.state.{i}"].numpy().tobytes()
            game.put_back(state, meta["games"][i], meta["running"][i], self._observed[i, -1].copy())
        self._lives = list(meta["lives"])
        self.finished = [(int(i), float(value)) for i, value in meta["finished"]]

    def _is_over(self, i: int) -> bool:
        return self.games[i].terminated or self.games[i].frames >= self._settings.max_frames

    def _ends(self, i: int) -> bool:
        """Whether the last step ended an episode: the game, or a life of it."""
        lives = self.games[i].lives
        # Some games have no life left for a few frames before they are over.
        lost, self._lives[i] = 0 < lives < self._lives[i], lives
        return self._is_over(i) or (self._settings.terminal_on_life_loss and lost)

    def _go_on(self, i: int) -> None:
        """From the end of an episode to the next: a no-op with the next life, or the next game."""
        game = self.games[i]
        if not self._is_over(i):
            game.act(NOOP)
        if self._is_over(i):
            self.finished.append((i, float(game.total)))
            game.restart()
        self._lives[i] = game.lives

    def _fire(self, i: int) -> None:
        """The first two steps of an episode, in games that may wait for FIRE."""
        if self.games[i].fires:
            for action in (FIRE, BEHIND_FIRE):
                self.games[i].act(action)
                if self._ends(i):
                    self._go_on(i)


def _seed(seed: int, number: int) -> int:
    """The seed of one emulator, in [0, 2**31)."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) >> 1
