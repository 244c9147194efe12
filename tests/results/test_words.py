"""Findings in words claim no more than the verdicts."""

from io import StringIO

import pytest
from rich.console import Console
from synthetic_cells import papers, spec, view

from suite.results import words
from suite.results.curve import curves_of
from suite.results.judge import AreaVerdict, Judgement, judge
from suite.results.text import finding_lines, score_lines, summary_table
from suite.results.text import judged as judged_tasks
from suite.results.view import RunView, TaskView


def judged(value: object = papers, *args: object, **changed: object) -> Judgement:
    return judge(curves_of(view(value, *args, **changed)))  # type: ignore[arg-type]


def stepwise(arm: str, level: int, replicate: int) -> float:
    """Random loses at levels 1, 2 and 4, and is equal at 3."""
    lost = 0.3 if arm == "random" and level != 3 else 0.0
    return 0.9 - lost + 0.001 * replicate * (2 if arm == "random" else 1)


def test_neighbouring_densities_are_joined() -> None:
    found = judged(stepwise)
    assert words.where(found.against("random"), "wins") == "80 % to 64 %, 41 %"
    assert words.where(found.against("random"), "ties") == "51.2 %"
    assert words.where(found.against("random"), "loses") == ""
    assert words.tally(found.against("random")) == "80 % to 64 %, 41 %; ties 1"


def test_a_finding_names_wins_ties_and_losses() -> None:
    text = words.finding(judged(stepwise), "random")
    assert (
        text == "Density by density, the winning ticket beats random at 80 % to 64 %, 41 %, ties with random at 51.2 %."
    )
    lost = words.finding(judged(stepwise, spec(metric={"higher_is_better": False, "chance": 2.0})), "random")
    assert "loses to random at 80 % to 64 %, 41 %" in lost


def test_one_replicate_is_said_to_decide_nothing() -> None:
    found = judged(replicates=(0,))
    assert words.finding(found, "reinit") == "Density by density, against reinit all 4 densities are undecided."
    assert words.lead(found.primary[0], found.curves.spec.metric).endswith("undecided (1 replicate: a verdict takes 3)")
    assert "no critical density" in words.headline(found)


def verdict(**changed: object) -> AreaVerdict:
    """Winning against random, as an RL run has it."""
    fields: dict[str, object] = {
        "against": "random", "densities": (0.6, 0.0778), "ours": 213.0, "theirs": 25.0, "n": 5, "difference": 101.4,
        "ci95": (60.0, 142.8), "p": 0.002, "verdict": "wins", "reason": None, "replicates_needed": None,
    }  # fmt: skip
    return AreaVerdict(**fields | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "winning is ahead by 101.4 [60, 142.8]: it wins"),
        (
            {"difference": -101.4, "ci95": (-142.8, -60.0), "verdict": "loses"},
            "winning is behind by 101.4 [60, 142.8]: it loses",
        ),
        ({"difference": 0.5, "ci95": (-1.0, 2.0), "verdict": "ties"}, "ahead by 0.5 [−1, 2]: they tie (within 0.02)"),
        (
            {"difference": 0.0, "ci95": (0.0, 0.0), "verdict": "ties", "reason": "all values are equal on both sides"},
            "winning is level with random [0, 0]: they tie (all values are equal on both sides)",
        ),
        (
            {"difference": 5.0, "ci95": (-9.0, 19.0), "verdict": "undecided", "replicates_needed": 12},
            "ahead by 5 [−9, 19]: undecided, about 12 replicates would decide",
        ),
    ],
)
def test_a_verdict_is_said_in_plain_words(changed: dict[str, object], says: str) -> None:
    text = words.lead(verdict(**changed), spec().metric)
    assert text.startswith("at 7.78 % winning 213, random 25; over all densities winning is ")
    assert text.endswith(says)


def test_findings_begin_with_the_verdicts_and_end_with_the_dense_network() -> None:
    found = judged(stepwise)
    first, *_, last = words.findings(found)
    assert first.startswith("At 41 % winning 0.901, reinit 0.901; over all densities winning is level with reinit")
    assert last == words.headline(found)
    assert "already at 80 % the winning ticket is not shown to stay within 0.02 of dense" in words.headline(
        judged(lambda arm, level, r: 0.9 - (arm == "winning") * (0.1 + 0.2 * (r - 1)))
    )


def test_the_headline_gives_dense_and_critical_density() -> None:
    text = words.headline(judged(stepwise))
    assert text.startswith("Dense accuracy: 0.901 (mean of 3 replicates).")
    assert "down to a density of 41 % (critical density)" in text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.94712, "0.9471"), (-0.5, "−0.5"), (2e-7, "2e−07"), (475.0, "475")]
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert words.number(value) == text


def test_units_suit_the_magnitude() -> None:
    assert words.number(0.5, signed=True) == "+0.5"
    assert (words.percent(1.0), words.percent(0.0115), words.percent(0.9996)) == ("100 %", "1.15 %", "100 %")
    assert words.scale(2.5e9, ("", "k", "M", "G", "T")) == "2.5 G"
    assert words.scale(3 * 2**20, ("B", "KiB", "MiB", "GiB"), 1024) == "3 MiB"
    assert words.scale(5e30, ("", "k")) == "5e+27 k"
    assert (words.duration(12.34), words.duration(600), words.duration(7200)) == ("12.3 s", "10.0 min", "2.0 h")
    assert (words.probability(0.0004), words.probability(0.041), words.probability(1.0)) == ("< .001", ".041", "1.000")


def shown(width: int, *views: TaskView) -> str:
    """What a terminal of a width shows of a run."""
    run = RunView("[bold]run[/bold]", "lottery run", views)
    found, out = judged_tasks(run), StringIO()
    Console(file=out, width=width).print(summary_table(run.name, found))
    return "\n".join([*finding_lines(found, width), out.getvalue()])


def test_the_terminal_has_sentences_and_a_row_per_comparison() -> None:
    rl_task = spec(id="rl/toy", metric={"name": "return[red]"})
    text = shown(160, view(stepwise), view(papers, rl_task, replicates=(0,)))
    assert "[bold]run[/bold]" in text
    assert "vision/toy smoke imp: 39 of 39 cells" in text
    assert "Dense return[red]" in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("vision/toy  ", "rl/toy  "))]
    assert [row[1:3] for row in rows][:3] == [["reinit", "ties"], ["random", "wins"], ["dense", "ties"]]
    assert {row[2] for row in rows[3:]} == {"undecided"}


def test_eighty_columns_break_no_word() -> None:
    long = spec(id="nlp/numbers-transformer")
    text = shown(80, view(stepwise, long, arms=("winning", "reinit", "random", "shuffled_layerwise"), levels=14))
    assert max(map(len, text.splitlines())) <= 80
    words_shown = set(text.split())
    assert {"nlp/numbers-transformer", "shuffled_layerwise", "wins", "verdict"} <= words_shown
    assert not {word for word in words_shown if "shuffled_layerwise".startswith(word) and len(word) > 3} - {
        "shuffled_layerwise"
    }


def test_scores_are_told_beside_those_of_simple_models() -> None:
    run = RunView("run", "lottery run", (view(stepwise, references={"trigram": {"accuracy": 0.5, "loss": 2.0}}),))
    (line,) = score_lines(run)
    assert line.startswith("vision/toy smoke imp: dense accuracy 0.901")
    assert line.endswith("; trigram accuracy 0.5, loss 2")
