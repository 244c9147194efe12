"""Selection keeps exactly as many weights as asked for, whatever the scores are."""

import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from suite.tickets.mask import Mask, TicketError
from suite.tickets.select import Scope, keep_count, kept_after, prune, survivors, unordered

SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=4)
RATES = st.integers(0, 100).map(lambda percent: percent / 100)


@st.composite
def scored_masks(draw: st.DrawFn) -> tuple[dict[str, Tensor], Mask]:
    """Scores of few different values, so that ties are the rule, and a mask that is already pruned here and there."""
    sizes = draw(SHAPES)
    scores, masks = {}, {}
    for index, size in enumerate(sizes):
        values = draw(st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.5, 2.0]), min_size=size, max_size=size))
        bits = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        # Two scores that differ in every tensor: those that are all equal are refused.
        scores[f"w{index}"] = torch.tensor([-3.0, *values, 3.0])
        masks[f"w{index}"] = torch.tensor([True, *bits, True])
    return scores, Mask(masks)


def _dense(**scores: Tensor) -> Mask:
    return Mask({name: torch.ones(score.shape, dtype=torch.bool) for name, score in scores.items()})


def _flat(tensors: dict[str, Tensor] | Mask) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in tensors])


@given(st.integers(0, 10**9), RATES)
def test_survivors_are_rounded_half_up_in_exact_arithmetic(remaining: int, rate: float) -> None:
    exact = (1 - Decimal(str(rate))) * remaining
    assert survivors(remaining, rate) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("remaining", "rate", "kept"),
    [(266_200, 0.2, 212_960), (7, 0.2, 6), (5, 0.5, 3), (45, 0.9, 5), (10**15 + 5, 0.9, 10**14 + 1), (0, 0.2, 0)],
)
def test_survivors_at_the_places_where_float_arithmetic_goes_wrong(remaining: int, rate: float, kept: int) -> None:
    assert survivors(remaining, rate) == kept


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan, math.inf])
def test_a_rate_outside_0_to_1_is_refused(rate: float) -> None:
    with pytest.raises(TicketError, match=f"rate = {rate}: a fraction from 0 to 1 is needed"):
        survivors(10, rate)


@given(scored_masks(), RATES)
def test_global_pruning_keeps_exactly_the_count_even_when_magnitudes_tie(
    case: tuple[dict[str, Tensor], Mask], rate: float
) -> None:
    scores, mask = case
    assert prune(scores, mask, rate).remaining == survivors(mask.remaining, rate)


@given(scored_masks(), RATES)
def test_layerwise_pruning_keeps_exactly_the_count_of_every_tensor(
    case: tuple[dict[str, Tensor], Mask], rate: float
) -> None:
    scores, mask = case
    pruned = prune(scores, mask, rate, "layerwise")
    assert {n: int(t.sum()) for n, t in pruned.items()} == {n: survivors(int(t.sum()), rate) for n, t in mask.items()}


@given(scored_masks(), RATES, st.sampled_from(["global", "layerwise"]))
def test_a_pruned_weight_never_comes_back_and_the_mask_keeps_its_names_and_shapes(
    case: tuple[dict[str, Tensor], Mask], rate: float, scope: str
) -> None:
    scores, mask = case
    pruned = prune(scores, mask, rate, scope)  # type: ignore[arg-type]
    assert pruned.intersect(mask) == pruned


@given(scored_masks(), RATES)
def test_global_survivors_are_the_highest_scores_and_of_equal_ones_the_earlier_positions(
    case: tuple[dict[str, Tensor], Mask], rate: float
) -> None:
    scores, mask = case
    values, alive = _flat(scores).tolist(), _flat(mask).tolist()
    ranked = sorted((-value, position) for position, value in enumerate(values) if alive[position])
    best = {position for _, position in ranked[: survivors(mask.remaining, rate)]}
    assert set(_flat(prune(scores, mask, rate)).nonzero().flatten().tolist()) == best


@given(scored_masks(), st.sampled_from(["global", "layerwise"]))
def test_rate_0_keeps_everything_and_rate_1_nothing(case: tuple[dict[str, Tensor], Mask], scope: str) -> None:
    scores, mask = case
    assert prune(scores, mask, 0.0, scope) == mask  # type: ignore[arg-type]
    assert prune(scores, mask, 1.0, scope).remaining == 0  # type: ignore[arg-type]


@settings(max_examples=50)
@given(scored_masks(), RATES, st.sampled_from([0.1, 0.25, 0.5]))
def test_no_tensor_falls_below_the_floor_and_the_overall_count_stays_exact(
    case: tuple[dict[str, Tensor], Mask], rate: float, floor: float
) -> None:
    scores, mask = case
    least = {n: min(int(t.sum()), math.ceil(floor * t.numel())) for n, t in mask.items()}
    keep = survivors(mask.remaining, rate)
    if sum(least.values()) > keep:
        with pytest.raises(TicketError, match=f"floor = {floor} keeps {sum(least.values())} weights, more than"):
            prune(scores, mask, rate, "global", floor)
        return
    pruned = prune(scores, mask, rate, "global", floor)
    assert pruned.remaining == keep
    assert all(int(tensor.sum()) >= least[name] for name, tensor in pruned.items())


def test_pruning_twenty_percent_of_equal_weights_but_one_removes_the_last_twenty() -> None:
    """A threshold `score > t` removes all of them but one, `score >= t` none, a rounded-up count one too many."""
    scores = {"w": torch.tensor([1.0] + [0.5] * 99)}
    pruned = prune(scores, _dense(**scores), 0.2)["w"]
    assert pruned.tolist() == [True] * 80 + [False] * 20


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_scores_that_are_all_equal_are_refused_with_the_names_of_their_tensors(scope: str, value: float) -> None:
    """As of SNIP and SynFlow where the output layer starts at zero: what is kept would hang on position alone."""
    scores = {name: torch.full((4,), value) for name in "abcde"}
    with pytest.raises(TicketError, match=rf"scores of 'a', 'b', 'c' and 2 more are all equal \({value:.3g}\): posi"):
        prune(scores, _dense(**scores), 0.5, scope)  # type: ignore[arg-type]
    assert prune(scores, _dense(**scores), 0.0, scope).remaining == 20  # type: ignore[arg-type]


def test_tensors_of_different_but_equal_scores_are_ordered_globally_and_not_layerwise() -> None:
    scores = {"a": torch.ones(4), "b": torch.zeros(4)}
    pruned = prune(scores, _dense(**scores), 0.5)
    assert [int(kept.sum()) for kept in pruned.values()] == [4, 0]
    with pytest.raises(TicketError, match=r"scores of 'a', 'b' are all equal \(1\)"):
        prune(scores, _dense(**scores), 0.5, "layerwise")


@pytest.mark.parametrize(("sign", "rate"), [(1, 0.5), (-1, 0.1)])
def test_infinite_scores_are_refused_where_the_cut_falls_among_them_and_only_there(sign: int, rate: float) -> None:
    """As of SynFlow in a network so deep that its scores overflow."""
    scores = {"w": torch.tensor([sign * math.inf] * 8 + [1.0, 2.0]), "v": torch.tensor([3.0, 4.0])}
    for scope in ("global", "layerwise"):
        with pytest.raises(TicketError, match="are infinite where the cut falls"):
            prune(scores, _dense(**scores), rate, scope)  # type: ignore[arg-type]
    between = keep_count(scores, _dense(**scores), 8 if sign == 1 else 4)
    assert between["w"].tolist() == [sign == 1] * 8 + [sign == -1] * 2


def test_a_tensor_whose_own_scores_are_equal_is_named_when_it_loses_weights() -> None:
    """GraSP of an output layer that starts at zero: the layer loses everything, whatever its weights are."""
    scores = {"hidden": torch.tensor([1.0, 2.0, 3.0, 4.0]), "head": torch.zeros(4), "one": torch.zeros(1)}
    before = _dense(**scores)
    after = prune(scores, before, 0.6)
    assert unordered(scores, before, after) == {"head": "all 4 scores are equal (0), 0 of them were kept"}
    assert unordered(scores, before, prune(scores, before, 0.0)) == {}


def test_many_scores_that_are_equal_to_the_lowest_one_kept_are_named() -> None:
    """As of dead units: the later tensors lose their zeros first."""
    scores = {"a": torch.tensor([0.0] * 50 + [1.0] * 50), "b": torch.tensor([0.0] * 60 + [1.0] * 40)}
    before = _dense(**scores)
    named = unordered(scores, before, keep_count(scores, before, 120))
    assert named == {
        "a": "50 scores are equal to the lowest one kept (0), 30 of them were kept",
        "b": "60 scores are equal to the lowest one kept (0), 0 of them were kept",
    }
    few = {"a": torch.arange(1000.0)}
    few["a"][:3] = 0.0
    assert unordered(few, _dense(**few), keep_count(few, _dense(**few), 998)) == {}  # chance, no kind of tie


def test_iterated_pruning_reaches_the_counts_of_the_ladder() -> None:
    scores = {"w": torch.rand(266_200, generator=torch.Generator().manual_seed(0))}
    mask, counts = _dense(**scores), []
    for _ in range(4):
        mask = prune(scores, mask, 0.2)
        counts.append(mask.remaining)
    assert counts == [212_960, 170_368, 136_294, 109_035]


def test_global_scope_takes_from_the_layer_of_low_scores_and_layerwise_from_each() -> None:
    scores = {"low": torch.tensor([0.1, 0.2, 0.3, 0.4]), "high": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    everywhere, each = prune(scores, _dense(**scores), 0.5), prune(scores, _dense(**scores), 0.5, "layerwise")
    assert [tensor.tolist() for tensor in everywhere.values()] == [[False] * 4, [True] * 4]
    assert [tensor.tolist() for tensor in each.values()] == [[False, False, True, True]] * 2


def test_a_floor_makes_global_pruning_take_more_elsewhere() -> None:
    scores = {"low": torch.tensor([0.1, 0.2, 0.3, 0.4]), "high": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    pruned = prune(scores, _dense(**scores), 0.5, floor=0.25)
    assert [t.tolist() for t in pruned.values()] == [[False, False, False, True], [False, True, True, True]]


def test_a_floor_holds_layerwise_too() -> None:
    scores = {"w": torch.arange(8.0)}
    assert prune(scores, _dense(**scores), 0.9, "layerwise", floor=0.5).remaining == 4


@pytest.mark.parametrize("floor", [-0.1, 1.1])
def test_a_floor_outside_0_to_1_is_refused(floor: float) -> None:
    scores = {"w": torch.arange(8.0)}
    with pytest.raises(TicketError, match=f"floor = {floor}: a fraction from 0 to 1 is needed"):
        prune(scores, _dense(**scores), 0.5, floor=floor)


def test_a_nan_score_of_a_surviving_weight_is_refused_and_of_a_pruned_one_ignored() -> None:
    scores = {"w": torch.tensor([1.0, math.nan, 2.0])}
    with pytest.raises(TicketError, match="scores of 'w' are NaN: the weights are not finite, or the criterion"):
        prune(scores, _dense(**scores), 0.2)
    alive = Mask({"w": torch.tensor([True, False, True])})
    assert prune(scores, alive, 0.5)["w"].tolist() == [False, False, True]


def test_scores_that_are_missing_or_of_another_shape_are_refused() -> None:
    mask = _dense(w=torch.ones(2, 3))
    with pytest.raises(TicketError, match="gave no score for 'w'"):
        prune({"v": torch.ones(2, 3)}, mask, 0.2)
    with pytest.raises(TicketError, match=r"scores of 'w' have shape \(3, 2\), the mask has \(2, 3\)"):
        prune({"w": torch.ones(3, 2)}, mask, 0.2)


def test_asking_for_more_than_remains_is_refused() -> None:
    scores = {"w": torch.ones(3)}
    for keep in (4, -1):
        with pytest.raises(TicketError, match=f"cannot keep {keep} of 3"):
            keep_count(scores, _dense(**scores), keep)


def test_scores_of_mixed_precision_are_compared_as_numbers() -> None:
    scores = {"half": torch.tensor([1.0, 3.0]).bfloat16(), "double": torch.tensor([2.0, 4.0]).double()}
    pruned = keep_count(scores, _dense(**scores), 2)
    assert [tensor.tolist() for tensor in pruned.values()] == [[False, True], [False, True]]


@pytest.mark.parametrize(("scope", "floor"), [("global", 0.0), ("global", 0.1), ("layerwise", 0.0), ("layerwise", 0.2)])
def test_the_count_after_some_prunings_is_known_from_sizes_alone(scope: Scope, floor: float) -> None:
    generator = torch.Generator().manual_seed(1)
    scores = {name: torch.rand(size, generator=generator) for name, size in (("a", 7), ("b", 53), ("c", 11))}
    mask = _dense(**scores)
    for prunings in range(1, 6):
        mask = prune(scores, mask, 0.3, scope, floor)
        assert kept_after([7, 53, 11], prunings, 0.3, scope, floor) == mask.remaining
