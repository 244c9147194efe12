"""What gymnasium draws of an environment."""

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from suite.experiment.errors import RunError


def drawn(single: gym.Env[Any, Any]) -> NDArray[np.uint8]:
    """The picture of an environment without wrappers, (height, width, 3); RunError without a pygame that works."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame looks for a screen, and complains if there is none
    single.render_mode = "rgb_array"
    try:
        return np.asarray(single.render(), dtype=np.uint8)
    except DependencyNotInstalled as error:
        why = f"cannot be loaded ({broken(error)})" if broken(error) else "is not installed"
        raise RunError(f"pictures are drawn by pygame, which {why}: pip install 'lottery-suite[rl]'") from error


def broken(error: DependencyNotInstalled) -> str:
    """Why a library that is installed cannot be loaded; empty of a missing one, of which gymnasium says the same."""
    cause = error.__cause__
    return str(cause) if isinstance(cause, ImportError) and not isinstance(cause, ModuleNotFoundError) else ""
