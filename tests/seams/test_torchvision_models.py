"""Our networks compute what torchvision's do, tensor by tensor in the order in which both have them."""

from typing import Any

import pytest
import torch
from torch import nn

from domains.vision.models import Model

models = pytest.importorskip("torchvision.models", reason="needs the extra `vision`")


def alike(table: dict[str, Any], other: nn.Module) -> nn.Module:
    """Our network for ten classes with the weights of another one, batch norm's statistics drawn first."""
    torch.manual_seed(0)
    for norm in other.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
    own = Model.of(table).build((3, 64, 64), 10)
    names, values = own.state_dict(), list(other.state_dict().values())
    own.load_state_dict(dict(zip(names, values, strict=True)))
    return own.eval()


@torch.no_grad()
def assert_equal_outputs(own: nn.Module, theirs: nn.Module) -> None:
    images = torch.randn(2, 3, 64, 64)
    outputs = own(images)
    assert (outputs[0] - outputs[1]).std() > 1e-2 * outputs.std() > 0  # images tell
    assert torch.allclose(outputs, theirs.eval()(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("block", "depth"), [("bottleneck", 50), ("basic", 34)])
def test_resnet_is_torchvisions_with_the_stem_for_large_images(block: str, depth: int) -> None:
    theirs = {50: models.resnet50, 34: models.resnet34}[depth](num_classes=10)
    own = alike(
        {
            "name": "resnet",
            "block": block,
            "blocks": [3, 4, 6, 3],
            "widths": [64, 128, 256, 512],
            "stem": "7x7-pool",
            "shortcut": "projection",
            "init": "torch",
        },
        theirs,
    )
    assert_equal_outputs(own, theirs)


def test_vgg19_is_torchvisions_convolutions_with_another_head() -> None:
    convolutions = models.vgg19_bn(num_classes=10).features[:-1]  # without the last pooling, which P1 leaves out
    theirs = nn.Sequential(convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    widths = [64, 64, 128, 128, *[256] * 4, *[512] * 8]
    own = alike({"name": "vgg", "widths": widths, "pools": [2, 4, 8, 12], "init": "torch"}, theirs)
    assert_equal_outputs(own, theirs)
