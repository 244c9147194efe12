"""LeNet (LeCun et al. 1998) in its fully connected form."""

from math import prod
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from domains.vision.models import Model


class LeNet300100(Model):
    """LeNet-300-100: fully connected layers of 300 and 100 units, ReLU."""

    name: ClassVar[str] = "lenet-300-100"

    init: Literal["glorot-normal", "lecun-normal", "torch"] = Field(
        description="glorot-normal: biases 0 (Frankle and Carbin 2019, section 2); lecun-normal: a variance of 1 / "
        "inputs (LeCun et al. 1998, section 4.6), biases 0; torch: that library's default"
    )

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network with its first weights."""
        return FullyConnected(prod(shape), classes, self.init)


class FullyConnected(nn.Module):
    """inputs -> 300 -> 100 -> classes."""

    def __init__(self, inputs: int, classes: int, init: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, classes)
        for layer in (self.fc1, self.fc2, self.fc3) if init != "torch" else ():
            if init == "glorot-normal":
                nn.init.xavier_normal_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> logits [N, classes]."""
        hidden = torch.relu(self.fc1(images.flatten(1)))
        return self.fc3(torch.relu(self.fc2(hidden)))  # type: ignore[no-any-return]
