"""Where entries stand: curves and verdicts of one, groups and columns of a task."""

from collections.abc import Callable, Iterable

import pytest
from synthetic_entries import METRIC, fading, measured

from suite.leaderboard.board import BadEntry
from suite.leaderboard.ranking import same_density
from suite.leaderboard.standing import Group, Standing, densities, groups, standing


def grouped(standings: Iterable[Standing]) -> tuple[Group, ...]:
    """Groups on a board without frozen references."""
    return groups(standings, {})


def test_an_entry_is_judged_by_its_own_replicates() -> None:
    found = standing(measured())
    assert [v.verdict for v in found.judgement.against("random")] == ["wins"] * 4
    assert found.judgement.critical_density == pytest.approx(0.8**4)
    against = found.against("random")
    assert against is not None
    assert (against.verdict, against.n, len(against.densities)) == ("wins", 3, 4)
    assert found.against("shuffled_mask") is None
    point = found.at(0.64)
    assert point is not None
    assert point.values == tuple(fading("winning", 2, r) for r in range(3))
    assert point.ci95 is not None
    assert point.ci95[0] < fading("winning", 2, 0) < point.ci95[1]


def test_one_replicate_has_values_and_no_interval() -> None:
    found = standing(measured(replicates=1))
    point = found.at(0.8)
    assert point is not None
    assert (point.mean, point.ci95) == (fading("winning", 1, 0), None)
    assert found.judgement.critical_density is None


def test_a_lower_metric_wins_where_lower_is_better() -> None:
    metric = METRIC | {"higher_is_better": False, "chance": 10.0}
    (group,) = grouped([standing(measured(lambda *place: 3 - fading(*place), metric=metric))])
    assert {v.verdict for v in group.standings[0].judgement.against("random")} == {"wins"}


def test_only_entries_of_one_hash_scale_and_metric_share_a_group() -> None:
    task = measured().task.model_dump()
    entries = [
        measured(),
        measured(entry_id="newer", task=task | {"version": "1.10.0", "hash": "cd" * 32}),
        measured(entry_id="old", task=task | {"version": "1.9.0", "hash": "ef" * 32}),
        measured(entry_id="lite", task=task | {"version": "1.10.0", "hash": "12" * 32, "scale": "lite"}),
        measured(entry_id="upside-down", metric=METRIC | {"higher_is_better": False}),
        measured(entry_id="peer"),
    ]
    found = [sorted(s.entry.id for s in group.standings) for group in grouped(map(standing, entries))]
    assert found[:3] == [["lite"], ["newer"], ["old"]]  # 1.10 is newer than 1.9; lite before smoke
    assert sorted(found[3:]) == [["imp", "peer"], ["upside-down"]]


def test_densities_equal_but_for_rounding_are_one_column() -> None:
    moved = measured(entry_id="moved")
    curves = {
        arm: tuple(p.model_copy(update={"density": min(1.0, p.density * 1.001)}) for p in points)
        for arm, points in moved.curves.items()
    }
    both = [standing(measured()), standing(moved.model_copy(update={"curves": curves}))]
    columns = densities(both)
    assert len(columns) == 4
    assert all(s.at(density) is not None for s in both for density in columns)
    assert grouped(both)[0].areas.keys() == {"imp", "moved"}
    assert not same_density(0.8, 0.79)


def test_an_entry_without_a_winning_arm_has_no_rank() -> None:
    (group,) = grouped([standing(measured(arms=("reinit",)))])
    assert (group.densities, group.areas, group.ranks["imp"].place) == ((), {}, None)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (lambda ps: ps[1:], r"levels \[1, 2, 3, 4\]"),
        (lambda ps: ps[:2] + ps[1:], r"levels \[0, 1, 1, 2, 3, 4\]"),
        (lambda ps: (*ps[:4], ps[4].model_copy(update={"values": (0.5,)})), "1 values and 3 digests at level 4"),
    ],
)
def test_a_curve_that_does_not_fit_its_protocol_is_refused(points: Callable, says: str) -> None:
    entry = measured()
    curves = entry.curves | {"winning": points(entry.curves["winning"])}
    with pytest.raises(BadEntry, match=says):
        standing(entry.model_copy(update={"curves": curves}))
