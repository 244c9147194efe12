"""Image classifiers, one class a family."""

import torch
from torch import Tensor, nn

from suite.experiment.settings import Reader
from suite.experiment.task import Settings


class LeNet300100(nn.Module):
    """LeNet-300-100 (LeCun et al. 1998): fully connected 300 and 100, ReLU; [N, C, H, W] -> logits [N, classes].

    `init`: `glorot-normal`, biases 0 (Frankle and Carbin 2019, section 2); `lecun-normal`, a variance of 1 / inputs
    (LeCun et al. 1998, section 4.6), biases 0; or `torch`, that library's default.
    """

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
        hidden = torch.relu(self.fc1(images.flatten(1)))
        return self.fc3(torch.relu(self.fc2(hidden)))  # type: ignore[no-any-return]


def build(settings: Settings, shape: tuple[int, ...], classes: int) -> nn.Module:
    """The model of a task for images of `shape` (C, H, W), from torch's generator; UsageError for another name."""
    read = Reader("model", settings)
    read.word("name", ("lenet-300-100",))
    init = read.word("init", ("glorot-normal", "lecun-normal", "torch"))
    read.close()
    return LeNet300100(torch.Size(shape).numel(), classes, init)
