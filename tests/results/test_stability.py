"""What may be said of barriers: verdicts, the earliest stable step, sentences, JSON and the page."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_cells import cell, papers, spec, view

from suite.experiment.barrier import POINTS
from suite.experiment.method import Method
from suite.experiment.result import ConnectionResult
from suite.results.report import as_json, write_report
from suite.results.stability import Stability, StabilityTest, judged, stabilities
from suite.results.stability_plots import barrier_figure, path_figure, sweep_figure
from suite.results.stability_words import sentences
from suite.results.stats import estimate
from suite.results.view import RunView, TaskView

Height = Callable[[int, int, int], float | None]
"""(rewind step, level, replicate) -> barrier in percentage points, None for a diverged child."""

TASK = spec(metric={"lowest": 0.0, "highest": 1.0})


def connection(k: int, level: int, replicate: int, height: float | None, training: bool = False) -> ConnectionResult:
    """A path whose hill of so many points stands in its middle, above the mean error of its ends, which is 11 %."""
    errors = [0.1099, *[0.11] * (POINTS - 2), 0.1101]
    errors[POINTS // 2] = 0.11 + (height or 0.0) / 100
    own = cell(TASK, "winning", level, replicate, 0.9)
    return ConnectionResult(
        key=f"{k}-{level}-{replicate}", task=TASK.id, task_version=TASK.version, task_hash=TASK.hash, scale=TASK.scale,
        method=f"imp k={k}", method_hash=Method(rewind_step=k).hash, rewind_step=k, level=level, replicate=replicate,
        density=own.density, children=("a", "b"), metric="accuracy", recalibration=20, diverged=height is None,
        validation_errors=() if height is None else tuple(errors),
        training_errors=tuple(errors) if training else (), spent=own.spent, provenance=own.provenance,
    )  # fmt: skip


def swept(
    height: Height, steps: tuple[int, ...] = (0, 50), skip: tuple[int, int, int] | None = None,
    replicates: tuple[int, ...] = (0, 1, 2),
) -> RunView:  # fmt: skip
    """A run of the toy task at rewind steps, its tickets of levels 0, 2 and 4 tested."""
    views = []
    for k in steps:
        method = Method(name=f"imp k={k}", rewind_step=k)
        own = view(papers, TASK, method=method, connected=(0, 2, 4), arms=("winning", "random"), replicates=replicates)
        places = [(k, level, replicate) for level in (0, 2, 4) for replicate in own.replicates]
        tested = tuple(connection(*place, height(*place)) for place in places if place != skip)
        views.append(TaskView(**{**vars(own), "connections": tested}))
    return RunView("a sweep", "lottery stability vision/toy", tuple(views))


def steep_before_50(k: int, level: int, replicate: int) -> float:
    return (0.4 if k >= 50 else 20.0 + level) + 0.1 * replicate


def only(run: RunView) -> Stability:
    (found,) = stabilities(run)
    return found


def test_a_ticket_is_judged_by_the_whole_interval_of_its_mean_barrier() -> None:
    assert judged(estimate([0.2, 0.4, 0.6]), ())[0] == "stable"
    assert judged(estimate([12.0, 14.0, 13.0]), ())[0] == "unstable"
    # The mean is 1.9, below the threshold, and its interval is not: it says nothing yet.
    assert judged(estimate([0.9, 1.9, 2.9]), ()) == ("undecided", "the interval holds 2 points")
    assert judged(estimate([0.0, 0.0, 0.0]), ())[0] == "stable"


def test_below_three_replicates_and_where_a_child_diverged_nothing_is_decided() -> None:
    assert judged(estimate([0.0, 0.0]), ()) == ("undecided", "2 replicates, a verdict needs 3")
    assert judged(estimate([]), ()) == ("undecided", "0 replicates, a verdict needs 3")
    assert judged(estimate([0.1, 0.1, 0.1]), (3,)) == ("undecided", "a child of 1 replicate diverged")


def test_an_undecided_test_names_the_replicates_that_would_decide() -> None:
    found = only(swept(lambda k, level, replicate: 1.0 + replicate * 0.6))
    (test,) = {t.replicates_needed for t in found.tested}
    assert [t.verdict for t in found.tested] == ["undecided"] * 6
    assert test == 12  # mean 1.6, SD .6: 2.201 x .6 / sqrt(12) is less than the .4 that are left, with 11 it is not


def test_steps_of_one_task_and_method_are_one_sweep_and_another_method_is_another() -> None:
    run = swept(steep_before_50)
    other = [TaskView(**{**vars(v), "method": v.method.model_copy(update={"rate": 0.5})}) for v in run.tasks]
    assert [found.rewind_steps for found in stabilities(RunView("two", "", (*run.tasks, *other)))] == [(0, 50)] * 2
    assert stabilities(RunView("none", "", (view(papers, TASK),))) == ()


def test_barriers_are_percentage_points_in_the_order_of_replicates() -> None:
    found = only(swept(steep_before_50))
    test = found.tested[1]
    assert (test.rewind_step, test.level, test.density) == (0, 2, 0.8**2)
    assert test.barriers == pytest.approx((22.0, 22.1, 22.2))
    assert test.estimate.mean == pytest.approx(22.1)


@pytest.mark.parametrize(
    ("unstable", "expected"),
    [((0,), 50), ((), 0), ((0, 50, 200), None), ((50,), 200), ((200,), None)],
)
def test_stable_from_is_the_first_step_after_which_nothing_tested_is_unstable(
    unstable: tuple[int, ...], expected: int | None
) -> None:
    run = swept(lambda k, level, r: (9.0 if k in unstable and level == 4 else 0.3) + 0.1 * r, (0, 50, 200))
    assert only(run).stable_from == expected


def test_the_findings_are_said_in_plain_words() -> None:
    said = sentences(only(swept(steep_before_50)))
    assert said[0] == "Tickets from k = 50 are the earliest that are stable at all 3 tested densities."
    assert said[1] == "At k = 0 dense networks are unstable: barrier 20.1 points [19.85, 20.35], 3 replicates."
    assert said[6] == "At k = 50 tickets of density 41 % are stable: barrier 0.5 points [0.2516, 0.7484], 3 replicates."
    alone = sentences(only(swept(steep_before_50, (0,), replicates=(0,))))
    assert alone[1] == (
        "At k = 0 dense networks are undecided (1 replicate, a verdict needs 3): barrier 20 points, 1 replicate."
    )
    none = sentences(only(swept(lambda k, level, r: 9.0 + r)))
    assert none[0] == "From no tested rewind step on are tickets shown to be stable at all 3 tested densities."


def test_what_is_missing_or_diverged_is_told_and_not_counted() -> None:
    found = only(swept(lambda k, level, r: None if (k, level, r) == (50, 4, 1) else 0.3, skip=(0, 2, 2)))
    by: dict[tuple[int, int], StabilityTest] = {(t.rewind_step, t.level): t for t in found.tested}
    assert (by[50, 4].diverged, by[50, 4].verdict, by[50, 4].barriers[1]) == ((1,), "undecided", None)
    assert (by[0, 2].missing, by[0, 2].verdict) == ((2,), "undecided")
    assert found.stable_from is None
    assert by[50, 4].replicates_needed is None  # more replicates do not undo a divergence


def test_steps_with_other_replicates_have_their_barriers_in_the_columns_of_these(tmp_path: Path) -> None:
    early, late = (swept(steep_before_50, (k,), replicates=r) for k, r in ((0, (1, 2)), (50, (0, 1, 2))))
    run = RunView("grown", "", (*early.tasks, *late.tasks))
    test = only(run).tested[0]
    assert [test.barrier_of(replicate) for replicate in (0, 1, 2)] == [None, *test.barriers]
    row = next(
        line for line in write_report(run, tmp_path).read_text().splitlines() if '<th scope="row">0</th>' in line
    )
    assert "unstable" not in row  # two replicates
    assert "<td>–</td><td>20.1</td><td>20.2</td>" in row


def test_the_json_of_a_report_holds_every_test_with_its_paths_and_is_absent_without_any() -> None:
    found = json.loads(json.dumps(as_json(swept(steep_before_50)), allow_nan=False))["stability"]
    assert [(s["task"], s["stable_from"], s["threshold_points"], s["split"]) for s in found] == [
        ("vision/toy", 50, 2.0, "validation")
    ]
    test = found[0]["tested"][5]
    assert (test["rewind_step"], test["level"], test["verdict"], test["n"]) == (50, 4, "stable", 3)
    assert [len(path["validation_errors"]) for path in test["paths"]] == [POINTS] * 3
    assert "stability" not in as_json(RunView("none", "", (view(papers, TASK),)))


def test_the_figures_draw_every_replicate_every_step_and_every_path() -> None:
    found = only(swept(steep_before_50))
    (barriers,) = barrier_figure(found).axes
    labels = [line.get_label() for line in barriers.lines]
    assert [label for label in labels if not str(label).startswith("_")] == ["k = 0", "k = 50", "2 points"]
    dots = [y for line in barriers.lines if line.get_linestyle() == "None" for y in line.get_ydata()]
    assert sorted(dots) == pytest.approx(sorted(b for t in found.tested for b in t.barriers if b is not None))
    assert [len(panel.lines) for panel in path_figure(found).axes] == [9, 9]
    sweep = sweep_figure(found).axes
    assert [panel.get_title(loc="left") for panel in sweep] == ["64 %", "41 %"]
    assert [t.get_text() for t in sweep[0].get_xticklabels()] == ["0", "50"]


def test_the_page_says_the_findings_and_writes_each_figure_as_files(tmp_path: Path) -> None:
    run = swept(steep_before_50)
    page = write_report(run, tmp_path).read_text()
    assert "Tickets from k = 50 are the earliest that are stable at all 3 tested densities." in page
    assert "Here the validation split decides" in page
    assert page.count('<td class="text wins">stable</td>') == 3
    for name in ("stability-1", "stability-1-paths", "stability-1-sweep"):
        assert (tmp_path / f"{name}.png").is_file()
        assert f'id="{name}-title"' in page
    assert "Training error" not in page
    assert "Stability of tickets" not in write_report(RunView("none", "", (view(papers, TASK),)), tmp_path).read_text()
