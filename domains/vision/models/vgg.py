"""VGG (Simonyan and Zisserman 2015, arXiv 1409.1556) as Morcos et al. 2019 (arXiv 1906.02773) modify it.

Batch norm and ReLU follow each 3x3 convolution, and one linear layer on the mean over all places stands for the three
of the original, so that one network takes images of any size. Parameters are `layers.<i>.conv.weight` and `.bias`,
`layers.<i>.norm.weight` and `.bias`, `output.weight` and `.bias`.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from domains.vision.initial_weights import ABOUT_INIT, Init, draw_weights
from domains.vision.models import Model
from suite.experiment.errors import UsageError

Count = Annotated[int, Field(ge=1)]


class VGG(Model):
    """A chain of 3x3 convolutions with batch norm and ReLU, global average pooling, one linear layer."""

    name: ClassVar[str] = "vgg"

    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(description="channels of each convolution")
    pools: tuple[Count, ...] = Field(
        description="places of the 2x2 max poolings: behind so many convolutions each, in ascending order"
    )
    init: Init = Field(description=ABOUT_INIT)

    @model_validator(mode="after")
    def _places_of_pools(self) -> Self:
        if list(self.pools) != sorted(set(self.pools)) or any(place > len(self.widths) for place in self.pools):
            raise ValueError(
                f"pools = {list(self.pools)}: ascending places of at most {len(self.widths)}, the number of "
                "convolutions, are needed"
            )
        return self

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network with its first weights; raises UsageError for images that so many poolings leave nothing of."""
        channels, height, width = shape
        if min(height, width) < 2 ** len(self.pools):
            raise UsageError(f"model.pools: {len(self.pools)} halvings leave nothing of {height}x{width} pixels")
        network = ConvolutionChain(channels, self.widths, self.pools, classes)
        draw_weights(network, self.init)
        return network


class ConvolutionChain(nn.Module):
    """Convolutions one behind another, some followed by a pooling, then the mean over places and a linear layer."""

    def __init__(self, channels: int, widths: Sequence[int], pools: Sequence[int], classes: int) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.layers = nn.ModuleList(
            Convolution(incoming, outgoing, place in pools)
            for place, (incoming, outgoing) in enumerate(zip(inputs, widths, strict=True), 1)
        )
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> logits [N, classes]."""
        hidden = images
        for layer in self.layers:
            hidden = layer(hidden)
        return self.output(hidden.mean((2, 3)))  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """3x3 convolution, batch norm, ReLU, and 2x2 max pooling where it is asked for."""

    def __init__(self, incoming: int, outgoing: int, pooled: bool) -> None:
        super().__init__()
        # With a bias, as the paper's initialisation has one, though batch norm takes off what it adds.
        self.conv = nn.Conv2d(incoming, outgoing, 3, padding=1)
        self.norm = nn.BatchNorm2d(outgoing)
        self.pooled = pooled

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, incoming, H, W] -> [N, outgoing, H, W], or half of H and W."""
        hidden = torch.relu(self.norm(self.conv(hidden)))
        return F.max_pool2d(hidden, 2) if self.pooled else hidden
