"""Findings in words claim no more than the verdicts."""

from io import StringIO

import pytest
from rich.console import Console
from synthetic_cells import papers, spec, view

from suite.results import words
from suite.results.curve import curves_of
from suite.results.judge import Judgement, judge
from suite.results.text import score_lines, summary_table
from suite.results.view import RunView


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
    assert text == "The winning ticket beats random at 80 % to 64 %, 41 %, ties with random at 51.2 %."
    lost = words.finding(judged(stepwise, spec(metric={"higher_is_better": False, "chance": 2.0})), "random")
    assert "loses to random at 80 % to 64 %, 41 %" in lost


def test_one_replicate_is_said_to_decide_nothing() -> None:
    found = judged(replicates=(0,))
    assert (
        words.finding(found, "reinit")
        == "Against reinit, all 4 densities are undecided: one replicate has no interval."
    )
    assert "no critical density" in words.headline(found)


def test_an_undecided_comparison_says_how_many_replicates_would_decide() -> None:
    def noisy(arm: str, level: int, replicate: int) -> float:
        return 0.9 - (arm != "winning") * (0.1 + 0.2 * (replicate - 1))

    assert "all 4 densities are undecided (about 29 replicates would decide)" in words.finding(judged(noisy), "reinit")
    headline = words.headline(judged(noisy))
    assert "already at 80 % the winning ticket is not shown to stay within 0.02 of dense" in headline


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


def test_the_terminal_table_has_a_row_per_task() -> None:
    rl_task = spec(id="rl/toy", metric={"name": "return[red]"})
    run = RunView("[bold]run[/bold]", "lottery run", (view(stepwise), view(papers, rl_task, replicates=(0,))))
    out = StringIO()
    Console(file=out, width=160).print(summary_table(run))
    text = out.getvalue()
    assert "[bold]run[/bold]" in text
    vision, rl = (next(line for line in text.splitlines() if name in line) for name in ("vision/toy", "rl/toy"))
    assert "0.901 accuracy" in vision
    assert "41 %" in vision
    assert "80 % to 64 %" in vision
    assert "none shown" in rl
    assert "return[red]" in rl
    assert "39/39" in vision


def test_scores_are_told_beside_those_of_simple_models() -> None:
    run = RunView("run", "lottery run", (view(stepwise, references={"trigram": {"accuracy": 0.5, "loss": 2.0}}),))
    (line,) = score_lines(run)
    assert line.startswith("vision/toy smoke imp: dense accuracy 0.901")
    assert line.endswith("; trigram accuracy 0.5, loss 2")
