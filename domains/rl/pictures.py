"""What gymnasium draws of an environment."""

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from suite.experiment.errors import RunError


def drawn(single: gym.Env[Any, Any]) -> NDArray[np.uint8]:
    """The picture of an environment without wrappers, (height, width, 3); RunError without pygame."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame looks for a screen, and complains if there is none
    single.render_mode = "rgb_array"
    try:
        return np.asarray(single.render(), dtype=np.uint8)
    except DependencyNotInstalled as error:
        raise RunError(
            "pictures are drawn by pygame, which is not installed: pip install 'lottery-suite[rl]'"
        ) from error
