"""Arms permute what they say they permute, obey their seed and keep the count."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from suite.experiment.streams import Streams
from suite.tickets.arms import ARMS, Arm, drawn, keep, register
from suite.tickets.mask import Mask, TicketError

PERMUTED = ["shuffled_layerwise", "random", "shuffled_mask"]


def _mask() -> Mask:
    """A dense small tensor first, a sparse large one second: 20 + 30 of 620."""
    sparse = torch.zeros(20, 30, dtype=torch.bool)
    sparse[0] = True
    return Mask({"small": torch.ones(20, dtype=torch.bool), "large": sparse})


def _counts(mask: Mask) -> list[int]:
    return [int(tensor.sum()) for tensor in mask.values()]


def test_the_five_arms_and_their_weights() -> None:
    weights = {name: ARMS[name].weights for name in ["winning", "reinit", *PERMUTED]}
    assert weights == {
        "winning": "rewound",
        "reinit": "fresh",
        "shuffled_layerwise": "fresh",
        "random": "fresh",
        "shuffled_mask": "rewound",
    }


@pytest.mark.parametrize("arm", ["winning", "reinit"])
def test_arms_that_keep_the_mask_keep_every_bit(arm: str) -> None:
    assert ARMS[arm].mask(_mask(), seed=1) == _mask()


@pytest.mark.parametrize("arm", PERMUTED)
def test_a_shuffle_is_no_no_op(arm: str) -> None:
    shuffled = ARMS[arm].mask(_mask(), seed=1)
    common = shuffled.intersect(_mask())
    assert not torch.equal(shuffled["large"], _mask()["large"])
    assert int(common["large"].sum()) < 15  # of 30; chance leaves one or two where they were


@pytest.mark.parametrize("arm", PERMUTED)
def test_a_shuffle_leaves_the_ticket_it_was_made_of_as_it_was(arm: str) -> None:
    mask = _mask()
    ARMS[arm].mask(mask, seed=1)
    assert mask == _mask()


@settings(max_examples=30)
@given(st.integers(0, 2**63 - 1), st.sampled_from(PERMUTED), st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_shuffle_keeps_names_shapes_and_the_exact_count(seed: int, arm: str, bits: list[bool]) -> None:
    mask = Mask({"b": torch.tensor(bits[:4]).view(2, 2), "a": torch.tensor(bits[4:]).view(2, 1, 4)})
    shuffled = ARMS[arm].mask(mask, seed)
    assert [(name, tensor.shape) for name, tensor in shuffled.items()] == [(n, t.shape) for n, t in mask.items()]
    assert shuffled.remaining == mask.remaining


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_layerwise_keeps_the_count_of_every_layer(seed: int) -> None:
    assert _counts(ARMS["shuffled_layerwise"].mask(_mask(), seed)) == [20, 30]


@pytest.mark.parametrize("arm", ["random", "shuffled_mask"])
@pytest.mark.parametrize("seed", range(5))
def test_global_shuffles_move_survivors_between_layers(arm: str, seed: int) -> None:
    small, large = _counts(ARMS[arm].mask(_mask(), seed))
    assert small + large == 50
    assert small < 10  # 1.6 expected: density becomes that of the whole


@pytest.mark.parametrize("arm", PERMUTED)
def test_the_seed_decides_the_shuffle_and_nothing_else_does(arm: str) -> None:
    first = ARMS[arm].mask(_mask(), seed=7)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert ARMS[arm].mask(_mask(), seed=7) == first
    assert ARMS[arm].mask(_mask(), seed=8) != first
    assert torch.equal(torch.get_rng_state(), before)


def test_reinitialisation_obeys_its_seed() -> None:
    """One draw per replicate: neither the ticket's own weights nor another replicate's, the same when drawn again."""

    def draw(streams: Streams) -> torch.Tensor:
        torch.manual_seed(streams.seed("init"))
        return nn.Linear(8, 8).weight.detach()

    first, second = Streams("task", 0), Streams("task", 1)
    assert torch.equal(draw(first.fresh()), draw(Streams("task", 0).fresh()))
    draws = [draw(streams) for streams in (first, first.fresh(), second, second.fresh())]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])
    assert first.fresh().seed("data") == first.seed("data")


def test_layers_of_one_shape_are_permuted_apart() -> None:
    half = torch.arange(40) < 20
    shuffled = ARMS["shuffled_layerwise"].mask(Mask({"a": half, "b": half}), seed=0)
    assert not torch.equal(shuffled["a"], shuffled["b"])


@pytest.mark.parametrize("arm", PERMUTED)
def test_batch_norm_weights_are_never_permuted_because_prunable_names_are_declared(arm: str) -> None:
    net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    prunable = Mask.dense(net, ["0.weight", "2.weight"])
    half = Mask({name: torch.arange(tensor.numel()).view(tensor.shape) % 2 == 0 for name, tensor in prunable.items()})
    shuffled = ARMS[arm].mask(half, seed=0)
    shuffled.apply(net)
    assert list(shuffled) == ["0.weight", "2.weight"]
    assert torch.equal(net[1].weight, torch.ones(8))
    assert torch.equal(net[1].running_var, torch.ones(8))


def test_an_arm_may_not_take_the_name_of_another_one() -> None:
    with pytest.raises(TicketError, match="'winning' is registered already"):
        register(Arm("winning", "fresh", keep, "not this"))
    assert ARMS["winning"].weights == "rewound"


def test_a_registered_arm_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.tickets.arms.ARMS", dict(ARMS))
    arm = replace(ARMS["winning"], name="mine", change=lambda mask, _: Mask({n: ~t for n, t in mask.items()}))
    from suite.tickets import arms

    assert register(arm) is arm
    assert arms.ARMS["mine"].mask(_mask(), 0).remaining == 570


def test_a_drawn_mask_keeps_the_count_over_all_tensors_and_follows_its_seed() -> None:
    dense = Mask({"a": torch.ones(30, 10, dtype=torch.bool), "b": torch.ones(100, dtype=torch.bool)})
    found = drawn(dense, 100, 7)
    assert found.remaining == 100
    assert {name: kept.shape for name, kept in found.items()} == {name: kept.shape for name, kept in dense.items()}
    assert 50 < int(found["a"].sum()) < 95  # 75 of 100 are expected, with a standard deviation of 4
    assert drawn(dense, 100, 7) == found
    assert drawn(dense, 100, 8) != found
