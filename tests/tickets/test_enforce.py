"""Pruned weights, their gradients and optimizer state are exactly zero after every step, whatever the optimizer."""

import copy
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop, SparseAdam

from suite.tickets import enforce as enforcing
from suite.tickets.enforce import enforce, stays_zero
from suite.tickets.mask import Mask, TicketError

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "sgd momentum decay": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "sgd nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: Adam(p, lr=0.01, weight_decay=0.1),
    "adam amsgrad": lambda p: Adam(p, lr=0.01, amsgrad=True, foreach=True),
    "adam fused": lambda p: Adam(p, lr=0.01, fused=True),
    "adamw": lambda p: AdamW(p, lr=0.01, weight_decay=0.5),
    "nadam": lambda p: NAdam(p, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda p: RAdam(p, lr=0.01),
    "rmsprop": lambda p: RMSprop(p, lr=0.01),
    "rmsprop centered momentum": lambda p: RMSprop(p, lr=0.01, centered=True, momentum=0.9, weight_decay=0.1),
    "adagrad": lambda p: Adagrad(p, lr=0.1, initial_accumulator_value=0.1),
    "adadelta": Adadelta,
}
NAMES = ["0.weight", "0.bias", "2.weight"]


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def _mask(net: nn.Module, density: float = 0.5, names: list[str] = NAMES) -> Mask:
    generator = torch.Generator().manual_seed(1)
    dense = Mask.dense(net, names)
    return Mask({name: torch.rand(tensor.shape, generator=generator) < density for name, tensor in dense.items()})


def _loss(net: nn.Module, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 6, generator=generator), torch.randn(16, 3, generator=generator)
    return ((net(x) - y) ** 2).mean()


def _step(net: nn.Module, optimizer: Optimizer, step: int) -> None:
    optimizer.zero_grad()
    _loss(net, step).backward()
    optimizer.step()


def _assert_zero(net: nn.Module, optimizer: Optimizer, mask: Mask) -> int:
    """Weights, gradients and state are +-0 where pruned, finite elsewhere; returns the number of state tensors seen."""
    seen = 0
    for name, kept in mask.items():
        parameter = net.get_parameter(name)
        state = [value for value in optimizer.state[parameter].values() if torch.is_tensor(value)]
        like = [value for value in state if value.shape == parameter.shape]
        gradient = [] if parameter.grad is None else [parameter.grad]
        for tensor in [parameter.detach(), *gradient, *like]:
            assert torch.equal(tensor[~kept], torch.zeros_like(tensor[~kept])), name
            assert tensor[kept].isfinite().all(), name
        seen += len(like)
    return seen


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_weights_gradients_and_every_state_tensor_are_zero_after_every_step(optimizer_name: str) -> None:
    net = _net()
    mask, optimizer = _mask(net), OPTIMIZERS[optimizer_name](net.parameters())
    with enforce(net, optimizer, mask):
        for step in range(5):
            _step(net, optimizer, step)
            seen = _assert_zero(net, optimizer, mask)
    expected = {"sgd": 0, "adam amsgrad": 9, "rmsprop centered momentum": 9, "rmsprop": 3, "adadelta": 6}
    one_per_tensor = optimizer_name.startswith(("sgd ", "adagrad"))
    assert seen == expected.get(optimizer_name, 3 if one_per_tensor else 6)


@pytest.mark.parametrize("optimizer_name", ["sgd momentum decay", "adam", "adamw", "rmsprop centered momentum"])
def test_survivors_train_bit_for_bit_like_a_net_whose_weights_are_multiplied_by_the_mask(optimizer_name: str) -> None:
    """The reference masks in its forward pass only, under the plain optimizer."""
    net = _net()
    mask = _mask(net)
    mask.apply(net)
    reference = copy.deepcopy(net)
    bits = {name: mask[name].float() if name in mask else torch.ones(()) for name, _ in reference.named_parameters()}

    def masked_forward(x: Tensor) -> Tensor:
        values = {name: parameter * bits[name] for name, parameter in reference.named_parameters()}
        return functional_call(reference, values, (x,))

    plain = OPTIMIZERS[optimizer_name](reference.parameters())
    optimizer = OPTIMIZERS[optimizer_name](net.parameters())
    with enforce(net, optimizer, mask):
        for step in range(10):
            _step(net, optimizer, step)
            plain.zero_grad()
            generator = torch.Generator().manual_seed(step)
            x, y = torch.randn(16, 6, generator=generator), torch.randn(16, 3, generator=generator)
            ((masked_forward(x) - y) ** 2).mean().backward()
            plain.step()
    for name, value in net.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name] * bits[name]), name


@pytest.mark.parametrize("optimizer_name", ["sgd momentum decay", "adam", "rmsprop centered momentum"])
def test_momentum_of_the_dense_net_does_not_bring_pruned_weights_back(optimizer_name: str) -> None:
    net = _net()
    optimizer = OPTIMIZERS[optimizer_name](net.parameters())
    for step in range(3):
        _step(net, optimizer, step)
    mask = _mask(net)
    with enforce(net, optimizer, mask):
        for parameter in net.parameters():
            parameter.grad = None
        assert _assert_zero(net, optimizer, mask) > 0  # at once, before any step
        _step(net, optimizer, 3)
        _assert_zero(net, optimizer, mask)


def test_loaded_optimizer_state_is_zeroed_when_it_is_loaded() -> None:
    net = _net()
    optimizer = Adam(net.parameters(), lr=0.01)
    _step(net, optimizer, 0)
    dense_state = copy.deepcopy(optimizer.state_dict())
    mask = _mask(net)
    with enforce(net, optimizer, mask):
        optimizer.zero_grad()
        optimizer.load_state_dict(dense_state)
        assert _assert_zero(net, optimizer, mask) == 6
        assert optimizer.state[net.get_parameter("0.weight")]["exp_avg"].any()
        _step(net, optimizer, 1)
        _assert_zero(net, optimizer, mask)


def test_a_gradient_assigned_by_hand_never_reaches_the_optimizer() -> None:
    net = _net()
    mask, optimizer = _mask(net), SGD(net.parameters(), lr=0.1, momentum=0.9)
    with enforce(net, optimizer, mask):
        for step in range(3):
            gradients = torch.autograd.grad(_loss(net, step), list(net.parameters()))
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            assert _assert_zero(net, optimizer, mask) == 3


def test_the_optimizer_itself_meets_zero_gradients_when_they_were_assigned_by_hand() -> None:
    seen: list[Tensor] = []

    class Watching(SGD):
        def step(self, closure: None = None) -> None:  # type: ignore[override]
            seen.append(self.param_groups[0]["params"][0].grad.clone())

    net = _net()
    mask, optimizer = _mask(net), Watching(net.parameters(), lr=0.1)
    with enforce(net, optimizer, mask):
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    assert torch.equal(seen[0], mask["0.weight"].float())


def test_gradient_norm_clipping_sees_the_survivors_only() -> None:
    """Masking in the forward pass of the next step, or after the step, leaves pruned gradients in the norm."""
    net = _net()
    mask, optimizer = _mask(net), SGD(net.parameters(), lr=0.1)
    mask.apply(net)
    gradients = dict(zip(NAMES, torch.autograd.grad(_loss(net, 0), [net.get_parameter(n) for n in NAMES]), strict=True))
    bias = torch.autograd.grad(_loss(net, 0), net.get_parameter("2.bias"))[0]
    everything = torch.cat([*(gradient.flatten() for gradient in gradients.values()), bias]).norm()
    survivors = torch.cat([*(gradients[name][mask[name]] for name in NAMES), bias]).norm()
    with enforce(net, optimizer, mask):
        _loss(net, 0).backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 1e9)
    torch.testing.assert_close(norm, survivors)
    assert norm < 0.95 * everything


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_gradient_that_is_not_finite_at_a_pruned_position_does_no_harm(bad: float, by_hand: bool) -> None:
    net = _net()
    mask, optimizer = _mask(net), Adam(net.parameters(), lr=0.01)
    where = ~mask["0.weight"]
    with enforce(net, optimizer, mask):
        handle = net[0].weight.register_hook(lambda gradient: gradient.masked_fill(where, bad))
        _loss(net, 0).backward()
        handle.remove()
        if by_hand:
            assert net[0].weight.grad is not None
            net[0].weight.grad[where] = bad
        else:
            assert nn.utils.clip_grad_norm_(net.parameters(), 1.0).isfinite()
        optimizer.step()
        assert _assert_zero(net, optimizer, mask) == 6


def test_a_weight_changed_behind_the_optimizers_back_is_zero_again_after_the_next_step() -> None:
    net = _net()
    mask, optimizer = _mask(net), SGD(net.parameters(), lr=0.1)
    with enforce(net, optimizer, mask):
        with torch.no_grad():
            net[0].weight.add_(1)
        _step(net, optimizer, 0)
        _assert_zero(net, optimizer, mask)


def test_an_update_of_zero_over_zero_leaves_zero() -> None:
    net = _net()
    mask, optimizer = _mask(net, names=["0.weight"]), Adagrad(net.parameters(), lr=0.1, eps=0.0)
    with enforce(net, optimizer, mask):
        _step(net, optimizer, 0)
        _assert_zero(net, optimizer, mask)


def test_gradients_accumulated_over_several_backward_passes_stay_zero_where_pruned() -> None:
    net = _net()
    mask, optimizer = _mask(net), SGD(net.parameters(), lr=0.1)
    with enforce(net, optimizer, mask):
        for step in range(3):
            _loss(net, step).backward()
            _assert_zero(net, optimizer, mask)


def test_the_context_manager_removes_every_hook() -> None:
    net = _net()
    mask, optimizer = _mask(net), SGD(net.parameters(), lr=0.1, momentum=0.9)
    with enforce(net, optimizer, mask):
        _step(net, optimizer, 0)
    assert not net[0].weight.detach()[~mask["0.weight"]].any()  # removal alone changes no weight
    _step(net, optimizer, 1)
    assert net[0].weight.grad is not None
    assert net[0].weight.grad[~mask["0.weight"]].any()
    assert net[0].weight.detach()[~mask["0.weight"]].any()
    assert optimizer.state[net[0].weight]["momentum_buffer"][~mask["0.weight"]].any()
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert optimizer.state[net[0].weight]["momentum_buffer"][~mask["0.weight"]].any()


def test_a_tensor_that_keeps_all_its_weights_costs_no_hook() -> None:
    net = _net()
    mask = Mask({**dict(_mask(net).items()), "2.weight": torch.ones_like(net[2].weight, dtype=torch.bool)})
    with enforce(net, SGD(net.parameters(), lr=0.1), mask):
        assert net[0].weight._post_accumulate_grad_hooks
        assert not net[2].weight._post_accumulate_grad_hooks


def test_hooks_are_removed_when_training_raises() -> None:
    net = _net()
    optimizer = SGD(net.parameters(), lr=0.1)
    with pytest.raises(ZeroDivisionError), enforce(net, optimizer, _mask(net)):
        raise ZeroDivisionError
    _step(net, optimizer, 0)
    assert net[0].weight.detach()[~_mask(net)["0.weight"]].any()


def test_parameters_that_the_mask_does_not_name_train_as_without_it() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    mask, optimizer = _mask(net, 0.5, ["0.weight"]), AdamW(net.parameters(), lr=0.01)
    with enforce(net, optimizer, mask):
        for step in range(3):
            _step(net, optimizer, step)
    assert (net[1].weight != 1).all()
    assert (net[1].bias != 0).all()
    assert net[2].weight.detach().all()


@pytest.mark.parametrize("names", [["a.weight"], ["b.weight"]])
def test_a_tied_parameter_is_masked_under_either_of_its_names(names: list[str]) -> None:
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    net["b"].weight = net["a"].weight
    optimizer = Adam(net.parameters(), lr=0.1)
    mask = Mask({name: torch.eye(4, dtype=torch.bool) for name in names})
    with enforce(net, optimizer, mask):
        for _ in range(3):
            optimizer.zero_grad()
            net["b"](net["a"](torch.ones(2, 4))).square().sum().backward()
            optimizer.step()
            assert _assert_zero(net, optimizer, mask) == 2
    assert net["a"].weight.detach().diag().all()


def test_a_tied_parameter_with_a_mask_under_both_names_keeps_what_both_keep() -> None:
    net = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    net["b"].weight = net["a"].weight
    optimizer = SGD(net.parameters(), lr=0.1)
    first, second = torch.tensor([[True, True], [False, True]]), torch.tensor([[True, False], [True, True]])
    with enforce(net, optimizer, Mask({"a.weight": first, "b.weight": second})):
        assert torch.equal(net["a"].weight.detach() != 0, first & second)


def test_a_name_that_the_model_has_not_is_refused() -> None:
    net = _net()
    with pytest.raises(TicketError, match=r"masked tensor '1\.weight' is no parameter of the model"):
        enforce(net, SGD(net.parameters(), lr=0.1), Mask({"1.weight": torch.ones(2, dtype=torch.bool)}))


def test_another_shape_is_refused() -> None:
    net = _net()
    with pytest.raises(TicketError, match=r"mask of '0\.weight' has shape \(6, 8\), the model has \(8, 6\)"):
        enforce(net, SGD(net.parameters(), lr=0.1), Mask({"0.weight": torch.ones(6, 8, dtype=torch.bool)}))


def test_the_optimizer_of_another_model_is_refused_and_no_weight_is_touched() -> None:
    net, other = _net(), _net()
    with pytest.raises(TicketError, match=r"the optimizer does not train '0\.weight'"):
        enforce(net, SGD(other.parameters(), lr=0.1), _mask(net))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


STAYING: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "sgd momentum decay": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "sgd nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "sgd maximize": lambda p: SGD(p, lr=1e-3, momentum=0.9, maximize=True),
    "sgd fused": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, fused=True),
    "adam": lambda p: Adam(p, lr=0.01, weight_decay=0.1),
    "adam amsgrad": lambda p: Adam(p, lr=0.01, amsgrad=True, foreach=True),
    "adam fused": lambda p: Adam(p, lr=0.01, weight_decay=0.1, fused=True),
    "adam maximize": lambda p: Adam(p, lr=0.01, maximize=True),
    "adamw": lambda p: AdamW(p, lr=0.01, weight_decay=0.5),
    "adamw amsgrad fused": lambda p: AdamW(p, lr=0.01, weight_decay=0.5, amsgrad=True, fused=True),
    "rmsprop": lambda p: RMSprop(p, lr=0.01, weight_decay=0.1),
    "rmsprop centered momentum": lambda p: RMSprop(p, lr=0.01, centered=True, momentum=0.9, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer_name", STAYING)
def test_zero_weights_state_and_gradients_stay_zero_without_a_sweep(optimizer_name: str) -> None:
    """What `stays_zero` claims: here nothing but the gradient is ever cleared."""
    net = _net()
    mask, optimizer = _mask(net), STAYING[optimizer_name](net.parameters())
    assert stays_zero(optimizer)
    mask.apply(net)
    for name, kept in mask.items():
        net.get_parameter(name).register_hook(lambda gradient, kept=kept: gradient * kept)
    for step in range(20):
        _step(net, optimizer, step)
        _assert_zero(net, optimizer, mask)


def _sweeps(optimizer: Optimizer, net: nn.Module, steps: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """(gradients cleared, sweeps) in some steps after the first."""
    counts = {"gradients": 0, "sweeps": 0}
    clear, zero = enforcing._Masked._clear_gradient, enforcing.Enforcement._zero

    def cleared(self: enforcing._Masked, parameter: Tensor) -> None:
        counts["gradients"] += 1
        clear(self, parameter)

    def swept(self: enforcing.Enforcement, of: Optimizer) -> None:
        counts["sweeps"] += 1
        zero(self, of)

    monkeypatch.setattr(enforcing._Masked, "_clear_gradient", cleared)
    monkeypatch.setattr(enforcing.Enforcement, "_zero", swept)
    with enforce(net, optimizer, _mask(net)):
        _step(net, optimizer, 0)
        counts.update(gradients=0, sweeps=0)
        for step in range(steps):
            _step(net, optimizer, 1 + step)
        return counts["gradients"], counts["sweeps"]


def test_a_known_optimizer_is_not_swept_and_its_gradients_are_cleared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = _net()
    assert _sweeps(Adam(net.parameters(), lr=0.01, fused=True), net, 10, monkeypatch) == (10 * len(NAMES), 0)


class OwnAdam(Adam):
    """A foreign optimizer: what its steps do is not known."""


def test_a_foreign_optimizer_is_swept_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    net = _net()
    assert _sweeps(OwnAdam(net.parameters(), lr=0.01), net, 10, monkeypatch) == (10 * len(NAMES), 10)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: Adam(p, lr=0.01, eps=0.0),
        lambda p: RMSprop(p, lr=0.01, eps=1e-42),
        lambda p: Adam(p, lr=0.01, differentiable=True),
        Adadelta,
        lambda p: OwnAdam(p, lr=0.01),
    ],
)
def test_an_optimizer_that_may_divide_zero_by_zero_or_is_foreign_is_not_trusted(make: Callable[..., Optimizer]) -> None:
    assert not stays_zero(make(_net().parameters()))


def test_the_denominators_of_half_precision_are_not_trusted() -> None:
    assert not stays_zero(Adam(_net().half().parameters(), lr=0.01))  # 1e-8 is zero there
    assert stays_zero(Adam(_net().bfloat16().parameters(), lr=0.01))


def test_gradients_that_a_closure_assigns_inside_the_step_do_no_harm() -> None:
    net = _net()
    mask, optimizer = _mask(net), SGD(net.parameters(), lr=0.1, momentum=0.9)

    def closure() -> float:
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)
        return 0.0

    with enforce(net, optimizer, mask):
        for _ in range(3):
            optimizer.step(closure)
            for parameter in net.parameters():
                parameter.grad = None
            assert _assert_zero(net, optimizer, mask) == 3


@pytest.mark.parametrize("trained", [True, False], ids=["in the optimizer", "left out of it"])
def test_a_frozen_tensor_is_masked_and_stays_so_when_it_is_thawed(trained: bool) -> None:
    net = _net()
    frozen = net.get_parameter("0.weight").requires_grad_(False)
    given = net.parameters() if trained else [p for p in net.parameters() if p.requires_grad]
    mask, optimizer = _mask(net), Adam(given, lr=0.01)
    with enforce(net, optimizer, mask):
        assert not frozen.requires_grad
        _step(net, optimizer, 0)
        assert torch.equal(frozen != 0, mask["0.weight"])
        if trained:
            frozen.requires_grad_(True)
            _step(net, optimizer, 1)
            assert _assert_zero(net, optimizer, mask) == 6


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_weights_are_masked(dtype: torch.dtype) -> None:
    net = nn.ParameterDict({"w": nn.Parameter(torch.randn(4, 4, dtype=dtype))})
    optimizer = Adam(net.parameters(), lr=0.1)
    mask = Mask({"w": torch.eye(4, dtype=torch.bool)})
    before = net["w"].detach().clone()
    with enforce(net, optimizer, mask):
        for _ in range(3):
            optimizer.zero_grad()
            (torch.ones(4, dtype=dtype) @ net["w"]).abs().square().sum().backward()
            optimizer.step()
    assert torch.equal(net["w"] != 0, mask["w"])
    assert (net["w"].diagonal() != before.diagonal()).all()


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1), lambda p: SparseAdam(list(p), lr=0.1)])
def test_sparse_gradients_are_cleared_in_the_rows_that_they_hold(make: Callable[..., Optimizer]) -> None:
    net = nn.Embedding(10, 4, sparse=True)
    optimizer = make(net.parameters())
    mask, before = _mask(net, names=["weight"]), net.weight.detach().clone()
    with enforce(net, optimizer, mask):
        for step in range(5):
            optimizer.zero_grad()
            net(torch.tensor([step, step, step + 1])).square().sum().backward()
            assert net.weight.grad is not None
            assert not net.weight.grad.to_dense()[~mask["weight"]].any()
            optimizer.step()
    kept = mask["weight"]
    assert not net.weight.detach()[~kept].any()
    assert (net.weight != before)[:6][kept[:6]].all()


def test_state_in_lists_and_tables_is_zeroed() -> None:
    class Listing(Optimizer):
        def __init__(self, params: Iterable[nn.Parameter]) -> None:
            super().__init__(params, {})

        @torch.no_grad()
        def step(self, closure: None = None) -> None:  # type: ignore[override]
            for parameter in self.param_groups[0]["params"]:
                self.state[parameter] = {"past": [torch.ones_like(parameter)], "by": {"k": torch.ones_like(parameter)}}
                parameter.add_(1.0)

    net = _net()
    mask, optimizer = _mask(net), Listing(net.parameters())
    with enforce(net, optimizer, mask):
        _step(net, optimizer, 0)
        for name, kept in mask.items():
            state = optimizer.state[net.get_parameter(name)]
            for tensor in (net.get_parameter(name).detach(), state["past"][0], state["by"]["k"]):
                assert torch.equal(tensor != 0, kept)
