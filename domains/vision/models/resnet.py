"""ResNet (He et al. 2016, arXiv 1512.03385): that of ImageNet with bottlenecks, and that of CIFAR with basic blocks.

ResNet50 has bottlenecks, blocks 3, 4, 6, 3 and widths 64, 128, 256, 512; ResNet-20 has basic blocks, 3 a stage, widths
16, 32, 64. As torchvision has it ("v1.5"), a bottleneck halves the image in its 3x3 convolution, not in its first one.
Parameters are `stem.conv.weight`, `stem.norm.…`, `blocks.<i>.conv<j>.weight`, `blocks.<i>.norm<j>.…`,
`blocks.<i>.shortcut.conv.weight`, `blocks.<i>.shortcut.norm.…`, `output.weight` and `output.bias`.
"""

from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from domains.vision.initial_weights import ABOUT_INIT, Init, draw_weights
from domains.vision.models import Model

Count = Annotated[int, Field(ge=1)]
Shortcut = Literal["identity", "projection"]


class ResNet(Model):
    """Stages of residual blocks, each stage but the first halving the image; average pooling, linear layer."""

    name: ClassVar[str] = "resnet"

    block: Literal["basic", "bottleneck"] = Field(
        description="basic: two 3x3 convolutions; bottleneck: 1x1, 3x3, and 1x1 to four times the width"
    )
    blocks: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(description="blocks of each stage")
    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        description="channels of each stage's 3x3 convolutions; the first is also that of the stem"
    )
    stem: Literal["3x3", "7x7-pool"] = Field(
        description="3x3: stride 1, for images of about 32 pixels; 7x7-pool: stride 2 and a 3x3 max pooling of stride "
        "2, for images of about 224 pixels"
    )
    shortcut: Shortcut = Field(
        description="around a block that changes the shape: identity, every other pixel and zeros for new channels "
        "(the paper's option A, which has no parameters), or projection, a 1x1 convolution and batch norm (option B)"
    )
    init: Init = Field(description=ABOUT_INIT)

    @model_validator(mode="after")
    def _as_many_stages(self) -> Self:
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"widths = {list(self.widths)}: one for each of the {len(self.blocks)} stages is needed")
        return self

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network with its first weights."""
        network = ResidualNetwork(self, shape[0], classes)
        draw_weights(network, self.init)
        return network


class ResidualNetwork(nn.Module):
    """Stem, blocks one behind another, mean over places, linear layer."""

    def __init__(self, settings: ResNet, channels: int, classes: int) -> None:
        super().__init__()
        block: type[Basic | Bottleneck] = Basic if settings.block == "basic" else Bottleneck
        self.stem = Stem(channels, settings.widths[0], settings.stem == "7x7-pool")
        self.blocks = nn.ModuleList()
        incoming = settings.widths[0]
        for stage, (blocks, width) in enumerate(zip(settings.blocks, settings.widths, strict=True)):
            for place in range(blocks):
                stride = 2 if stage and not place else 1
                self.blocks.append(block(incoming, width, stride, settings.shortcut))
                incoming = width * block.expansion
        self.output = nn.Linear(incoming, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> logits [N, classes]."""
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden)
        return self.output(hidden.mean((2, 3)))  # type: ignore[no-any-return]


class Stem(nn.Module):
    """The first convolution, batch norm, ReLU; for large images a quarter of height and width is left."""

    def __init__(self, channels: int, width: int, large: bool) -> None:
        super().__init__()
        size, stride = (7, 2) if large else (3, 1)
        self.conv = nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.large = large

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, width, H, W], or a quarter of H and W."""
        hidden = torch.relu(self.norm(self.conv(images)))
        return F.max_pool2d(hidden, 3, stride=2, padding=1) if self.large else hidden


class Basic(nn.Module):
    """Two 3x3 convolutions."""

    expansion: ClassVar[int] = 1

    def __init__(self, incoming: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(incoming, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = around(incoming, width, stride, shortcut)

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, incoming, H, W] -> [N, width, H / stride, W / stride]."""
        residual = torch.relu(self.norm1(self.conv1(hidden)))
        residual = self.norm2(self.conv2(residual))
        return torch.relu(residual + self.shortcut(hidden))


class Bottleneck(nn.Module):
    """1x1 convolution to the width, 3x3, 1x1 to four times the width."""

    expansion: ClassVar[int] = 4

    def __init__(self, incoming: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        outgoing = width * self.expansion
        self.conv1 = nn.Conv2d(incoming, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outgoing, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outgoing)
        self.shortcut = around(incoming, outgoing, stride, shortcut)

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, incoming, H, W] -> [N, 4 width, H / stride, W / stride]."""
        residual = torch.relu(self.norm1(self.conv1(hidden)))
        residual = torch.relu(self.norm2(self.conv2(residual)))
        residual = self.norm3(self.conv3(residual))
        return torch.relu(residual + self.shortcut(hidden))


def around(incoming: int, outgoing: int, stride: int, shortcut: Shortcut) -> nn.Module:
    """What is added to a block's residual: its input, brought to the residual's shape."""
    if incoming == outgoing and stride == 1:
        return nn.Identity()
    return Padding(outgoing - incoming, stride) if shortcut == "identity" else Projection(incoming, outgoing, stride)


class Padding(nn.Module):
    """Every `stride`-th pixel, with zeros for the channels that are new."""

    def __init__(self, new: int, stride: int) -> None:
        super().__init__()
        self.new, self.stride = new, stride

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C + new, H / stride, W / stride]."""
        return F.pad(hidden[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))


class Projection(nn.Module):
    """1x1 convolution and batch norm."""

    def __init__(self, incoming: int, outgoing: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(incoming, outgoing, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, incoming, H, W] -> [N, outgoing, H / stride, W / stride]."""
        return self.norm(self.conv(hidden))  # type: ignore[no-any-return]
