"""A film is what was seen, at the speed at which it happened."""

import io

import numpy as np
import pytest
from PIL import Image

from suite.results.gif import COLOURS, WIDEST, gif


def frames(written: bytes) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(io.BytesIO(written)) as image:
        pictures, durations = [], []
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            pictures.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        assert image.info["loop"] == 0
        return pictures, durations


def moving_square(count: int, width: int = 40) -> list[np.ndarray]:
    pictures = [np.zeros((30, width, 3), dtype=np.uint8) for _ in range(count)]
    for i, picture in enumerate(pictures):
        picture[5:15, i : i + 10] = (200, 40, 90)
    return pictures


def test_pictures_of_few_colours_come_back_as_they_were() -> None:
    pictures = moving_square(7)
    seen, durations = frames(gif(pictures, 10.0))
    assert durations == [100] * 7
    assert len(seen) == 7
    for own, other in zip(pictures, seen, strict=True):
        assert np.abs(own.astype(int) - other).max() <= 4


@pytest.mark.parametrize(("per_second", "kept", "duration"), [(15.0, 20, 70), (30.0, 10, 70), (60.0, 5, 70)])
def test_fast_films_lose_pictures_and_keep_their_speed(per_second: float, kept: int, duration: int) -> None:
    seen, durations = frames(gif(moving_square(20), per_second))
    assert len(seen) == kept
    assert all(abs(each - duration) <= 10 for each in durations)


def test_wide_pictures_are_made_smaller_and_colours_are_few() -> None:
    noise = [np.random.default_rng(i).integers(256, size=(300, 2 * WIDEST, 3)).astype(np.uint8) for i in range(2)]
    seen, _ = frames(gif(noise, 10.0))
    assert seen[0].shape == (150, WIDEST, 3)
    assert len(np.unique(seen[0].reshape(-1, 3), axis=0)) <= COLOURS
