"""A layer that stores survivors only, put in after the optimizer was built, is the masked dense layer to all others."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from suite.experiment import snapshot
from suite.experiment.errors import RunError
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask, TicketError
from suite.tickets.replace import dense_owners, parameter_names, replace

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda p: SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: Adam(p, lr=0.01),
}


class CompactLinear(nn.Module):
    """Survivors of a linear layer as a vector, `values`, and where they belong."""

    dense_names: dict[str, str] = {"values": "weight"}  # noqa: RUF012
    where: Tensor

    def __init__(self, dense: nn.Linear, kept: Tensor) -> None:
        super().__init__()
        self.shape = dense.weight.shape
        self.register_buffer("where", kept.flatten().nonzero().flatten(), persistent=False)
        self.values = nn.Parameter(dense.weight.detach().flatten()[self.where].clone())
        self.bias = nn.Parameter(dense.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self._dense(self.values), self.bias)

    def _dense(self, values: Tensor) -> Tensor:
        return values.new_zeros(self.shape.numel()).index_put((self.where,), values).view(self.shape)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self._dense(destination.pop(f"{prefix}values"))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        dense = state_dict.pop(f"{prefix}weight")
        state_dict[f"{prefix}values"] = dense.flatten()[self.where]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def dense_state(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        return self._dense(value) if parameter is self.values else value

    def stored_state(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        return value.flatten()[self.where] if parameter is self.values else value


def _dense_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.BatchNorm1d(16), nn.Linear(16, 8))


def _mask(names: tuple[str, ...] = ("0.weight", "0.bias")) -> Mask:
    generator = torch.Generator().manual_seed(1)
    dense = Mask.dense(_dense_net(), names)
    return Mask({name: torch.rand(tensor.shape, generator=generator) < 0.4 for name, tensor in dense.items()})


def _run(name: str, compact: bool) -> tuple[nn.Sequential, Optimizer]:
    """A masked net and its optimizer, before its first step; with `compact`, its first layer stores survivors only."""
    net = _dense_net()
    _mask().apply(net)
    optimizer = OPTIMIZERS[name](net.parameters())
    if compact:
        assert isinstance(net[0], nn.Linear)
        replace(net, optimizer, "0", CompactLinear(net[0], _mask()["0.weight"]))
    enforce(net, optimizer, _mask())
    return net, optimizer


def _train(net: nn.Module, optimizer: Optimizer, steps: range) -> list[float]:
    losses = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        x, y = torch.randn(16, 6, generator=generator), torch.randn(16, 8, generator=generator)
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses


def _assert_close(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replaced_layer_trains_as_the_masked_dense_one(name: str) -> None:
    dense, compact = _run(name, False), _run(name, True)
    assert _train(*compact, range(30)) == pytest.approx(_train(*dense, range(30)), rel=1e-4)
    _assert_close(compact[0].state_dict(), dense[0].state_dict())
    assert (dense[0].state_dict()["0.weight"] != _dense_net().state_dict()["0.weight"]).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_snapshot_of_a_replaced_layer_has_the_dense_names_and_values(name: str) -> None:
    dense, compact = _run(name, False), _run(name, True)
    _train(*dense, range(10))
    _train(*compact, range(10))
    found, expected = snapshot.take(*compact, {"step": 10}), snapshot.take(*dense, {"step": 10})
    _assert_close(found.tensors, expected.tensors)
    assert found.meta == expected.meta
    assert (found.meta["step"], found.meta["optimizer_scalars"]) == (10, {})
    key = {"sgd": "momentum_buffer", "adam": "exp_avg_sq"}[name]
    state = found.tensors[f"optimizer.{key}.0.weight"]
    assert state.shape == (16, 6)
    assert torch.equal(state != 0, _mask()["0.weight"])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("source", [True, False], ids=["from compact", "from dense"])
@pytest.mark.parametrize("target", [True, False], ids=["to compact", "to dense"])
def test_a_snapshot_continues_in_either_kind_of_net(name: str, source: bool, target: bool) -> None:
    straight = _run(name, source)
    _train(*straight, range(10))
    kept = snapshot.take(*straight, {})
    expected = _train(*straight, range(10, 20))
    resumed = _run(name, target)
    _train(*resumed, range(50, 53))  # goes elsewhere before the snapshot is put
    snapshot.put(kept, *resumed)
    found = _train(*resumed, range(10, 20))
    if source == target:
        assert found == expected
        states = zip(resumed[0].state_dict().values(), straight[0].state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in states)
    else:
        assert found == pytest.approx(expected, rel=1e-4)
        _assert_close(snapshot.take(*resumed, {}).tensors, snapshot.take(*straight, {}).tensors)


def test_a_snapshot_does_not_follow_later_training_of_either_side() -> None:
    first, second = _run("adam", True), _run("adam", True)
    _train(*first, range(3))
    kept = snapshot.take(*first, {})
    before = {name: value.clone() for name, value in kept.tensors.items()}
    snapshot.put(kept, *second)
    _train(*first, range(3))
    _train(*second, range(3))
    assert all(torch.equal(kept.tensors[name], before[name]) for name in before)


def test_a_snapshot_from_before_the_first_step_leaves_no_later_optimizer_state() -> None:
    net, optimizer = _run("adam", True)
    kept = snapshot.take(net, optimizer, {})
    expected = _train(net, optimizer, range(3))
    snapshot.put(kept, net, optimizer)
    assert not optimizer.state
    assert _train(net, optimizer, range(3)) == expected


def test_a_snapshot_of_another_model_is_refused_in_one_line() -> None:
    kept = snapshot.take(*_run("sgd", True), {})
    other = nn.Linear(6, 16)
    with pytest.raises(RunError, match="snapshot does not fit the model") as caught:
        snapshot.put(kept, other, SGD(other.parameters(), lr=0.1))
    assert "\n" not in str(caught.value)


def test_only_what_is_stored_otherwise_escapes_enforcement() -> None:
    """The compact layer's bias is an ordinary parameter: where it is pruned, it has to be kept at zero."""
    net, optimizer = _run("adam", True)
    assert dense_owners(net) == {"0.weight"}
    _train(net, optimizer, range(5))
    bias = net[0].bias
    assert torch.equal(bias.detach() != 0, _mask()["0.bias"])
    assert torch.equal(bias.grad != 0, _mask()["0.bias"])


def test_parameters_are_known_by_their_dense_names() -> None:
    net, _ = _run("sgd", True)
    names = [name for name, _ in parameter_names(net).values()]
    assert sorted(names) == sorted(name for name, _ in _dense_net().named_parameters())


def test_the_new_parameters_take_the_place_of_the_old_ones_in_their_group() -> None:
    net = _dense_net()
    groups = [{"params": net[0].parameters(), "lr": 0.5}, {"params": [*net[2].parameters(), *net[3].parameters()]}]
    optimizer = SGD(groups, lr=0.1, momentum=0.9)
    _train(net, optimizer, range(1))
    layer = nn.Linear(16, 8)
    old = [id(parameter) for parameter in net[3].parameters()]
    replace(net, optimizer, "3", layer)
    assert net[3] is layer
    trained = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
    assert trained == [
        [id(p) for p in net[0].parameters()],
        [id(p) for p in [*net[2].parameters(), *layer.parameters()]],
    ]
    assert not {id(parameter) for parameter in optimizer.state} & set(old)


def test_a_layer_inside_another_one_is_replaced_by_its_path() -> None:
    net = nn.ModuleDict({"body": _dense_net()})
    optimizer = SGD(net.parameters(), lr=0.1)
    layer = nn.Linear(16, 8)
    replace(net, optimizer, "body.3", layer)
    assert net.get_submodule("body.3") is layer


@pytest.mark.parametrize(
    ("path", "message"),
    [("7", "the model has no layer '7'"), ("", "the model itself cannot be replaced"), ("1", "is trained in 0 groups")],
)
def test_what_cannot_be_replaced_is_refused(path: str, message: str) -> None:
    net = _dense_net()
    with pytest.raises(TicketError, match=message):
        replace(net, SGD(net.parameters(), lr=0.1), path, nn.Linear(6, 16))


def test_a_layer_that_shares_its_weight_is_not_replaced_behind_the_other_layers_back() -> None:
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    net["b"].weight = net["a"].weight
    optimizer = SGD(net.parameters(), lr=0.1)
    with pytest.raises(TicketError, match=r"layer 'a' cannot be replaced: it shares its parameter with 'b\.weight'"):
        replace(net, optimizer, "a", nn.Linear(4, 4))
    assert len(optimizer.param_groups[0]["params"]) == 3
