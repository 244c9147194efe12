"""Pictures of an episode as an animated GIF."""

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_A_SECOND: Final = 15.0
"""More pictures make a larger file and no better film."""

COLOURS: Final = 64
WIDEST: Final = 320


def gif(pictures: Sequence[NDArray[Any]], per_second: float) -> bytes:
    """A GIF that plays at the speed of the pictures, (height, width, 3) of uint8, and over again.

    Pictures are left out beyond `MOST_A_SECOND`, and made smaller where they are wider than `WIDEST`.
    """
    every = max(1, round(per_second / MOST_A_SECOND))
    images = [_small(Image.fromarray(np.ascontiguousarray(picture))) for picture in pictures[::every]]
    # One palette for all: what does not change between two pictures is then not stored again.
    palette = images[len(images) // 2].quantize(COLOURS)
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    written = io.BytesIO()
    first.save(written, "GIF", save_all=True, append_images=others, duration=round(1000 * every / per_second), loop=0)
    return written.getvalue()


def _small(image: Image.Image) -> Image.Image:
    if image.width <= WIDEST:
        return image
    return image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.BOX)
