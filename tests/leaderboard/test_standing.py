"""Where entries stand: verdicts, ranks, tie groups."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_entries import METRIC, fading, measured

from suite.leaderboard.board import BadEntry
from suite.leaderboard.standing import Rank, densities, groups, rank, same_density, standing
from suite.results.stats import area, tie_groups


def worse(by: float) -> Callable[[str, int, int], float]:
    """Like `fading`, each level of the winning ticket worse by `by`."""
    return lambda arm, level, r: fading(arm, level, r) - (by * level if arm == "winning" else 0)


def one_shot(entry_id: str) -> dict[str, object]:
    settings = {"name": entry_id, "criterion": "snip", "schedule": "one-shot"}
    return {"settings": settings, "description": "At the start.", "link": None}


def test_an_entry_is_judged_by_its_own_replicates() -> None:
    found = standing(measured())
    assert [v.verdict for v in found.judgement.against("random")] == ["wins"] * 4
    assert found.judgement.critical_density == pytest.approx(0.8**4)
    assert found.area is not None
    assert found.area.estimate.mean == pytest.approx(1.0, abs=0.01)
    point = found.at(0.64)
    assert point is not None
    assert point.values == tuple(fading("winning", 2, r) for r in range(3))
    assert point.ci95 is not None
    assert point.ci95[0] < fading("winning", 2, 0) < point.ci95[1]


def test_one_replicate_has_values_and_no_interval() -> None:
    found = standing(measured(replicates=1))
    point = found.at(0.8)
    assert point is not None
    assert (point.centre, point.ci95) == (fading("winning", 1, 0), None)
    assert found.judgement.critical_density is None


def test_a_lower_metric_wins_where_lower_is_better() -> None:
    metric = METRIC | {"higher_is_better": False, "chance": 10.0}

    def loss(arm: str, level: int, r: int) -> float:
        return 3 - fading(arm, level, r)

    better, behind = measured(loss, metric=metric), measured(lambda *p: loss(*p) + 0.1 * p[1], "behind", metric=metric)
    (group,) = groups(map(standing, (behind, better)))
    assert [s.entry.id for s in group.standings] == ["imp", "behind"]
    assert group.ranks[group.densities[0]] == {"imp": Rank(1, False), "behind": Rank(2, False)}
    assert {v.verdict for v in group.standings[0].judgement.against("random")} == {"wins"}


def test_ranks_count_the_entries_in_better_groups() -> None:
    samples = {"c": [0.5, 0.51, 0.52], "a": [0.9, 0.91, 0.92], "b": [0.9, 0.905, 0.925], "none": []}
    assert rank(samples, True) == {"a": Rank(1, True), "b": Rank(1, True), "c": Rank(3, False)}
    assert rank({}, True) == {}


@given(st.lists(st.lists(st.floats(-10, 10), min_size=2, max_size=5), min_size=1, max_size=6), st.booleans())
def test_ranks_are_those_of_the_tie_groups(samples: list[list[float]], higher: bool) -> None:
    named = {str(i): values for i, values in enumerate(samples)}
    ranks, before = rank(named, higher), 0
    for group in tie_groups(samples, higher):
        assert {ranks[str(i)] for i in group} == {Rank(before + 1, len(group) > 1)}
        before += len(group)


RETURN = METRIC | {
    "name": "return",
    "unit": "reward",
    "chance": 20.0,
    "margin": 25.0,
    "statistic": "interquartile-mean",
}
GAME = {"id": "rl/toy", "version": "1.0.0", "hash": "ab" * 32, "scale": "smoke"}


def test_entries_are_ranked_by_the_interquartile_mean_that_is_shown() -> None:
    """One failure of ten lowers the mean and not the interquartile mean."""
    entries = [
        measured(lambda arm, level, r: 500.0 if r else 300.0, "fails", replicates=10, task=GAME, metric=RETURN),
        measured(lambda arm, level, r: 490.0 + r / 10, "steady", replicates=10, task=GAME, metric=RETURN),
    ]
    (group,) = groups(map(standing, entries))
    shown = {s.entry.id: s.at(0.8) for s in group.standings}
    assert {name: point.centre for name, point in shown.items() if point} == pytest.approx(
        {"fails": 500.0, "steady": 490.45}
    )
    assert [list(ranks) for ranks in group.ranks.values()] == [["fails", "steady"]] * 4
    assert group.ranks[group.densities[0]]["steady"] == Rank(1, True)


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
    found = [sorted(s.entry.id for s in group.standings) for group in groups(map(standing, entries))]
    assert found[:3] == [["lite"], ["newer"], ["old"]]  # 1.10 is newer than 1.9; lite before smoke
    assert sorted(found[3:]) == [["imp", "peer"], ["upside-down"]]


def test_a_diverged_replicate_takes_the_rank_from_there_on() -> None:
    def broken(arm: str, level: int, r: int) -> float | None:
        return None if (arm, level, r) == ("winning", 2, 1) else fading(arm, level, r)

    (group,) = groups(map(standing, (measured(), measured(broken, "broken"))))
    ranked = ["broken" in group.ranks[density] for density in group.densities]
    assert ranked == [True, False, False, False]
    assert group.area_ranks == {"imp": Rank(1, False)}
    assert [s.entry.id for s in group.standings] == ["imp", "broken"]
    (alone,) = groups([standing(measured(broken, "shot", method=one_shot("shot")))])
    assert ["shot" in alone.ranks[density] for density in alone.densities] == [True, False, True, True]


def test_areas_over_other_densities_are_not_ranked_together() -> None:
    entries = [measured(), measured(worse(0.05), "behind"), measured(entry_id="short", levels=2)]
    (group,) = groups(map(standing, entries))
    assert group.area_ranks == {"imp": Rank(1, False), "behind": Rank(2, False)}
    assert "short" in group.ranks[group.densities[1]]


def poor_dense(by: float) -> Callable[[str, int, int], float]:
    """Like `fading`, each winning ticket worse by .01 and the dense network by `by`."""
    return lambda arm, level, r: fading(arm, level, r) - {"dense": by, "winning": 0.01}.get(arm, 0)


def test_a_poor_dense_network_buys_no_rank() -> None:
    """Its own area has the poor dense value as 1, and is the larger; the group has one reference."""
    honest, poor = standing(measured()), standing(measured(poor_dense(0.05), "poor"))
    assert honest.area is not None
    assert poor.area is not None
    assert poor.area.estimate.mean > honest.area.estimate.mean  # type: ignore[operator]
    (group,) = groups([poor, honest])
    assert group.area_ranks == {"imp": Rank(1, False), "poor": Rank(2, False)}
    assert [s.entry.id for s in group.standings] == ["imp", "poor"]


@pytest.mark.parametrize("higher", [True, False])
def test_areas_of_a_group_have_its_mean_dense_value_as_one(higher: bool) -> None:
    def turned(value: Callable[[str, int, int], float]) -> Callable[[str, int, int], float]:
        return value if higher else lambda *place: 3 - value(*place)

    metric = METRIC if higher else METRIC | {"higher_is_better": False, "chance": 10.0}
    entries = [measured(turned(fading), metric=metric), measured(turned(poor_dense(0.05)), "poor", metric=metric)]
    (group,) = groups(map(standing, entries))
    dense = [value for entry in entries for value in entry.curves["winning"][0].values if value is not None]
    assert group.reference == pytest.approx(sum(dense) / 6)
    for entry in entries:
        points = entry.curves["winning"]
        expected = [
            area([p.density for p in points], [p.values[r] or 0 for p in points], metric["chance"], sum(dense) / 6)
            for r in range(3)
        ]
        assert group.areas[entry.id].values == pytest.approx(expected)


def test_an_entry_that_learnt_nothing_takes_no_area_from_the_others() -> None:
    lost = measured(lambda *place: -50.0, "lost")
    (group,) = groups(map(standing, (measured(), lost)))
    assert group.reference == pytest.approx(0.95, abs=0.01)
    assert group.area_ranks == {"imp": Rank(1, False)}
    (alone,) = groups([standing(lost)])
    assert (alone.reference, alone.area_ranks) == (None, {})


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
    assert groups(both)[0].area_ranks.keys() == {"imp", "moved"}
    assert not same_density(0.8, 0.79)


def test_an_entry_without_a_winning_arm_has_no_rank() -> None:
    (group,) = groups([standing(measured(arms=("reinit",)))])
    assert (group.densities, group.area_ranks, group.ranks) == ((), {}, {})


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (lambda ps: ps[1:], r"levels \[1, 2, 3, 4\]"),
        (lambda ps: ps[:2] + ps[1:], r"levels \[0, 1, 1, 2, 3, 4\]"),
        (lambda ps: (*ps[:4], ps[4].model_copy(update={"values": (0.5,)})), "1 values at level 4 for 3 replicates"),
    ],
)
def test_a_curve_that_does_not_fit_its_protocol_is_refused(points: Callable, says: str) -> None:
    entry = measured()
    curves = entry.curves | {"winning": points(entry.curves["winning"])}
    with pytest.raises(BadEntry, match=says):
        standing(entry.model_copy(update={"curves": curves}))
