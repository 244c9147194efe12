"""A run against the board, on runs and entries whose values are known."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from synthetic_cells import cell, papers, spec, view
from synthetic_entries import PAPER, claim, fading, measured, reported
from tutorial_run import TUTORIAL

from suite import cli
from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.finished import view_of
from suite.leaderboard.board import Board, text_of
from suite.leaderboard.compare import Comparison, compare
from suite.leaderboard.ranking import Rank
from suite.leaderboard.schema import Measured
from suite.leaderboard.site import render
from suite.leaderboard.standing import groups, standing
from suite.leaderboard.submit import submit
from suite.leaderboard.text import area_words, as_json, as_markdown, sentences, tables
from suite.results.area import heights
from suite.results.curve import curves_of
from suite.results.stats import holm, paired, welch
from suite.results.view import RunView, TaskView


def rival(entry_id: str = "rival", value: Any = papers, **changed: Any) -> Measured:
    """An entry of the task that synthetic runs have; `task` and `provenance` change fields of theirs."""
    task = spec()
    made = measured(
        value,
        entry_id,
        metric=task.metric.stated.model_dump(),
        **{k: v for k, v in changed.items() if k not in ("task", "provenance")},
    )
    ref = {"id": task.id, "version": task.version, "hash": task.hash, "scale": task.scale} | changed.get("task", {})
    source = {"data_fingerprint": task.data.fingerprint} | changed.get("provenance", {})
    entry = made.model_dump()
    return Measured(**entry | {"task": ref, "provenance": entry["provenance"] | source})


def run_of(*views: TaskView) -> RunView:
    """A run of synthetic tasks."""
    return RunView("the-run", "lottery run vision/toy", views)


def board_of(board: Board, *entries: Any) -> Board:
    """A board with entries."""
    for entry in entries:
        (board.root / entry.domain).mkdir(exist_ok=True)
        (board.root / entry.domain / f"{entry.id}.json").write_text(text_of(entry))
    return board


def shifted(by: float, noise: float = 0.002) -> Any:
    """The papers' values, worse by so much in the winning arm, with noise of one's own."""

    def value(arm: str, level: int, replicate: int) -> float:
        own = noise * ((2 * replicate + level * level) % 5 - 2)
        return papers(arm, level, replicate) - (by + own if arm == "winning" else 0)

    return value


def own(entry: Measured) -> Any:
    """The winning arm's points of an entry."""
    return standing(entry).curves.arms["winning"]


def only(comparison: Comparison) -> Any:
    """The one task of a comparison."""
    (task,) = comparison.tasks
    return task


def test_equal_replicates_of_one_task_are_compared_in_pairs(board: Board) -> None:
    entry = rival(value=shifted(0.05))
    against = only(compare(run_of(view(papers)), board_of(board, entry))).against[0]
    assert (against.entry, against.pairs) == ("rival", (0, 1, 2))
    assert [verdict.level for verdict in against.verdicts] == [1, 2, 3, 4]
    expected = [
        paired([papers("winning", n, r) for r in range(3)], entry.curves["winning"][n].values)  # type: ignore[arg-type]
        for n in (1, 2, 3, 4)
    ]
    adjusted = holm([difference.p for difference in expected if difference.p is not None])
    for verdict, difference, p in zip(against.verdicts, expected, adjusted, strict=True):
        assert (verdict.difference, verdict.ci95) == (difference.value, difference.interval)
        assert (verdict.p, verdict.p_adjusted, verdict.n) == (difference.p, p, 3)
        assert verdict.verdict == "wins"


def test_the_verdict_against_an_entry_is_one_test_of_areas(board: Board) -> None:
    entry = rival(value=shifted(0.05))
    run = run_of(view(papers))
    verdict = only(compare(run, board_of(board, entry))).against[0].verdict
    mine, theirs = (heights(points[1:]) for points in (curves_of(run.tasks[0]).arms["winning"], own(entry)))
    expected = paired(mine, theirs)  # type: ignore[arg-type]
    assert (verdict.difference, verdict.ci95, verdict.p) == (expected.value, expected.interval, expected.p)
    assert (verdict.verdict, verdict.n, verdict.densities) == ("wins", 3, pytest.approx((0.8, 0.64, 0.512, 0.4096)))
    text = sentences(compare(run, board), 1000)[1]
    assert text.startswith("Against rival: at 41 % this run 0.9469, rival 0.8983; over all densities this run is ahead")
    assert text.endswith("it wins.")


def test_dense_runs_of_other_bits_are_compared_unpaired(board: Board) -> None:
    entry = rival(value=shifted(0.05), replicates=5, machine="another")
    against = only(compare(run_of(view(papers)), board_of(board, entry))).against[0]
    assert against.pairs == ()
    mine = [papers("winning", 2, r) for r in range(3)]
    expected = welch(mine, [shifted(0.05)("winning", 2, r) for r in range(5)])
    assert (against.verdicts[1].difference, against.verdicts[1].ci95) == (expected.value, expected.interval)
    said = as_markdown(compare(run_of(view(papers)), board))
    assert "unpaired (Welch), the dense runs are not the same bits: 0 to 2 of the run, 0 to 4 of the entry" in said


def test_an_entry_of_more_replicates_is_compared_on_those_that_both_have(board: Board) -> None:
    entry = rival(value=shifted(0.05), replicates=5)
    against = only(compare(run_of(view(papers)), board_of(board, entry))).against[0]
    assert (against.pairs, {v.n for v in against.verdicts}) == ((0, 1, 2), {3})


def test_an_undecided_unpaired_difference_says_how_many_replicates_would_decide(board: Board) -> None:
    comparison = compare(
        run_of(view(papers)), board_of(board, rival(value=shifted(0.03, noise=0.03), replicates=5, machine="another"))
    )
    verdicts = only(comparison).against[0].verdicts
    assert {v.verdict for v in verdicts} == {"undecided"}
    assert all(v.replicates_needed is not None and v.replicates_needed > 3 for v in verdicts)
    assert f"| about {verdicts[0].replicates_needed} replicates of each would decide |" in as_markdown(comparison)


def test_unpaired_values_without_spread_are_told_by_their_number_alone(board: Board) -> None:
    def constant(value: float) -> Any:
        return lambda arm, level, replicate: value

    run = run_of(view(constant(0.9), replicates=(10, 11, 12)))
    verdicts = only(compare(run, board_of(board, rival(value=constant(0.7))))).against[0].verdicts
    assert all(v.verdict == "undecided" and "only their number" in (v.reason or "") for v in verdicts)
    assert {v.replicates_needed for v in verdicts} == {5}  # 2 / C(10, 5) < .05 / 4 densities


def test_replicates_that_begin_elsewhere_are_no_pairs(board: Board) -> None:
    comparison = compare(run_of(view(papers, replicates=(10, 11, 12))), board_of(board, rival()))
    assert only(comparison).against[0].pairs == ()
    assert "10 to 12 of the run, 0 to 2 of the entry" in as_markdown(comparison)


def test_a_run_that_loses_is_worse_than_the_named_entry_only(board: Board) -> None:
    run = run_of(view(shifted(0.05)))
    board_of(board, rival(), rival("weak", shifted(0.2)))
    assert compare(run, board, "rival").worse is True
    assert compare(run, board, "vision/rival").worse is True
    assert compare(run, board, "weak").worse is False
    assert compare(run, board).worse is False
    assert [a.entry for a in only(compare(run, board, "weak")).against] == ["weak"]


def test_fail_under_ends_with_1_for_a_run_that_is_worse(
    board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("suite.finished.view_of", lambda folder: run_of(view(shifted(0.05))))
    board_of(board, rival(), rival("weak", shifted(0.2)))
    for entry, code in (("rival", 1), ("weak", 0)):
        words = ["compare", "RUN", "--board", str(board.root), "--entry", entry, "--fail-under"]
        monkeypatch.setattr("sys.argv", ["lottery", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
    assert "RUN is worse than rival: significantly over all densities" in capsys.readouterr().err


def test_losing_at_one_density_is_detail(board: Board) -> None:
    def dip(arm: str, level: int, replicate: int) -> float:
        return shifted(0.1 if level == 3 else -0.2 if level else 0.0)(arm, level, replicate)

    comparison = compare(run_of(view(dip)), board_of(board, rival()), "rival")
    (against,) = only(comparison).against
    assert [v.verdict for v in against.verdicts] == ["wins", "wins", "loses", "wins"]
    assert (against.verdict.verdict, comparison.worse) == ("wins", False)


def diverging(lost: dict[int, int], replicates: tuple[int, ...] = (0, 1, 2)) -> TaskView:
    """A run whose ladder diverged: the replicate, and the level at which it did."""

    def value(arm: str, level: int, replicate: int) -> float | None:
        gone = arm in ("winning", "dense") and level == lost.get(replicate)
        return None if gone else papers(arm, level, replicate)

    after = [(a, n, r) for a in ("winning", "reinit", "random") for n in range(1, 5) for r in lost if n > lost[r]]
    return view(value, replicates=replicates, skip=after)


@pytest.mark.parametrize("level", [0, 1])
def test_a_run_that_diverged_everywhere_is_worse(board: Board, level: int) -> None:
    """It has no verdict to lose by; at level 0 it has no winning ticket at all."""
    comparison = compare(run_of(diverging(dict.fromkeys(range(3), level))), board_of(board, rival()), "rival")
    assert {v.verdict for v in only(comparison).against[0].verdicts} == {"undecided"}
    assert comparison.worse is True


def test_one_diverged_replicate_is_worse_than_none(board: Board) -> None:
    run = run_of(diverging({1: 3}))
    comparison = compare(run, board_of(board, rival()), "rival")
    assert only(comparison).against[0].lost == pytest.approx((0.8**3, 0.8**4))
    assert comparison.worse is True
    assert as_json(comparison)["tasks"][0]["against"][0]["lost"] == pytest.approx([0.8**3, 0.8**4])
    assert compare(run, board).worse is False


def test_a_run_that_diverged_no_more_than_the_entry_is_not_worse(board: Board) -> None:
    def lost(arm: str, level: int, replicate: int) -> float | None:
        return None if arm == "winning" and level >= 3 and replicate == 1 else papers(arm, level, replicate)

    board_of(board, rival(value=lost))
    for levels in ({1: 3}, {2: 3}, {2: 4}, {}):
        assert compare(run_of(diverging(levels)), board, "rival").worse is False
    assert compare(run_of(diverging({1: 3, 2: 4})), board, "rival").worse is True
    many = tuple(range(6))
    assert compare(run_of(diverging({1: 3, 2: 3}, many)), board, "rival").worse is False, "two of six are one of three"


def test_lower_is_better_turns_the_difference_round(board: Board) -> None:
    metric = {"name": "log_perplexity", "unit": "nats", "higher_is_better": False, "chance": 5.0}
    task = spec(metric=metric)
    entry = rival(value=shifted(0.05), task={"hash": task.hash})
    entry = Measured(**entry.model_dump() | {"metric": task.metric.stated.model_dump()})
    task_of = only(compare(run_of(view(papers, task)), board_of(board, entry)))
    assert all(v.verdict == "loses" and v.difference < 0 for v in task_of.against[0].verdicts)
    assert task_of.against[0].verdict.verdict == "loses"


FIVE = tuple(range(5))


def fives(*named: tuple[str, float]) -> list[Measured]:
    """Entries of five replicates, each worse by so much than the synthetic run."""
    return [rival(name, shifted(by, 0.001 * (i + 2)), replicates=5) for i, (name, by) in enumerate(named)]


def test_a_run_has_the_rank_that_it_would_have_as_an_entry(board: Board) -> None:
    board_of(board, *fives(("twin", 0.0), ("best", -0.04), ("worst", 0.1)))
    task = only(compare(run_of(view(papers, replicates=FIVE)), board))
    assert task.rank == Rank(2, ("best",))
    assert {a.entry: a.rank.place for a in task.against} == {"best": 1, "twin": 2, "worst": 3}
    assert sentences(compare(run_of(view(papers, replicates=FIVE)), board), 1000)[0].endswith("rank 2, behind best.")


def test_a_run_of_three_replicates_has_an_area_and_no_rank(board: Board) -> None:
    task = only(compare(run_of(view(papers)), board_of(board, *fives(("one", 0.0)))))
    assert task.rank == Rank(None, unranked="3 replicates: a rank takes 5")
    assert task.area is not None
    assert task.area.estimate.n == 3


def test_compare_the_board_and_the_entrys_page_print_one_area_and_rank(board: Board) -> None:
    """The run is the entry's own: whoever looks finds the same number everywhere."""
    same = rival("same", papers, replicates=5)
    board_of(board, same, *fives(("better", -0.03), ("worse", 0.05)))
    comparison = compare(run_of(view(papers, replicates=FIVE)), board)
    task = only(comparison)
    against = next(a for a in task.against if a.entry == "same")
    assert (task.area, task.rank) == (against.area, against.rank)
    (group,) = groups(map(standing, board.measured("vision/toy")), board.references("vision"))
    assert (group.areas["same"], group.ranks["same"]) == (task.area, task.rank)
    shown = area_words(task.area)
    site = render(board).files
    mean, interval = shown.split(" ", 1)
    assert f"{shown}, rank 2, behind better" in sentences(comparison, 1000)[0]
    row = site["domains/vision.html"].split('data-entry="same"')[1].split("</tr>")[0]
    assert f'</span>2<span class="sr">: </span></span>{mean}<small>{interval}</small>' in row.replace(
        '<span class="rank"><span class="sr">rank </span>', "</span>"
    )
    page = site["entries/vision/same.html"]
    assert "<dd>2<small>rank 2, behind better</small>" in page
    assert f"<dd>{mean}<small>95 % interval {interval};" in page


def test_areas_have_one_dense_network_as_their_unit(board: Board) -> None:
    """A poor dense network of one's own would else make a curve look good."""

    def poor_dense(arm: str, level: int, replicate: int) -> float:
        return papers(arm, level, replicate) - (0.3 if arm == "dense" else 0.0)

    board_of(board, *fives(("a-first", 0.0)), rival("poor", poor_dense, replicates=5))
    task = only(compare(run_of(view(papers)), board))
    assert task.reference.entry == "a-first"
    poor = next(a for a in task.against if a.entry == "poor")
    assert poor.area.estimate.mean < 1.01


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"task": {"scale": "lite"}}, "other task scale: lite, the run has smoke"),
        ({"task": {"version": "2.0.0"}}, "other task version: 2.0.0, the run has 1.0.0"),
        ({"task": {"hash": "ef" * 32}}, "other task hash: efefefefefef, the run has "),
        ({"provenance": {"data_fingerprint": "ef" * 32}}, "other data fingerprint: efefefefefef"),
        ({"replicates": 1}, "the entry has one replicate: no interval"),
        ({"arms": ("reinit", "random")}, "the entry has no arm winning"),
    ],
)
def test_an_entry_that_is_not_comparable_is_listed_with_the_reason(
    board: Board, changed: dict[str, Any], reason: str
) -> None:
    board_of(board, rival(), rival("other", **changed))
    run = run_of(view(papers))
    task = only(compare(run, board))
    assert [a.entry for a in task.against] == ["rival"]
    ((name, why),) = [(apart.entry, apart.reason) for apart in task.apart]
    assert name == "other"
    assert why.startswith(reason)
    with pytest.raises(UsageError, match="entry other and the-run are not comparable: ") as caught:
        compare(run, board, "other")
    assert reason in str(caught.value)


def test_reported_figures_are_never_ranked(board: Board) -> None:
    run = run_of(view(papers))
    board_of(board, rival(), reported())
    task = only(compare(run, board))
    assert [apart.entry for apart in task.apart] == ["paper"]
    with pytest.raises(UsageError, match="reported: published figures are never ranked against measured ones"):
        compare(run, board, "paper")


def test_a_claim_in_words_cannot_be_compared(board: Board) -> None:
    board_of(board, claim())
    with pytest.raises(UsageError, match="entry paper-says is a claim in words"):
        compare(run_of(view(papers)), board, "paper-says")
    assert PAPER["link"] not in as_markdown(compare(run_of(view(papers)), board))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"skip": [("reinit", 2, 1)]}, "the run is unfinished: 1 of 39 cells are still to do"),
        ({"replicates": (0,)}, "the run has one replicate: no interval"),
        ({"arms": ("reinit",), "method": Method(schedule="one-shot")}, "the run has no arm winning"),
    ],
)
def test_a_run_that_is_not_comparable_says_why(board: Board, changed: dict[str, Any], reason: str) -> None:
    run = run_of(view(papers, **changed))
    board_of(board, rival())
    task = only(compare(run, board))
    assert ([a.reason for a in task.apart], task.against, task.rank.place) == ([reason], (), None)
    with pytest.raises(UsageError, match=reason):
        compare(run, board, "rival")


def pruned_at(rate: float, value: Any = papers) -> TaskView:
    """A run of the winning arm alone, two levels at another rate."""
    task = spec()
    places = [("dense", 0, r) for r in range(3)] + [("winning", level, r) for level in (1, 2) for r in range(3)]
    cells = tuple(cell(task, *place, value(*place), density=(1 - rate) ** place[1]) for place in places)
    return TaskView(task, Method(rate=rate), ("winning",), 2, None, (0, 1, 2), 9, cells)


def test_other_densities_are_not_compared(board: Board) -> None:
    board_of(board, rival())
    (apart,) = only(compare(run_of(pruned_at(0.5)), board)).apart
    assert apart.reason == "no density in common: rate 0.2, the run has 0.5"


def test_methods_of_other_rates_are_compared_where_their_densities_meet(board: Board) -> None:
    """Level 1 at .36 is level 2 at .2, and has its density."""
    task = only(compare(run_of(pruned_at(0.36)), board_of(board, rival(value=shifted(0.05)))))
    verdicts = task.against[0].verdicts
    assert [(v.level, v.density) for v in verdicts] == [(1, 0.64), (2, pytest.approx(0.4096))]
    for verdict, level in zip(verdicts, (2, 4), strict=True):
        theirs = [shifted(0.05)("winning", level, r) for r in range(3)]
        assert verdict.difference == paired([papers("winning", verdict.level, r) for r in range(3)], theirs).value
    assert task.against[0].verdict.densities == pytest.approx((0.64, 0.4096))
    assert task.against[0].verdict.verdict == "wins"


def test_levels_of_one_density_are_compared_level_by_level(board: Board) -> None:
    """A mask too small to prune keeps its density at the next level."""
    task = spec()
    small = view(papers, task)
    cells = [one.model_copy(update={"density": 0.5}) if one.level > 2 else one for one in small.cells]
    entry = rival(value=shifted(0.05))
    curves = {
        arm: tuple(p.model_copy(update={"density": 0.5}) if p.level > 2 else p for p in points)
        for arm, points in entry.curves.items()
    }
    run = run_of(dataclasses.replace(small, cells=tuple(cells)))
    board_of(board, entry.model_copy(update={"curves": curves}))
    verdicts = only(compare(run, board)).against[0].verdicts
    assert [v.level for v in verdicts] == [1, 2, 3, 4]
    theirs = [shifted(0.05)("winning", 4, r) for r in range(3)]
    assert verdicts[3].difference == paired([papers("winning", 4, r) for r in range(3)], theirs).value


def test_levels_that_only_one_has_are_left_out(board: Board) -> None:
    task = only(compare(run_of(view(papers)), board_of(board, rival(levels=2))))
    assert [v.level for v in task.against[0].verdicts] == [1, 2]
    assert task.against[0].verdict.densities == pytest.approx((0.8, 0.64))


def test_a_diverged_replicate_leaves_its_density_undecided_and_unranked(board: Board) -> None:
    def lost(arm: str, level: int, replicate: int) -> float | None:
        gone = arm == "winning" and level >= 3 and replicate == 1
        return None if gone else shifted(0.05)(arm, level, replicate)

    task = only(compare(run_of(view(papers)), board_of(board, rival(value=lost))))
    verdicts = task.against[0].verdicts
    assert [v.verdict for v in verdicts] == ["wins", "wins", "undecided", "undecided"]
    assert verdicts[2].reason == "replicate 1 of the entry diverged, here or before"
    assert (verdicts[2].p_adjusted, verdicts[2].replicates_needed) == (None, None)
    tested = [verdicts[0].p, verdicts[1].p]
    assert [v.p_adjusted for v in verdicts[:2]] == list(holm(tested)), "a lost density is no test of Holm's"
    verdict = task.against[0].verdict
    assert (verdict.verdict, verdict.reason) == ("undecided", verdicts[2].reason)


def test_a_run_whose_ladder_diverged_is_finished(board: Board) -> None:
    """Its later cells can never be trained: they are not still to do."""

    def lost(arm: str, level: int, replicate: int) -> float | None:
        return None if (arm, level, replicate) == ("winning", 2, 0) else papers(arm, level, replicate)

    gone = [(arm, level, 0) for arm in ("winning", "reinit", "random") for level in (3, 4)]
    task = only(compare(run_of(view(lost, skip=gone)), board_of(board, rival())))
    assert task.apart == ()
    assert [v.verdict for v in task.against[0].verdicts][1:] == ["undecided"] * 3
    assert task.rank.place is None


def test_an_entry_of_a_task_that_the_run_has_not_is_an_error(board: Board) -> None:
    board_of(board, measured(task={"id": "vision/else", "version": "1.0.0", "hash": "ab" * 32, "scale": "smoke"}))
    with pytest.raises(UsageError, match="entry imp is of vision/else, of which the-run has no run: it has vision/toy"):
        compare(run_of(view(papers)), board, "imp")


def test_an_unknown_entry_is_an_error_that_names_those_there_are(board: Board) -> None:
    board_of(board, rival())
    with pytest.raises(UsageError, match="no entry 'rivel' on the board; there are: vision/rival"):
        compare(run_of(view(papers)), board, "rivel")


def test_an_empty_board_is_said_to_be_empty(board: Board) -> None:
    comparison = compare(run_of(view(papers)), board)
    assert (only(comparison).against, only(comparison).apart) == ((), ())
    assert "none on the board" in as_markdown(comparison)


def test_two_methods_of_a_task_are_compared_each(board: Board) -> None:
    run = run_of(view(papers), view(shifted(0.1), method=Method(name="other", rewind_step=1)))
    comparison = compare(run, board_of(board, rival()), "rival")
    assert [task.method.name for task in comparison.tasks] == ["imp", "other"]
    assert [v.verdict for v in comparison.tasks[1].against[0].verdicts] == ["loses"] * 4
    assert comparison.worse is True


def test_json_has_every_number_and_nothing_that_is_none(board: Board) -> None:
    board_of(board, rival(value=shifted(0.05)), reported(), rival("huge", lambda *_: 1e30))
    table = json.loads(json.dumps(as_json(compare(run_of(view(papers)), board)), allow_nan=False))
    assert (table["schema"], table["run"], table["entry"], table["worse"]) == (1, "the-run", None, False)
    (task,) = table["tasks"]
    by_name = {against["entry"]: against for against in task["against"]}
    first = by_name["rival"]["verdicts"][0]
    assert (first["density"], first["verdict"], len(first["ci95"])) == (0.8, "wins", 2)
    assert first["difference"] == pytest.approx(0.05, abs=0.01)
    assert [apart["entry"] for apart in task["not_comparable"]] == ["paper"]
    assert by_name["rival"]["verdict"]["verdict"] == "wins"
    assert task["rank"] == {"place": None, "beaten_by": [], "unranked": "3 replicates: a rank takes 5"}
    assert len(task["area"]["values"]) == 3


def test_markdown_has_a_row_per_density_and_escapes_names(board: Board) -> None:
    board_of(board, rival(value=shifted(0.05)))
    run = RunView("a|b <script> [x](y)", "", (view(papers),))
    text = as_markdown(compare(run, board))
    assert "<script>" not in text
    assert r"a\|b &lt;script> \[x\](y)" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| 80 % |")]
    assert row.count("|") == 7
    assert "| wins |" in row
    assert text.startswith("- ")
    assert "paired by replicate" in text


def test_the_terminals_tables_show_brackets_as_they_are(board: Board) -> None:
    board_of(board, rival(value=shifted(0.05)), reported())
    run = RunView("[bold]name", "", (view(papers),))
    console = Console(width=200, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 (rich keeps it)
    for table in tables(compare(run, board)):
        console.print(table)
    text = console.export_text()
    assert "[bold]name" in text
    assert "rival" in text
    assert "published figures are never ranked" in text


def test_a_run_ties_with_the_entry_made_from_it(finished: Path, board: Board) -> None:
    submit(finished, board, author="me", plugins=[TUTORIAL])
    comparison = compare(view_of(finished), board, "breast-cancer-smoke-imp")
    (against,) = only(comparison).against
    assert [v.difference for v in against.verdicts] == [0.0, 0.0]
    assert against.pairs == (0, 1)
    assert against.verdict.difference == 0.0
    assert comparison.worse is False


def test_synthetic_entries_are_comparable_at_all(board: Board) -> None:
    """Guards the tests above: nothing but what they change keeps an entry apart."""
    assert only(compare(run_of(view(papers)), board_of(board, rival(value=fading)))).apart == ()
