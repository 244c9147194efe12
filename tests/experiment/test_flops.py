"""FLOPs by operators: whatever the call form, each product is its weight's, and nothing is charged twice or less."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from suite.experiment.flops import StepFlops, count
from suite.tickets.mask import Mask

N = 6


def _counted(model: nn.Module, loss: Callable[[], Tensor]) -> StepFlops:
    with count(model) as flops:
        loss().backward()
    none = Mask({name: torch.zeros(p.shape, dtype=torch.bool) for name, p in model.named_parameters() if p.dim() > 1})
    assert -1e-6 * flops.dense <= flops.sparse(none) <= flops.dense
    return flops


def _weight(model: nn.Module, loss: Callable[[], Tensor], name: str = "weight") -> float:
    return _counted(model, loss).per_weight[name]


@pytest.mark.parametrize(
    "call",
    [
        lambda layer, x: layer(x),
        lambda layer, x: F.linear(input=x, weight=layer.weight, bias=None),
        lambda layer, x: x @ layer.weight.T,
        lambda layer, x: torch.einsum("oi,ni->no", layer.weight, x),
        lambda layer, x: torch.addmm(layer.bias, x, layer.weight.t()),
        lambda layer, x: torch.bmm(x[None], layer.weight.t().expand(1, 4, 3)),
        lambda layer, x: torch.baddbmm(layer.bias.expand(1, 1, 3), x[None], layer.weight.t()[None]),
        lambda layer, x: torch.cat([F.linear(x, part) for part in layer.weight.chunk(3)], 1),
        lambda layer, x: F.linear(x.double(), layer.weight.double()),
    ],
)
@pytest.mark.parametrize(("asked", "products"), [(False, 2), (True, 3)], ids=["data", "a hidden layer's output"])
def test_a_matrix_meets_every_row_in_any_call_form(
    call: Callable[[nn.Linear, Tensor], Tensor], asked: bool, products: int
) -> None:
    layer, x = nn.Linear(4, 3), torch.randn(N, 4, requires_grad=asked)
    assert _weight(layer, lambda: call(layer, x).square().sum()) == 2 * products * N


def test_a_weight_used_twice_is_counted_twice() -> None:
    model, x = nn.Linear(4, 4), torch.randn(N, 4)
    assert _weight(model, lambda: model(model(x)).sum()) == 2 * (2 + 3) * N


def test_an_embedding_costs_nothing_and_its_tied_softmax_does() -> None:
    model, tokens = nn.Embedding(10, 4), torch.arange(N)
    assert _counted(model, lambda: model(tokens).sum()).dense == 0
    assert _weight(model, lambda: F.linear(model(tokens), model.weight).sum()) == 2 * 3 * N


@pytest.mark.parametrize(
    ("layer", "shape", "uses"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), (N, 4, 8, 8), N * 16),
        (nn.Conv2d(4, 8, 3, groups=2), (N, 4, 8, 8), N * 36),
        (nn.Conv1d(4, 4, 3, groups=4), (N, 4, 10), N * 8),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (N, 4, 8, 8), N * 64),
        (nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2), (N, 4, 8, 8), N * 64),
    ],
    ids=["strided", "grouped", "depthwise", "transposed", "transposed grouped"],
)
def test_a_kernels_weight_meets_every_position_once(layer: nn.Module, shape: tuple[int, ...], uses: int) -> None:
    data, hidden = torch.randn(shape), torch.randn(shape, requires_grad=True)
    assert _weight(layer, lambda: layer(data).sum()) == 2 * 2 * uses
    assert _weight(layer, lambda: layer(hidden).sum()) == 2 * 3 * uses


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_every_step_of_a_recurrent_layer_multiplies_both_matrices(kind: type[nn.RNNBase]) -> None:
    model, x = kind(4, 5), torch.randn(7, N, 4, requires_grad=True)
    flops = _counted(model, lambda: model(x)[0].square().sum())
    assert flops.per_weight["weight_ih_l0"] == 2 * 3 * 7 * N
    # the state before the first step needs no gradient
    assert 2 * 3 * 6 * N <= flops.per_weight["weight_hh_l0"] <= 2 * 3 * 7 * N
    assert flops.dense == sum(flops.per_weight[n] * p.numel() for n, p in model.named_parameters() if p.dim() > 1)


def test_a_packed_sequence_costs_its_tokens() -> None:
    model, lengths = nn.LSTM(4, 5), torch.tensor([7, 3, 2])
    x = torch.randn(7, 3, 4)
    flops = _counted(model, lambda: model(pack_padded_sequence(x, lengths))[0].data.square().sum())
    assert flops.per_weight["weight_ih_l0"] == 2 * 2 * 12


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_recurrent_cell_is_charged(kind: type[nn.RNNCellBase]) -> None:
    model, x = kind(4, 5), torch.randn(N, 4)

    def loss() -> Tensor:
        out = model(x)
        return (out[0] if isinstance(out, tuple) else out).sum()

    assert _weight(model, loss, "weight_ih") == 2 * 2 * N


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_projections_of_attention_are_charged(batch_first: bool) -> None:
    model, x = nn.MultiheadAttention(8, 2, batch_first=batch_first), torch.randn(3, N, 8)
    flops = _counted(model, lambda: model(x, x, x, need_weights=False)[0].square().sum())
    assert flops.per_weight["in_proj_weight"] == 2 * 2 * 3 * N
    assert flops.per_weight["out_proj.weight"] == 2 * 3 * 3 * N
    assert flops.dense > sum(flops.per_weight[n] * model.get_parameter(n).numel() for n in flops.per_weight)


def test_cross_attention_charges_the_mean_of_the_three_projections() -> None:
    model, x, memory = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(1, 4, 8), torch.randn(1, 10, 8)
    flops = _counted(model, lambda: model(x, memory, memory)[0].square().sum())
    assert flops.per_weight["in_proj_weight"] == pytest.approx(2 * 2 * (4 + 10 + 10) / 3)


def test_what_checkpointing_computes_again_is_counted_again() -> None:
    model, x = nn.Linear(4, 3), torch.randn(N, 4, requires_grad=True)

    def again() -> Tensor:
        found: Tensor = checkpoint(lambda given: model(given).tanh(), x, use_reentrant=False)
        return found.sum()

    assert _weight(model, again) == 2 * 4 * N


def test_a_frozen_weight_has_no_gradient_to_pay_for() -> None:
    model, x = nn.Linear(4, 3).requires_grad_(False), torch.randn(N, 4, requires_grad=True)
    assert _weight(model, lambda: model(x).sum()) == 2 * 2 * N


def test_the_weights_of_a_normalised_layer_are_known_behind_the_normalisation() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    x = torch.randn(N, 4)
    assert _weight(model, lambda: model(x).sum(), "parametrizations.weight.original1") == 2 * 2 * N


def test_counting_changes_no_number() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(4, 3), torch.randn(N, 4)
    before = model.weight.detach().clone()
    loss = model(x).square().sum()
    gradient = torch.autograd.grad(loss, model.weight)[0]
    with count(model):
        model(x).square().sum().backward()
    assert torch.equal(model.weight, before)
    assert torch.equal(model.weight.grad, gradient)
