"""Masks stay exact on a torchvision ResNet with batch norm and Adam, which knows nothing of them."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from suite.experiment import snapshot
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

models = pytest.importorskip("torchvision.models", reason="needs the extra `vision`")

DENSITY = 0.2


def _net() -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = models.resnet18(num_classes=10)
    return net


def _mask(net: nn.Module) -> Mask:
    names = [name for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    dense = Mask.dense(net, [f"{name}.weight" for name in names])
    generator = torch.Generator().manual_seed(0)
    return Mask({name: torch.rand(tensor.shape, generator=generator) < DENSITY for name, tensor in dense.items()})


def _train(net: nn.Module, optimizer: Adam, steps: range) -> list[float]:
    losses = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(4, 3, 32, 32, generator=generator)
        labels = torch.randint(10, (4,), generator=generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _tensors(net: nn.Module, optimizer: Adam, name: str) -> list[Tensor]:
    parameter = net.get_parameter(name)
    assert parameter.grad is not None
    state = optimizer.state[parameter]
    return [parameter.detach(), parameter.grad, state["exp_avg"], state["exp_avg_sq"]]


def test_convolutions_are_exactly_masked_and_batch_norm_is_left_alone() -> None:
    net = _net()
    optimizer, mask = Adam(net.parameters(), lr=1e-3), _mask(net)
    fresh = {name: value.clone() for name, value in net.state_dict().items()}
    with enforce(net, optimizer, mask):
        attached = net.state_dict()
        assert all(torch.equal(attached[name], fresh[name]) for name in fresh if name not in mask)
        _train(net, optimizer, range(3))
        for name, kept in mask.items():
            for tensor in _tensors(net, optimizer, name):
                assert not tensor[~kept].any(), name
    assert mask.density == pytest.approx(DENSITY, abs=0.001)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 20
    for norm in norms:
        assert (norm.weight != 1).float().mean() > 0.8  # Adam moved them (but those behind a dead ReLU)
        assert norm.weight.detach().all()
        assert norm.num_batches_tracked is not None
        assert norm.num_batches_tracked.item() == 3
        assert norm.running_mean is not None
        assert norm.running_mean.any()


def test_a_masked_run_goes_on_from_its_snapshot_bit_for_bit() -> None:
    """Masks lost on resume: a fresh net, its optimizer and the mask attached to them, then the snapshot."""
    net = _net()
    optimizer, mask = Adam(net.parameters(), lr=1e-3), _mask(net)
    with enforce(net, optimizer, mask):
        _train(net, optimizer, range(2))
        kept = snapshot.take(net, optimizer, {})
        expected = _train(net, optimizer, range(2, 4))

    torch.manual_seed(1)
    other = models.resnet18(num_classes=10)
    resumed = Adam(other.parameters(), lr=1e-3)
    snapshot.put(kept, other, resumed)
    with enforce(other, resumed, mask):
        assert _train(other, resumed, range(2, 4)) == expected
        assert not any(_tensors(other, resumed, name)[0][~bits].any() for name, bits in mask.items())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())
