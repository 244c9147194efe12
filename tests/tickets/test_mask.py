"""A mask counts exactly, keeps its order, and prunes only what it names."""

import pytest
import torch
from torch import nn

from suite.tickets.mask import Mask, TicketError


def _bool(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))


def test_density_is_survivors_over_prunable_weights() -> None:
    mask = Mask({"0.weight": _bool([1, 0, 1], [0, 0, 1]), "2.weight": _bool([1, 1])})
    assert (mask.remaining, mask.size, mask.density) == (5, 8, 5 / 8)


def test_total_density_counts_the_parameters_that_are_never_pruned() -> None:
    net = _net()
    mask = Mask({"0.weight": _bool([1, 0, 1], [0, 0, 1])})
    everything = 6 + 2 + 2 + 2 + 2 + 1
    assert mask.total_density(net) == (everything - 3) / everything


def test_dense_mask_keeps_every_weight_of_the_named_parameters_in_the_order_given() -> None:
    mask = Mask.dense(_net(), ["2.weight", "0.weight"])
    assert list(mask) == ["2.weight", "0.weight"]
    assert mask.density == 1.0
    assert mask["0.weight"].shape == (2, 3)


def test_dense_mask_of_an_unknown_parameter_names_it_and_the_ones_there_are() -> None:
    with pytest.raises(TicketError, match=r"'0\.wieght' is no parameter of the model; it has 0\.weight, 0\.bias"):
        Mask.dense(_net(), ["0.wieght"])


def test_apply_sets_pruned_weights_to_exactly_zero_and_leaves_the_rest_bit_for_bit() -> None:
    net = _net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    kept = _bool([1, 0, 1], [0, 0, 1])
    Mask({"0.weight": kept}).apply(net)
    after = net.state_dict()
    assert torch.equal(after["0.weight"], before["0.weight"].where(kept, torch.zeros(())))
    assert all(torch.equal(after[name], before[name]) for name in before if name != "0.weight")


def test_apply_removes_a_weight_that_is_nan() -> None:
    net = _net()
    with torch.no_grad():
        net[0].weight[0, 1] = float("nan")
    Mask({"0.weight": _bool([1, 0, 1], [1, 1, 1])}).apply(net)
    assert net[0].weight[0, 1].item() == 0.0


def test_batch_norm_weights_are_not_pruned_unless_they_are_named() -> None:
    """Matching on `weight` in the name prunes BN; here the prunable set is a declared list, so BN keeps its ones."""
    net = _net()
    dense = Mask.dense(net, ["0.weight", "2.weight"])
    Mask({name: torch.zeros_like(tensor) for name, tensor in dense.items()}).apply(net)
    assert torch.equal(net[1].weight, torch.ones(2))
    assert not net[0].weight.any()


@pytest.mark.parametrize(
    ("name", "shape", "found"), [("0.weight", (3, 2), r"\(2, 3\)"), ("9.weight", (2, 3), "no such parameter")]
)
def test_apply_refuses_another_model(name: str, shape: tuple[int, int], found: str) -> None:
    with pytest.raises(TicketError, match=found):
        Mask({name: torch.ones(shape, dtype=torch.bool)}).apply(_net())


def test_a_mask_is_neither_empty_nor_of_numbers() -> None:
    with pytest.raises(TicketError, match="at least one tensor"):
        Mask({})
    with pytest.raises(TicketError, match=r"'w' has dtype torch\.float32, bool is needed"):
        Mask({"w": torch.ones(2)})


def test_a_mask_does_not_follow_later_changes_of_the_tensor_it_was_made_of() -> None:
    tensor = torch.ones(3, dtype=torch.bool)
    mask = Mask({"w": tensor})
    tensor.zero_()
    assert mask.remaining == 3


def test_intersect_keeps_what_survives_in_both() -> None:
    both = Mask({"w": _bool([1, 1, 0, 0])}).intersect(Mask({"w": _bool([1, 0, 1, 0])}))
    assert both == Mask({"w": _bool([1, 0, 0, 0])})


def test_intersect_refuses_masks_of_different_models() -> None:
    with pytest.raises(TicketError, match="different models"):
        Mask({"w": _bool([1, 1])}).intersect(Mask({"w": _bool([1, 1, 1])}))


def test_equality_and_digest_see_bits_shapes_names_and_order() -> None:
    mask = Mask({"a": _bool([1, 0]), "b": _bool([1, 1])})
    same = Mask({"a": _bool([1, 0]), "b": _bool([1, 1])})
    others = [
        Mask({"a": _bool([0, 1]), "b": _bool([1, 1])}),
        Mask({"a": _bool([1], [0]), "b": _bool([1, 1])}),
        Mask({"a": _bool([1, 0]), "c": _bool([1, 1])}),
        Mask({"b": _bool([1, 1]), "a": _bool([1, 0])}),
    ]
    assert mask == same
    assert mask.digest == same.digest
    assert hash(mask) == hash(same)
    assert all(mask != other for other in others)
    assert len({mask.digest, *(other.digest for other in others)}) == 5
    assert mask != "mask"
