"""What a matrix of transfers says: gains over random tickets, ranks of sources with ties, and in words."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from synthetic_cells import papers, view
from synthetic_transfers import GOOD, matrix, pair, run

from suite.results import transfer_words
from suite.results.area import heights
from suite.results.curve import curves_of
from suite.results.judge import judge
from suite.results.text import judged, score_lines
from suite.results.transfer import matrices, rank_over_all, rank_sources, short_names
from suite.results.view import RunView

WIDE, NARROW = "vision/wide-net-sgd", "vision/narrow-net-sgd"


def test_a_gain_is_the_verdict_of_the_pair_itself_and_oriented() -> None:
    found = matrix()
    assert found.targets == (WIDE, NARROW)
    assert found.sources == (WIDE, NARROW)
    assert [pair.own for pair in found.pairs.values()] == [True, False, False, True]
    pair = found.pairs[NARROW, WIDE]
    assert pair.gain is not None
    assert (pair.gain.verdict, pair.gain.n) == ("wins", 3)
    assert pair.gains[3].difference == pytest.approx(0.12, abs=0.01)
    lower = matrix(metric_wide={"higher_is_better": False}, metric_narrow={"higher_is_better": False})
    assert lower.pairs[NARROW, WIDE].gains[3].difference == pytest.approx(-0.12, abs=0.01)


def test_a_rank_is_one_plus_the_sources_that_are_significantly_better_by_student_on_paired_areas() -> None:
    curves = {source: curves_of(pair("wide", source, good)) for source, good in GOOD.items()}
    best, other = rank_sources(curves)
    assert [(best.source, best.place), (other.source, other.place)] == [("wide", 1), ("narrow", 2)]
    mine, theirs = (heights([p for p in curves[s].arms["winning"] if p.level]) for s in ("wide", "narrow"))
    assert best.area.mean == pytest.approx(np.mean(mine))  # type: ignore[arg-type]
    expected = stats.ttest_rel(mine, theirs)
    (duel,) = best.duels
    assert (duel.against, duel.verdict) == ("narrow", "wins")
    assert duel.difference.p == pytest.approx(expected.pvalue)
    assert duel.difference.value == pytest.approx(np.subtract(mine, theirs).mean())


def test_sources_that_do_not_differ_share_a_rank_and_say_how_many_replicates_would_decide() -> None:
    curves = {name: curves_of(pair("wide", name, good)) for name, good in (("a", 0.030), ("b", 0.0301), ("c", 0.0))}
    places = {rank.source: rank.place for rank in rank_sources(curves)}
    assert places == {"a": 1, "b": 1, "c": 3}
    close = {name: curves_of(pair("wide", name, good, metric_wide={"margin": 0.0})) for name, good in GOOD.items()}
    close["twin"] = curves_of(pair("wide", "twin", 0.0401, metric_wide={"margin": 0.0}))
    rank = next(rank for rank in rank_sources(close) if rank.source == "wide")
    undecided = next(duel for duel in rank.duels if duel.against == "twin")
    assert (undecided.verdict, rank.place) == ("undecided", 1)
    assert undecided.replicates_needed is not None
    assert undecided.replicates_needed > 3


def test_the_better_source_has_the_lower_score_where_lower_is_better() -> None:
    lower = {"metric_wide": {"higher_is_better": False, "chance": 2.0}}
    curves = {source: curves_of(pair("wide", source, good, **lower)) for source, good in GOOD.items()}
    assert [(rank.source, rank.place) for rank in rank_sources(curves)] == [("narrow", 1), ("wide", 2)]


@pytest.mark.parametrize("few", [{"replicates": (0, 1)}, {"skip": [("winning", 2, 1)]}])
def test_no_source_is_ranked_below_three_replicates_or_with_one_missing(few: dict[str, object]) -> None:
    curves = {source: curves_of(pair("wide", source, good, **few)) for source, good in GOOD.items()}
    assert [rank.place for rank in rank_sources(curves)] == [None, None]
    assert all(duel.verdict == "undecided" for rank in rank_sources(curves) for duel in rank.duels)


def test_over_all_targets_a_replicate_is_its_mean_area_between_chance_and_dense() -> None:
    found = matrix()
    assert found.overall.targets == (WIDE, NARROW)
    assert [(rank.source, rank.place) for rank in found.overall.ranks] == [(WIDE, 1), (NARROW, 2)]
    areas = []
    for target in (WIDE, NARROW):
        curves = found.pairs[target, WIDE].judgement.curves
        assert curves.dense.mean is not None
        own = heights([p for p in curves.arms["winning"] if p.level])
        areas.append([(height - 0.1) / (curves.dense.mean - 0.1) for height in own if height is not None])
    assert found.overall.ranks[0].area.mean == pytest.approx(np.mean(areas))


def test_a_target_without_a_source_or_whose_dense_network_did_not_learn_counts_in_no_rank_over_all() -> None:
    found = matrix()
    curves = {t: {s: found.pairs[t, s].judgement.curves for s in found.sources} for t in found.targets}
    del curves[NARROW][WIDE]
    assert rank_over_all(curves).targets == (WIDE,)
    hopeless = matrix(metric_narrow={"chance": 0.95})
    assert hopeless.overall.targets == (WIDE,)


def test_what_is_carried_and_at_which_scale_are_matrices_apart_and_other_tasks_none() -> None:
    both, mask = pair("wide", "narrow", 0.01), pair("wide", "narrow", 0.01, carry="mask")
    found = matrices(judged(RunView("", "", (both, mask, view(papers)))))
    assert [(each.carry, len(each.pairs)) for each in found] == [("both", 1), ("mask", 1)]
    assert transfer_words.title(found[1]) == "Transfer of imp tickets, mask only, smoke"


def test_transfers_that_differ_in_more_than_their_names_are_all_shown() -> None:
    """Such as `--set rewind_step=10` and `=20` in one folder, both of which are called `imp+changed`."""
    twice = judged(RunView("", "", (pair("wide", "narrow", 0.01), pair("wide", "narrow", 0.03))))
    assert [[each.view for each in found.pairs.values()] for found in matrices(twice)] == [
        [view] for view, _ in twice
    ]  # fmt: skip


def test_the_dense_scores_of_a_target_are_said_once_beside_all_sources() -> None:
    assert [line.split(":")[0] for line in score_lines(run())] == [f"{WIDE} smoke", f"{NARROW} smoke"]
    tasks = (view(papers), view(lambda *place: papers(*place) - 0.1))
    assert len(score_lines(RunView("", "", tasks))) == 2  # of one name, with other numbers


def test_a_transferred_winning_ticket_is_expected_only_where_it_is_trained_and_hangs_on_no_sparser_one() -> None:
    lone = pair("wide", "narrow", 0.01, at=(1, 3), skip=[("winning", 2, r) for r in range(3)])
    first = next(cell for cell in lone.cells if cell.arm == "winning" and cell.level == 1)
    lost = first.model_copy(update={"diverged": True, "test": {}, "validation": {}})
    cells = [lost if cell == first else cell for cell in lone.cells]
    curves = curves_of(replace(lone, cells=tuple(cells)))
    assert [point.level for point in curves.arms["winning"]] == [0, 1, 3]
    assert curves.missing == ()
    verdicts = {verdict.level: verdict for verdict in judge(curves).against("random")}
    assert verdicts[1].reason == "replicate 0 of winning diverged"
    assert verdicts[3].reason is None


def test_names_are_as_short_as_tells_tasks_apart() -> None:
    assert short_names([WIDE, NARROW]) == {WIDE: "wide", NARROW: "narrow"}
    ids = ["vision/mnist-vgg-sgd", "vision/mnist-vgg-adam", "vision/tiny-imagenet-vgg-sgd"]
    assert list(short_names(ids).values()) == ["mnist-sgd", "mnist-adam", "tiny-imagenet-sgd"]
    assert list(short_names(["vision/mnist5k-a-lenet", "vision/mnist5k-b-lenet"]).values()) == [
        "mnist5k-a",
        "mnist5k-b",
    ]
    assert short_names([WIDE]) == {WIDE: "wide-net-sgd"}


def test_findings_say_in_words_which_tickets_gain_and_which_source_leads_by_how_much() -> None:
    found = matrix()
    over_all, gains, leader, *_ = transfer_words.findings(found)
    assert over_all.startswith(
        "Over 2 targets, between chance (0) and dense (1), tickets of wide lead tickets of narrow by 0."
    )
    assert gains.startswith("On wide, tickets of wide (its own) (+0.0")
    assert gains.endswith(" beat random ones.")
    assert leader.startswith("On wide, tickets of wide (its own) lead tickets of narrow by 0.0")


def test_findings_of_too_few_replicates_say_so_and_rank_nobody() -> None:
    over_all, gains, leader, *_ = transfer_words.findings(matrix(replicates=(0, 1)))
    assert over_all.endswith("no source is ranked: 2 replicates finished in full, a verdict takes 3.")
    assert "are undecided against random ones" in gains
    assert "2 replicates: a verdict takes 3" in gains
    assert leader == "On wide no source is ranked: 2 replicates finished in full, a verdict takes 3."


def test_a_source_that_leads_nobody_says_what_is_undecided() -> None:
    close = matrix(good={"wide": 0.01, "narrow": 0.0101}, metric_wide={"margin": 0.0}, metric_narrow={"margin": 0.0})
    line = transfer_words.leader(close, NARROW)
    assert "do best, but are not shown to lead any: against " in line
    assert "replicates would decide" in line


def test_an_empty_run_of_a_transfer_says_so() -> None:
    nothing = [(arm, level, r) for arm in ("dense", "winning", "random") for level in range(4) for r in range(3)]
    found = matrix(skip=nothing)
    assert found.overall.targets == ()
    assert transfer_words.findings(found)[0].startswith("Over all targets sources are not ranked")
    assert run(skip=nothing).tasks[0].cells == ()
