"""Transfers on a board: ranked among the sources of their target, and nowhere else."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from site_boards import write
from synthetic_cells import cell, spec
from synthetic_entries import Value, fading, measured, transferred

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.leaderboard import between
from suite.leaderboard.compare import RUN, compare
from suite.leaderboard.schema import Measured
from suite.leaderboard.site import render
from suite.leaderboard.sources import source_groups
from suite.leaderboard.standing import groups, standing
from suite.leaderboard.text import as_json, sentences
from suite.results.view import RunView, TaskView, TransferSource


def better(by: float) -> Value:
    """Like `fading`, with winning better by so much at every level, and noise of its own."""

    def value(arm: str, level: int, replicate: int) -> float:
        noise = random.Random(f"{level} {replicate} {by}").gauss(0, 0.001)
        return fading(arm, level, replicate) + (by + noise if arm == "winning" else 0.0)

    return value


def test_sources_are_ranked_by_their_tickets_on_the_target_with_ties() -> None:
    entries = [
        transferred(better(0.02), "large", "vision/large"),
        transferred(better(0.0), "small", "vision/small"),
        transferred(better(0.0005), "other", "vision/other"),
        transferred(better(0.05), "masks", "vision/small", carry="mask"),
    ]
    both, masks = source_groups(map(standing, entries))
    assert both.standings[0].entry.id == "large"
    assert {name: rank.place for name, rank in both.ranks.items()} == {"large": 1, "small": 2, "other": 2}
    assert both.ranks["small"].beaten_by == ("large",)
    assert (both.carry, masks.carry) == ("both", "mask")
    assert {name: rank.place for name, rank in masks.ranks.items()} == {"masks": 1}
    assert list(both.levels) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (transferred(entry_id="few", replicates=2), "2 replicates: a rank takes 3"),
        (transferred(entry_id="bare", arms=("winning",)), "no arm random"),
        (
            transferred(lambda arm, level, r: None if (level, r) == (3, 1) else fading(arm, level, r), "lost"),
            "a replicate diverged at level 3, or before",
        ),
    ],
)
def test_what_proves_nothing_is_shown_and_not_ranked(entry: Measured, reason: str) -> None:
    (group,) = source_groups([standing(transferred()), standing(entry)])
    assert (group.ranks[entry.id].place, group.ranks[entry.id].unranked) == (None, reason)
    assert group.ranks["moved"].place == 1


def test_transfers_and_ordinary_entries_have_no_part_in_each_others_ranks() -> None:
    ordinary = [measured(replicates=5), measured(better(-0.05), "weak", replicates=5)]
    moved = transferred(better(0.1), replicates=5)
    listed = list(map(standing, [*ordinary, moved]))
    (alone,) = groups(listed[:2], {})
    (beside,) = groups(listed, {})
    assert beside == alone
    (group,) = source_groups(listed)
    assert [s.entry.id for s in group.standings] == ["moved"]


def test_entries_meet_by_level_where_tickets_of_their_sources_cover_other_tensors() -> None:
    shifted = transferred(better(0.02), "wide", "vision/wide")
    table = shifted.model_dump(mode="json")
    for points in table["curves"].values():
        for point in points[1:]:
            point["density"] *= 0.97
    wide = standing(type(shifted).model_validate(table)).contender
    found = between.entries(wide, standing(transferred()).contender)
    assert [verdict.level for verdict in found.densities] == [1, 2, 3, 4]
    assert found.area.verdict == "wins"
    assert found.area.against == "moved"


def moved_run(value: Value, carry: str = "both") -> RunView:
    """A run of tickets of `vision/third` on the synthetic task."""
    task = spec()
    places = [("dense", 0, r) for r in range(3)]
    places += [(arm, level, r) for arm in ("winning", "random") for level in (1, 2, 3) for r in range(3)]
    cells = tuple(cell(task, *place, value(*place)) for place in places)
    source = TransferSource(spec(id="vision/third"), Method(), carry, task.prunable)  # type: ignore[arg-type]
    view = TaskView(task, Method(name="imp from vision/third"), ("winning", "random"), 3, None, (0, 1, 2), 21, cells)
    return RunView("the-run", "lottery transfer", (replace(view, source=source),))


def on_the_runs_task(entry: Measured) -> Measured:
    """An entry moved to the task that synthetic runs have, with their dense runs."""
    task = spec()
    table = entry.model_dump(mode="json")
    table["task"] = {"id": task.id, "version": task.version, "hash": task.hash, "scale": task.scale}
    table["metric"] = task.metric.stated.model_dump()
    table["provenance"]["data_fingerprint"] = task.data.fingerprint
    return Measured.model_validate(table)


def test_a_run_of_transfers_is_compared_with_transfers_to_its_target_alone(tmp_path: Path) -> None:
    listed = [
        on_the_runs_task(entry)
        for entry in (transferred(), transferred(entry_id="masks", carry="mask"), measured(entry_id="own"))
    ]
    board = write(tmp_path, [*listed])
    found = compare(moved_run(better(0.05)), board)
    (task,) = found.tasks
    assert [(one.entry, one.verdict.verdict, one.rank.place) for one in task.against] == [("moved", "wins", 1)]
    assert (task.rank.place, task.area, task.apart) == (1, None, ())
    assert "imp from vision/third: rank 1" in " ".join(sentences(found, 200))
    assert as_json(found)["tasks"][0]["area"] is None
    for name, kind in (("own", "run on one task"), ("masks", r"transfer \(mask carried\)")):
        with pytest.raises(UsageError, match=rf"it is a {kind}, the run is a transfer \(both carried\)"):
            compare(moved_run(better(0.05)), board, name)
    assert RUN not in {one.entry for one in task.against}


def test_a_targets_page_has_its_transfers_in_a_table_of_their_own(tmp_path: Path) -> None:
    entries = [measured(), transferred(better(0.02), "large", "vision/large"), transferred()]
    site = render(write(tmp_path, [*entries])).files
    page = site["domains/vision.html"]
    ordinary, moved = page.split('data-rows="transfers"')
    assert 'data-entry="imp"' in ordinary
    assert 'data-entry="imp"' not in moved
    assert moved.index('data-entry="large"') < moved.index('data-entry="moved"')
    assert "3 measured" in page
    own = site["entries/vision/large.html"]
    for words in ("Measured transfer", "vision/large", "rank among sources", "gain over random", "0.weight",
                  "mask and weights at the rewind step", "fe" * 32, "dense run and ladder"):  # fmt: skip
        assert words in own, words
    assert "rank among sources" not in site["entries/vision/imp.html"]


def test_a_target_of_transfers_alone_has_its_page(tmp_path: Path) -> None:
    site = render(write(tmp_path, [transferred()])).files
    assert 'data-rows="transfers"' in site["domains/vision.html"]
    assert "Tick entries" not in site["domains/vision.html"]
