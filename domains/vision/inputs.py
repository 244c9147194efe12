"""What a network sees of stored images: a whole batch at a time, no image by itself."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """Augmentation of stored pixels and their scale.

    `mean` and `std` are of shape [C, 1, 1], in units of a pixel of [0, 1], and None where images are stored as they
    are seen. `flip`: half of the training images are mirrored; `pad`: they are cut out of an image with so many black
    pixels added on each side, at random places.
    """

    mean: Tensor | None = None
    std: Tensor | None = None
    flip: bool = False
    pad: int = 0

    @property
    def draws(self) -> bool:
        """Whether training images need random numbers."""
        return self.flip or self.pad > 0

    def augmented(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Training images [N, C, H, W] cut and mirrored by numbers that are drawn on the CPU, whatever the device."""
        count = len(images)
        if self.pad:
            images = _cut(images, self.pad, torch.randint(2 * self.pad + 1, (2, count), generator=generator))
        if self.flip:
            mirrored = torch.randint(2, (count, 1, 1, 1), generator=generator).bool().to(images.device)
            images = torch.where(mirrored, images.flip(3), images)
        return images

    def scaled(self, images: Tensor) -> Tensor:
        """Stored pixels (uint8) as a network sees them (float32)."""
        if self.mean is None or self.std is None:
            return images
        return images.float().sub_(255 * self.mean).div_(255 * self.std)


def _cut(images: Tensor, pad: int, places: Tensor) -> Tensor:
    """Images of the same size out of padded ones, each at its own place (places: top and left, [2, N])."""
    height, width = images.shape[2:]
    windows = F.pad(images, (pad, pad, pad, pad)).unfold(2, height, 1).unfold(3, width, 1)
    top, left = places.to(images.device)
    return windows[torch.arange(len(images), device=images.device), :, top, left]
