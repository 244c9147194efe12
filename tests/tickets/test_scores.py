"""Criteria give the values of their papers' equations, by hand on nets small enough to differentiate on paper."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.tickets.mask import Mask, TicketError
from suite.tickets.scores import CRITERIA, register
from suite.tickets.select import keep_count


@dataclass
class _Probe:
    model: nn.Module
    x: Tensor
    y: Tensor

    def loss(self) -> Tensor:
        return 0.5 * ((self.model(self.x) - self.y) ** 2).sum()

    def flow(self) -> Tensor:
        dtype = next(self.model.parameters()).dtype
        return self.model(torch.ones(self.x.shape, dtype=dtype)).sum()


def _linear(*weights: list[list[float]]) -> nn.Sequential:
    net = nn.Sequential()
    for values in weights:
        weight = torch.tensor(values)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.data = weight
        net.append(layer)
    return net


def _score(name: str, net: nn.Module, *probes: _Probe) -> dict[str, Tensor]:
    return CRITERIA[name].score(net, probes)


def _mlp_and_probes() -> tuple[nn.Sequential, list[_Probe]]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batches = [(torch.randn(5, 3).double(), torch.randn(5, 2).double()) for _ in range(2)]
    return net, [_Probe(net, x, y) for x, y in batches]


def test_magnitude_scores_a_negative_weight_by_its_size() -> None:
    """`tensor < eps` in place of `|tensor| < eps` takes every negative weight for a pruned one."""
    net = _linear([[-3.0, 2.0, -1.0]])
    assert _score("magnitude", net)["0.weight"].tolist() == [[3.0, 2.0, 1.0]]
    kept = keep_count(_score("magnitude", net), Mask.dense(net, ["0.weight"]), 1)
    assert kept["0.weight"].tolist() == [[True, False, False]]


def test_signed_magnitude_prunes_the_most_negative_first() -> None:
    net = _linear([[-3.0, 2.0, -1.0]])
    assert _score("signed-magnitude", net)["0.weight"].tolist() == [[-3.0, 2.0, -1.0]]
    kept = keep_count(_score("signed-magnitude", net), Mask.dense(net, ["0.weight"]), 2)
    assert kept["0.weight"].tolist() == [[False, True, True]]


def test_scores_of_the_weights_do_not_follow_the_weights_and_carry_no_graph() -> None:
    net = _linear([[-3.0, 2.0, -1.0]])
    for name in ("magnitude", "signed-magnitude"):
        scores = _score(name, net)["0.weight"]
        before = scores.tolist()
        with torch.no_grad():
            net[0].weight.mul_(2)
        assert scores.tolist() == before
        assert not scores.requires_grad


def test_random_scores_obey_the_seed_the_caller_set() -> None:
    net = _linear([[1.0] * 50])

    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return _score("random", net)["0.weight"]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert draw(1).unique().numel() == 50


def test_magnitude_increase_is_what_training_added_to_the_size_of_a_weight() -> None:
    net = _linear([[-3.0, 2.0, 1.0]])
    scores = CRITERIA["magnitude-increase"].score(net, (), initial={"0.weight": torch.tensor([[-1.0, -3.0, 0.5]])})
    assert scores["0.weight"].tolist() == [[2.0, -1.0, 0.5]]
    assert CRITERIA["magnitude-increase"].needs == ("initial",)
    assert CRITERIA["magnitude-increase"].steps == (0,)


def _kernel_densities(shapes: list[tuple[int, ...]], keep: int) -> list[float]:
    """Evci et al. 2020: densities proportional to (sum of sizes) / (their product), those above 1 held at 1."""
    raw = [sum(shape) / prod(shape) for shape in shapes]
    full: set[int] = set()
    while True:
        free = [i for i in range(len(shapes)) if i not in full]
        scale = (keep - sum(prod(shapes[i]) for i in full)) / sum(raw[i] * prod(shapes[i]) for i in free)
        over = {i for i in free if scale * raw[i] > 1}
        if not over:
            return [1.0 if i in full else scale * raw[i] for i in range(len(shapes))]
        full |= over


@pytest.mark.parametrize("density", [0.5, 0.1, 0.02])
def test_random_erk_gives_the_kernels_densities_with_the_cap_at_one(density: float) -> None:
    net = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 64, 3), nn.Conv2d(64, 64, 1), nn.Linear(576, 200))
    names = ["0.weight", "1.weight", "2.weight", "3.weight"]
    mask = Mask.dense(net, names)
    shapes = [tuple(mask[name].shape) for name in names]
    keep = round(density * mask.size)
    torch.manual_seed(0)
    kept = keep_count(_score("random-erk", net), mask, keep)
    expected = _kernel_densities(shapes, keep)
    assert (expected[0] == 1.0) == (density >= 0.1)  # the small first layer is kept whole
    for name, shape, share in zip(names, shapes, expected, strict=True):
        found = kept[name].double().mean().item()
        deviation = (share * (1 - share) / prod(shape)) ** 0.5
        assert found == pytest.approx(share, abs=4 * deviation + 1e-12), name


def test_random_erk_scores_are_finite_and_obey_the_seed() -> None:
    net = _linear([[1.0] * 50])
    torch.manual_seed(3)
    first = _score("random-erk", net)["0.weight"]
    torch.manual_seed(3)
    assert torch.equal(first, _score("random-erk", net)["0.weight"])
    assert bool(torch.isfinite(first).all())
    assert first.min() >= 51 / 50  # the kernel's own value, where u = 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"needs": ("initials",)}, "needs 'initials': one of initial, rewound, snapshots"),
        ({"needs": ("snapshots",)}, "go together"),
        ({"snapshot_steps": (3,)}, "go together"),
    ],
)
def test_a_need_that_cannot_be_met_is_refused_when_the_criterion_is_registered(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(TicketError, match=words):
        register("needy", **options)(CRITERIA["magnitude"].score)
    assert "needy" not in CRITERIA


def test_snip_is_weight_times_gradient_averaged_over_probes_then_made_positive() -> None:
    """One linear unit, L = (w.x - y)^2 / 2: dL/dw = (w.x - y) x."""
    net = _linear([[1.0, -2.0]])
    first = _Probe(net, torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]]))  # w.x - y = -3: gradient (-3, -6)
    second = _Probe(net, torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0]]))  # w.x - y = 1: gradient (2, 0)
    assert _score("snip", net, first)["0.weight"].tolist() == [[3.0, 12.0]]
    assert _score("snip", net, first, second)["0.weight"].tolist() == [[0.5, 6.0]]


def test_grasp_is_weight_times_hessian_times_gradient() -> None:
    """The same unit: H = x x^T, so H g = (w.x - y) (x.x) x = -3 * 5 * (1, 2)."""
    net = _linear([[1.0, -2.0]])
    probe = _Probe(net, torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]]))
    assert _score("grasp", net, probe)["0.weight"].tolist() == [[-15.0, 60.0]]


def test_grasp_equals_an_explicit_hessian_of_the_mean_loss_over_all_parameters() -> None:
    net, probes = _mlp_and_probes()
    names = [name for name, _ in net.named_parameters()]
    shapes = [parameter.shape for parameter in net.parameters()]
    start = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])

    def mean_loss(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        values = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        outputs = [torch.func.functional_call(net, values, (probe.x,)) for probe in probes]
        losses = [0.5 * ((out - probe.y) ** 2).sum() for out, probe in zip(outputs, probes, strict=True)]
        return torch.stack(losses).mean()

    gradient = torch.func.grad(mean_loss)(start)
    expected = start * (torch.func.hessian(mean_loss)(start) @ gradient)
    found = torch.cat([_score("grasp", net, *probes)[name].flatten() for name in names])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_grasp_keeps_the_weight_whose_removal_would_lower_the_gradient_norm() -> None:
    net = _linear([[1.0, -2.0]])
    probe = _Probe(net, torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]]))
    kept = keep_count(_score("grasp", net, probe), Mask.dense(net, ["0.weight"]), 1)
    assert kept["0.weight"].tolist() == [[False, True]]


def test_synflow_is_the_weight_of_all_paths_through_a_connection() -> None:
    """Two layers: w1[j, i] scores |w1[j, i]| * sum_k |w2[k, j]|, w2[k, j] scores |w2[k, j]| * sum_i |w1[j, i]|."""
    net = _linear([[1.0, -2.0], [3.0, 4.0]], [[-5.0, 6.0]])
    scores = _score("synflow", net, _Probe(net, torch.zeros(1, 2), torch.zeros(1, 1)))
    assert scores["0.weight"].tolist() == [[5.0, 10.0], [18.0, 24.0]]
    assert scores["1.weight"].tolist() == [[15.0, 42.0]]


def test_synflow_neither_overflows_nor_vanishes_in_a_deep_net() -> None:
    for value in (1e-3, 1e3):
        net = _linear(*[[[value]]] * 40)
        scores = _score("synflow", net, _Probe(net, torch.zeros(1, 1), torch.zeros(1, 1)))
        assert scores["0.weight"].item() == pytest.approx(value**40, rel=1e-5)


def _count(net: nn.Module) -> None:
    net.get_buffer("scale").add_(1)


def _raise_after(model: nn.Module) -> Tensor:
    model(torch.ones(2, 3).double())  # in training mode: batch norm counts a batch
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("flow", [lambda model: model(torch.ones(2, 3).double()).sum(), _raise_after])
def test_synflow_leaves_parameters_and_buffers_bitwise_unchanged_even_when_the_flow_raises(
    flow: Callable[[nn.Module], Tensor],
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net.register_buffer("scale", torch.randn(2, dtype=torch.float64))
    net[1].register_forward_hook(lambda *_: _count(net))
    probe = _Probe(net, torch.zeros(2, 3), torch.zeros(2, 2))
    probe.flow = lambda: flow(net)  # type: ignore[method-assign]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    objects = [id(parameter) for parameter in net.parameters()]
    try:
        _score("synflow", net, probe)
    except RuntimeError as error:
        assert str(error) == "out of memory"  # noqa: PT017 (half of the cases raise)
    after = net.state_dict()
    assert all(after[name].dtype == before[name].dtype for name in before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [id(parameter) for parameter in net.parameters()] == objects
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_criteria_on_probes_leave_no_gradient_and_no_graph_behind(name: str) -> None:
    net, probes = _mlp_and_probes()
    scores = _score(name, net, *probes)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(score.requires_grad for score in scores.values())
    assert CRITERIA[name].needs_probes


@pytest.mark.parametrize("name", ["magnitude", "signed-magnitude", "random"])
def test_criteria_on_weights_need_no_probes(name: str) -> None:
    net, _ = _mlp_and_probes()
    assert not CRITERIA[name].needs_probes
    assert list(_score(name, net)) == [parameter for parameter, _ in net.named_parameters()]


def test_a_criterion_may_not_take_the_name_of_another_one_even_if_its_function_has_that_name() -> None:
    def magnitude(model: nn.Module, probes: object) -> dict[str, Tensor]:
        return {}

    magnitude.__qualname__ = "magnitude"
    before = CRITERIA["magnitude"]
    with pytest.raises(TicketError, match="'magnitude' is registered already"):
        register("magnitude")(magnitude)
    assert CRITERIA["magnitude"] is before


def test_a_registered_criterion_is_found_by_its_name_and_may_be_registered_again_by_its_own_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(CRITERIA, "constant", raising=False)

    @register("constant", needs_probes=True)
    def constant(model: nn.Module, probes: object) -> dict[str, Tensor]:
        return {name: torch.ones_like(parameter) for name, parameter in model.named_parameters()}

    register("constant", needs_probes=True)(constant)
    assert CRITERIA["constant"].score is constant
    assert CRITERIA["constant"].needs_probes


def _frozen_net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    net[2].requires_grad_(False)
    return net


class _Square:
    def __init__(self, net: nn.Module, inputs: Tensor) -> None:
        self._net, self._inputs = net, inputs

    def loss(self) -> Tensor:
        return self._net(self._inputs).abs().square().mean()

    def flow(self) -> Tensor:
        return self._net(
            self._inputs.new_ones(1, self._inputs.shape[1], dtype=next(self._net.parameters()).dtype)
        ).sum()


@pytest.mark.parametrize("criterion", ["snip", "synflow"])
def test_frozen_weights_are_scored_as_trained_ones_and_stay_frozen(criterion: str) -> None:
    net = _frozen_net()
    probes = [_Square(net, torch.randn(5, 4))]
    found = CRITERIA[criterion].score(net, probes)
    assert [p.requires_grad for p in net[2].parameters()] == [False, False]
    net[2].requires_grad_(True)
    expected = CRITERIA[criterion].score(net, probes)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert found["2.weight"].any()


def test_grasp_takes_the_gradient_norm_of_the_trained_weights_alone() -> None:
    net = _frozen_net()
    x = torch.randn(5, 4)
    found = CRITERIA["grasp"].score(net, [_Square(net, x)])
    net[2].requires_grad_(True)
    trained = [p for name, p in net.named_parameters() if not name.startswith("2.")]
    gradients = torch.autograd.grad(net(x).square().mean(), trained, create_graph=True)
    half = 0.5 * torch.stack([g.square().sum() for g in gradients]).sum()
    for name, weight in net.named_parameters():
        expected = weight.detach() * torch.autograd.grad(half, weight, retain_graph=True)[0]
        torch.testing.assert_close(found[name], expected)


@pytest.mark.parametrize("criterion", ["snip", "grasp"])
def test_sparse_embeddings_have_the_scores_of_dense_ones(criterion: str) -> None:
    torch.manual_seed(0)
    sparse = nn.Embedding(10, 4, sparse=True)
    dense = nn.Embedding.from_pretrained(sparse.weight.detach().clone(), freeze=False)

    class Tokens:
        def __init__(self, net: nn.Embedding) -> None:
            self._net = net

        def loss(self) -> Tensor:
            return self._net(torch.tensor([1, 1, 4])).tanh().square().sum()

        flow = loss

    found, expected = (CRITERIA[criterion].score(net, [Tokens(net)])["weight"] for net in (sparse, dense))
    assert sparse.sparse
    assert not found.is_sparse
    torch.testing.assert_close(found, expected)


class _Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 3, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.w.dtype) @ self.w


def test_complex_weights_are_scored_as_pairs_of_numbers() -> None:
    torch.manual_seed(0)
    net, x = _Complex(), torch.randn(5, 4)
    found = CRITERIA["snip"].score(net, [_Square(net, x)])["w"]
    pair = torch.view_as_real(net.w.detach()).clone().requires_grad_()
    loss = (x.to(torch.complex64) @ torch.view_as_complex(pair)).abs().square().mean()
    expected = (pair * torch.autograd.grad(loss, pair)[0]).sum(-1).abs()
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("criterion", ["synflow", "signed-magnitude"])
def test_a_criterion_without_a_meaning_for_complex_weights_names_them(criterion: str) -> None:
    net = _Complex()
    with pytest.raises(TicketError, match=f"criterion '{criterion}' cannot score 'w': its weights are complex"):
        CRITERIA[criterion].score(net, [_Square(net, torch.randn(5, 4))])
