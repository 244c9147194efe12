"""The networks are those of their papers: sizes, shapes, first weights, and names that patterns find."""

from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from domains.vision.learner import VisionLearner
from domains.vision.models import Model
from suite.experiment.errors import UsageError
from tests.domains.vision.noise import task

SGD = "morcos2019-sgd"


def made(fragment: str, side: int = 32, classes: int = 10, device: str = "cpu", **changes: Any) -> nn.Module:
    """The network of a fragment with settings changed."""
    spec = task(fragment, SGD, "short", **{f"model__{key}": value for key, value in changes.items()}).spec
    with torch.device(device):
        torch.manual_seed(0)
        return Model.of(spec.model).build((3, side, side), classes)


@pytest.mark.parametrize(
    ("fragment", "changes", "classes", "parameters"),
    [
        ("vgg19", {}, 10, 20_040_522),  # torchvision's vgg19_bn.features has 20,035,392
        ("vgg19", {}, 1000, 20_548_392),
        ("resnet50", {"stem": "7x7-pool"}, 1000, 25_557_032),  # torchvision's resnet50
        ("resnet50", {"stem": "7x7-pool"}, 10, 23_528_522),
        ("resnet50", {"stem": "3x3"}, 1000, 25_549_352),
        ("resnet50", {"stem": "3x3"}, 10, 23_520_842),
        ("resnet20", {}, 10, 269_722),  # .27 million: He et al. 2016, table 6
        ("resnet20", {"shortcut": "projection"}, 10, 272_474),
        ("small-vgg", {}, 10, 136_378),
    ],
)
def test_networks_have_as_many_parameters_as_their_papers(
    fragment: str, changes: dict[str, Any], classes: int, parameters: int
) -> None:
    network = made(fragment, 32, classes, "meta", **changes)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_vgg19_has_sixteen_convolutions_and_one_linear_layer_and_halves_four_times() -> None:
    network = made("vgg19", device="meta")
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    assert [layer.in_features for layer in network.modules() if isinstance(layer, nn.Linear)] == [512]
    seen = sides_of(network, convolutions)
    assert seen == [32] * 2 + [16] * 2 + [8] * 4 + [4] * 4 + [2] * 4


@pytest.mark.parametrize(
    ("side", "stem", "sides"), [(32, "3x3", (32, 32, 16, 8, 4)), (224, "7x7-pool", (112, 56, 28, 14, 7))]
)
def test_resnet50_sees_images_at_the_sizes_of_its_paper(side: int, stem: str, sides: tuple[int, ...]) -> None:
    network = made("resnet50", side, device="meta", stem=stem)
    wide = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)]
    assert len(wide) == 1 + 3 + 4 + 6 + 3
    assert sides_of(network, wide, side) == [
        sides[0],
        *[s for s, n in zip(sides[1:], (3, 4, 6, 3), strict=True) for _ in range(n)],
    ]


def sides_of(network: nn.Module, layers: list[nn.Conv2d], side: int = 32) -> list[int]:
    """Heights of what layers give for an image."""
    seen: list[int] = []
    for layer in layers:
        layer.register_forward_hook(lambda _, __, output: seen.append(output.shape[2]))
    network(torch.zeros(2, 3, side, side, device="meta"))
    return seen


def test_a_block_without_a_residual_hands_its_input_on_by_option_a() -> None:
    """Every other pixel, and zeros for the channels that are new."""
    block: Any = made("resnet20", widths=[2, 3], blocks=[1, 1]).blocks[1].eval()  # type: ignore[union-attr,index]
    nn.init.zeros_(block.norm2.weight)
    images = torch.rand(1, 2, 4, 4)
    handed = block(images)
    assert torch.equal(handed[:, :2], images[:, :, ::2, ::2])
    assert torch.equal(handed[:, 2:], torch.zeros(1, 1, 2, 2))


def convolutions(network: nn.Module) -> list[Tensor]:
    return [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize("init", ["glorot-normal", "he-normal-in", "he-normal-out", "torch"])
def test_convolutions_are_drawn_as_the_task_says(init: str) -> None:
    network = made("vgg19", widths=[64, 128], pools=[], init=init)
    weight = convolutions(network)[1]  # 64 -> 128
    variance = {
        "glorot-normal": 2 / (9 * (64 + 128)),
        "he-normal-in": 2 / (9 * 64),
        "he-normal-out": 2 / (9 * 128),
        "torch": 1 / (3 * 9 * 64),
    }[init]
    assert weight.var().item() == pytest.approx(variance, rel=0.02)
    limit = variance**0.5 * 3**0.5  # torch's draw is uniform, the others have tails
    assert (weight.abs().max().item() > 1.1 * limit) == (init != "torch")


@pytest.mark.parametrize(("fragment", "biases"), [("vgg19", True), ("resnet20", False)])
def test_biases_and_batch_norm_begin_as_p1_has_them(fragment: str, biases: bool) -> None:
    narrow: dict[str, Any] = {"widths": [8, 8, 8], **({"pools": [1]} if biases else {})}
    values = dict(made(fragment, **narrow).named_parameters())
    of_convolutions = [name for name in values if "conv" in name and name.endswith(".bias")]
    assert bool(of_convolutions) == biases
    zero = [*of_convolutions, "output.bias", *[name for name in values if "norm" in name and name.endswith(".bias")]]
    assert not any(values[name].any() for name in zero)
    assert all((value == 1).all() for name, value in values.items() if "norm" in name and name.endswith(".weight"))
    assert values["output.weight"].abs().max().item() <= 8**-0.5  # torch's own


def test_prunable_are_the_weights_of_convolutions_and_of_the_linear_layer() -> None:
    for fragment, layers, weights in (
        ("vgg19", 17, 20_024_000),
        ("resnet50", 54, 23_467_712),
        ("resnet20", 20, 268_336),
    ):
        spec = task(fragment, SGD, "short").spec
        shapes = VisionLearner.parameter_shapes(spec)
        assert len(spec.prunable) == layers, fragment
        assert spec.prunable[-1] == "output.weight"
        assert {len(shapes[name]) for name in spec.prunable} == {2, 4}
        assert sum(prod(shapes[name]) for name in spec.prunable) == weights, fragment


def test_biases_batch_norm_and_output_layer_are_pruned_if_a_task_names_them() -> None:
    """A vector of batch norm counts as a bias: it is no product's weight."""
    names = VisionLearner.parameter_shapes(task("vgg19", SGD, "short").spec)
    patterns = ["*conv*.weight", "*conv*.bias", "*norm*.weight", "*norm*.bias", "output.*"]
    everything = task("vgg19", SGD, "short", prunable=patterns, prune_biases=True).spec
    assert set(everything.prunable) == set(names)
    with pytest.raises(
        UsageError, match=r"prune_biases = false, but prunable has of the biases.*layers\.0\.norm\.weight"
    ):
        task("vgg19", SGD, "short", prunable=["*conv*.weight", "*norm*.weight", "output.weight"])
    alone = task("vgg19", SGD, "short", prunable=["*conv*.weight"], prune_output_layer=False).spec
    assert not [name for name in alone.prunable if name.startswith("output")]
    with pytest.raises(
        UsageError, match=r"prune_output_layer = true, but prunable has of the tensors of the output layer: none"
    ):
        task("vgg19", SGD, "short", prunable=["*conv*.weight"])


@pytest.mark.parametrize(
    ("fragment", "changes", "words"),
    [
        ("vgg19", {"pools": [4, 2]}, r"model\.pools = \[4, 2\]: ascending places of at most 16"),
        ("vgg19", {"pools": [17]}, r"model\.pools = \[17\]: ascending places of at most 16"),
        ("vgg19", {"pools": [1, 2, 3, 4, 5, 6]}, r"model\.pools: 6 halvings leave nothing of 32x32 pixels"),
        ("vgg19", {"widths": []}, r"model\.widths = \[\]: a list of whole numbers of at least 1"),
        ("resnet50", {"blocks": [3, 4]}, r"model\.widths = \[64, 128, 256, 512\]: one for each of the 2 stages"),
        ("resnet50", {"stem": "5x5"}, r"model\.stem = '5x5': one of 3x3, 7x7-pool"),
        (
            "resnet20",
            {"init": "zeros"},
            r"model\.init = 'zeros': one of glorot-normal, he-normal-in, he-normal-out, torch",
        ),
    ],
)
def test_settings_that_make_no_network_are_refused_when_the_task_is_chosen(
    fragment: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        task(fragment, SGD, "short", **{f"model__{key}": value for key, value in changes.items()})
