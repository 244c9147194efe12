"""Ranks: one plus the number of entries that are significantly better, tested pair by pair."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as oracle
from synthetic_entries import METRIC, fading, measured

from suite.leaderboard.ranking import Rank, area_of, differ, in_pairs, ranks
from suite.leaderboard.reference import Reference, first_reference
from suite.leaderboard.schema import Measured
from suite.leaderboard.standing import Group, groups, standing
from suite.results.area import heights

Value = Callable[[str, int, int], float]


def worse(by: float, noise: float = 0.001) -> Value:
    """Like `fading`, each level of the winning ticket worse by `by`, with noise of its own."""

    def value(arm: str, level: int, r: int) -> float:
        own = random.Random(f"{by} {level} {r}").gauss(0, noise)
        return fading(arm, level, r) - (by + own if arm == "winning" else 0)

    return value


def group_of(*entries: Measured) -> Group:
    """The one group of entries of one task."""
    (group,) = groups(map(standing, entries), {})
    return group


def reference(*entries: Measured) -> Reference:
    """The reference that entries give."""
    found = first_reference(entries)
    assert found is not None
    return found


BEST, BEHIND, LAST = (
    measured(worse(by), name, replicates=5) for by, name in ((0.0, "best"), (0.05, "behind"), (0.1, "last"))
)
NOISY = measured(
    lambda arm, level, r: (0.99, 0.95)[r] if arm == "winning" else fading(arm, level, r), "noisy", replicates=2
)


def test_a_rank_is_one_plus_the_number_that_are_significantly_better() -> None:
    found = group_of(LAST, BEST, BEHIND)
    assert found.ranks == {
        "best": Rank(1),
        "behind": Rank(2, ("best",)),
        "last": Rank(3, ("best", "behind")),
    }
    assert [s.entry.id for s in found.standings] == ["best", "behind", "last"]


def test_entries_that_nobody_can_tell_apart_share_a_rank() -> None:
    twin = measured(worse(0.0, noise=0.01), "twin", replicates=5)
    found = group_of(BEST, twin, BEHIND)
    assert {name: rank.place for name, rank in found.ranks.items()} == {"best": 1, "twin": 1, "behind": 3}


def test_a_noisy_entry_of_two_replicates_that_is_ahead_on_average_changes_nothing_of_another() -> None:
    before, after = group_of(BEST, BEHIND, LAST), group_of(NOISY, BEST, BEHIND, LAST)
    assert after.areas["noisy"].estimate.mean > before.areas["best"].estimate.mean  # type: ignore[operator]
    assert {name: after.ranks[name] for name in before.ranks} == before.ranks
    assert {name: after.areas[name] for name in before.areas} == before.areas
    assert after.ranks["noisy"] == Rank(None, unranked="2 replicates: a rank takes 5")


def test_a_noisy_entry_of_five_replicates_that_beats_nobody_changes_nobodys_rank() -> None:
    wild = measured(worse(-0.03, noise=0.3), "wild", replicates=5)
    before, after = group_of(BEST, BEHIND, LAST), group_of(wild, BEST, BEHIND, LAST)
    assert after.ranks["wild"].place == 1
    assert {name: after.ranks[name] for name in before.ranks} == before.ranks


def test_replicates_are_paired_where_the_dense_runs_agree_bit_for_bit() -> None:
    a, b = standing(BEST).contender, standing(BEHIND).contender
    own = heights(a.points), heights(b.points)
    assert in_pairs(a, b) == (0, 1, 2, 3, 4)
    assert differ(a, b, *own).p == pytest.approx(oracle.ttest_rel(*own).pvalue)
    elsewhere = standing(measured(worse(0.05), "behind", replicates=5, machine="another")).contender
    assert in_pairs(a, elsewhere) == ()
    assert differ(a, elsewhere, *own).p == pytest.approx(oracle.ttest_ind(*own, equal_var=False).pvalue)


def test_an_entry_of_more_replicates_is_paired_on_those_that_both_have() -> None:
    many = standing(measured(worse(0.05), "many", replicates=8)).contender
    few = standing(BEST).contender
    assert in_pairs(many, few) == in_pairs(few, many) == (0, 1, 2, 3, 4)
    own, theirs = heights(few.points), heights(many.points)
    assert differ(few, many, own, theirs).p == pytest.approx(oracle.ttest_rel(own, theirs[:5]).pvalue)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"replicates": 4}, "4 replicates: a rank takes 5"),
        ({"arms": ("winning", "random")}, "no control arm reinit"),
        ({"arms": ("winning",)}, "no control arm reinit and random"),
        ({"arms": ("reinit", "random")}, "no arm winning"),
        ({"levels": 3}, "not tested at every density of the board's first entry"),
    ],
)
def test_an_entry_that_cannot_be_ranked_says_why_and_beats_nobody(changed: dict[str, object], reason: str) -> None:
    odd = measured(worse(-0.04), "odd", **{"replicates": 5, **changed})  # type: ignore[arg-type]
    contenders = [standing(entry).contender for entry in (BEST, odd)]
    found = ranks(contenders, reference(BEST))
    assert found == {"best": Rank(1), "odd": Rank(None, unranked=reason)}


def test_a_lost_replicate_costs_the_rank() -> None:
    def lost(arm: str, level: int, r: int) -> float | None:
        return None if (arm, level, r) == ("winning", 3, 1) else fading(arm, level, r)

    found = group_of(BEST, measured(lost, "lost", replicates=5))
    assert found.ranks["lost"] == Rank(None, unranked="replicate 1 of winning diverged")


def test_where_lower_is_better_the_lower_entry_is_first() -> None:
    metric = METRIC | {"higher_is_better": False, "chance": 10.0}

    def turned(value: Value) -> Value:
        return lambda *place: 3 - value(*place)

    entries = [measured(turned(worse(by)), name, replicates=5, metric=metric) for by, name in ((0.05, "b"), (0.0, "a"))]
    assert {name: rank.place for name, rank in group_of(*entries).ranks.items()} == {"a": 1, "b": 2}


# --- Areas ---


def test_an_area_is_one_at_the_dense_value_of_the_first_entry_and_zero_at_chance() -> None:
    found = reference(BEST)
    contender = standing(BEHIND).contender
    area = area_of(contender, found)
    assert area is not None
    dense = np.mean([fading("dense", 0, r) for r in range(5)])
    assert found.dense == pytest.approx(dense)
    expected = (np.array(heights(contender.points)) - 0.1) / (dense - 0.1)
    assert area.values == pytest.approx(tuple(expected))


def test_the_first_entry_by_date_gives_the_reference_whatever_the_order() -> None:
    late = measured(worse(0.0), "a-late", replicates=5, provenance=dated(BEST, "2026-11-25T00:00:00+00:00"))
    assert reference(late, BEST).entry == reference(BEST, late).entry == "best"


def dated(entry: Measured, date: str) -> dict[str, object]:
    return entry.provenance.model_dump(mode="json") | {"date": date}


def test_a_later_entry_moves_nobodys_area() -> None:
    later = dated(BEST, "2026-11-26T00:00:00+00:00")
    poor = measured(
        lambda arm, level, r: fading(arm, level, r) - (0.05 if arm == "dense" else 0), "poor", provenance=later
    )
    assert group_of(poor, BEST, BEHIND).areas["behind"] == group_of(BEST, BEHIND).areas["behind"]


@pytest.mark.parametrize("dense", [0.1, 0.05, None])
def test_an_entry_whose_dense_network_learnt_nothing_gives_no_reference(dense: float | None) -> None:
    lost = measured(lambda arm, level, r: dense if arm == "dense" else 0.5, "lost", replicates=5)
    assert first_reference([lost]) is None
    early = lost.model_copy(update={"provenance": BEST.provenance.model_copy(update={"date": "2020-01-01T00:00:00Z"})})
    assert reference(early, BEST).entry == "best"
    alone = group_of(lost)
    assert (alone.reference, alone.areas) == (None, {})
    assert alone.ranks["lost"].unranked == "no dense network of the task learnt it: areas have no scale"


def test_a_reference_of_another_metric_is_not_used() -> None:
    strange = reference(BEST).model_copy(update={"metric": BEST.metric.model_copy(update={"chance": 0.5})})
    (group,) = groups([standing(BEST)], {BEST.task.hash: strange})
    assert group.reference == reference(BEST)
    frozen = reference(BEST).model_copy(update={"dense": 0.5})
    (group,) = groups([standing(BEST)], {BEST.task.hash: frozen})
    assert group.reference == frozen


def test_an_entry_that_prunes_one_role_alone_is_not_ranked_since_its_densities_are_of_that_role() -> None:
    settings = BEST.method.settings.model_copy(update={"role": "actor"})
    alone = BEST.model_copy(update={"id": "alone", "method": BEST.method.model_copy(update={"settings": settings})})
    found = group_of(alone, BEHIND)
    assert found.ranks["alone"] == Rank(None, unranked="its densities are those of the actor alone")
    assert found.ranks["behind"] == Rank(1)
