"""A paper's figures beside a run: what it showed, and what came out here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_cells import papers as value
from synthetic_cells import spec, view
from synthetic_transfers import pair
from test_report import Page

from suite.experiment.collection import Collection, Figure, Panel
from suite.experiment.method import Method
from suite.results import paper as module
from suite.results.paper import Paper, matrices_of, paper_json, paper_lines, papers
from suite.results.report import as_json, write_report
from suite.results.text import judged
from suite.results.view import RunView, TaskView

WIDE, NARROW, DEEP = (f"vision/{name}-net-sgd" for name in ("wide", "narrow", "deep"))


def figure(name: str, *panels: Panel) -> Figure:
    return Figure(name=name, title=f"About {name}", showed=f"{name} was seen", data="CIFAR-10", panels={"lite": panels})


PAPER = Collection(
    name="paper",
    title="A paper",
    scale="lite",
    source="Someone 2019",
    figures=(
        figure("controls", Panel(tasks=("vision/toy",))),
        figure("methods", Panel(tasks=("vision/toy",), methods=("imp", "snip"))),
        figure("datasets", Panel(sources=(WIDE, NARROW), targets=(WIDE, NARROW))),
        figure("depths", Panel(sources=(DEEP,), targets=(WIDE,))),
        figure("masks", Panel(sources=(WIDE,), targets=(NARROW,), carry="mask")),
    ),
)


@pytest.fixture(autouse=True)
def collections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "collections", lambda: {"paper": PAPER})


def toy(method: str = "imp", worse: float = 0.0, **own: str) -> TaskView:
    named = Method(name=method)
    found = view(
        lambda arm, level, r: value(arm, level, r) - worse * level * (1 + 0.1 * r),
        spec(**own),
        arms=("winning",),
        method=named,
    )
    return replace(found, method=named)


def transfers(*pairs: tuple[str, str]) -> list[TaskView]:
    return [pair(target, source, 0.01) for target, source in pairs]


MATRIX = [("wide", "wide"), ("wide", "narrow"), ("narrow", "wide"), ("narrow", "narrow")]


def run_of(tasks: Sequence[TaskView]) -> RunView:
    return RunView("run", "lottery run paper", tuple(tasks))


def found(tasks: Sequence[TaskView]) -> Paper:
    (only,) = papers(judged(run_of(tasks)), [f"t{i}" for i in range(len(tasks))])
    return only


def test_a_run_without_a_papers_tasks_has_none_of_its_figures() -> None:
    assert papers(judged(run_of([toy("one-shot")])), ["t0"]) == []


def test_a_figure_has_what_its_tasks_say_on_which_data_and_the_others_are_named_as_absent() -> None:
    paper = found([toy()])
    shown = paper.shown[0]
    assert shown.figure.name == "controls"
    assert shown.seen[0].anchor == "t0"
    assert shown.seen[0].title == f"{spec().title} (smoke, data {spec().data.name})"
    assert shown.seen[0].sentences[0].startswith("At ")
    assert shown.missing == ()
    assert paper.absent == ("datasets", "depths", "masks")


def test_a_figure_of_several_methods_compares_their_tickets() -> None:
    paper = found([toy(), toy("snip", worse=0.05)])
    assert [each.figure.name for each in paper.shown] == ["controls", "methods"]
    (sentence,) = paper.shown[1].seen[0].sentences
    assert sentence.startswith("Over all densities tickets of imp against those of snip: +")
    assert sentence.endswith("wins.")


def test_a_figure_of_several_methods_of_which_one_was_run_says_what_is_missing() -> None:
    methods = found([toy()]).shown[1]
    assert methods.seen[0].sentences == ("Tickets of imp alone: without snip there is nothing to compare them with.",)
    assert methods.missing == ("Not run here at smoke: vision/toy by snip.",)


def test_each_method_stands_against_the_arms_that_a_figure_names(monkeypatch: pytest.MonkeyPatch) -> None:
    arms = figure("methods", Panel(tasks=("vision/toy",), methods=("imp", "snip"), arms=("winning", "random")))
    monkeypatch.setattr(module, "collections", lambda: {"paper": PAPER.model_copy(update={"figures": (arms,)})})
    both = [replace(view(value, arms=("winning", "reinit", "random")), method=Method(name=n)) for n in ("imp", "snip")]
    _, *against = found(both).shown[0].seen[0].sentences
    assert [line.split(" at ")[0] for line in against] == ["By imp,", "By snip,"]
    assert all("random" in line and "reinit" not in line for line in against)


def test_tasks_of_a_figure_that_were_not_run_or_have_no_finished_cell_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    three = figure("controls", Panel(tasks=("vision/toy", "vision/second", "vision/third")))
    monkeypatch.setattr(module, "collections", lambda: {"paper": PAPER.model_copy(update={"figures": (three,)})})
    unfinished = replace(toy(id="vision/second"), cells=())
    (shown,) = found([toy(), unfinished]).shown
    assert [seen.anchor for seen in shown.seen] == ["t0"]
    assert shown.missing == ("Not run here at smoke: vision/second, vision/third.",)
    assert papers(judged(run_of([unfinished])), ["t0"]) == []


def test_many_transfers_that_were_not_run_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMED", 1)
    few = found(transfers(("wide", "narrow"), ("narrow", "narrow")))
    assert few.shown[0].missing == ("Not run here at smoke: 2 of 4 transfers.",)


def test_a_run_is_asked_for_a_paper_by_something_of_every_figure() -> None:
    some = [toy(), toy("snip"), *transfers(("wide", "narrow"), ("wide", "deep"))]
    masks = pair("narrow", "wide", 0.01)
    source = masks.source
    assert source is not None
    assert not found(some).asked
    assert found([*some, replace(masks, cells=(), source=replace(source, carry="mask"))]).asked


def test_methods_compared_on_two_tasks_lead_to_the_section_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    both = figure("methods", Panel(tasks=("vision/toy", "vision/second"), methods=("imp", "snip")))
    monkeypatch.setattr(module, "collections", lambda: {"paper": PAPER.model_copy(update={"figures": (both,)})})
    second = {"id": "vision/second", "title": "Second"}
    paper = found([toy(), toy("snip", worse=0.05), toy(**second), toy("snip", worse=0.05, **second)])
    assert [(seen.title.split(",")[0], seen.anchor) for seen in paper.shown[0].seen] == [
        (spec().title, "t0"), ("Second", "t2")
    ]  # fmt: skip


def test_a_figure_of_transfers_has_the_findings_of_its_own_matrix() -> None:
    paper = found([*transfers(*MATRIX), *transfers(("wide", "deep"))])
    assert {each.figure.name: len(each.seen) for each in paper.shown} == {"datasets": 1, "depths": 1}
    assert all("deep" not in line for line in paper.shown[0].seen[0].sentences)


def test_tickets_on_their_own_task_alone_are_no_transfer() -> None:
    assert papers(judged(run_of(transfers(("wide", "wide")))), ["t0"]) == []


def test_transfers_that_are_no_whole_matrix_are_told_apart_by_figure() -> None:
    both = matrices_of(judged(run_of([*transfers(*MATRIX), *transfers(("wide", "deep"), ("deep", "narrow"))])))
    assert [sorted(each.pairs) for each in both] == [
        sorted((f"vision/{t}-net-sgd", f"vision/{s}-net-sgd") for t, s in MATRIX),
        [(WIDE, DEEP)],
        [(DEEP, NARROW)],
    ]
    (whole,) = matrices_of(judged(run_of(transfers(("wide", "deep"), ("wide", "narrow")))))
    assert whole.sources == (DEEP, NARROW)


def test_page_terminal_and_json_say_what_the_paper_showed_and_what_came_out(tmp_path: Path) -> None:
    run = run_of([toy(), toy("snip", worse=0.05)])
    page = Page(text := write_report(run, tmp_path).read_text())
    assert page.open == []
    assert set(page.refs) <= set(page.ids)
    assert "Figure by figure: A paper" in text
    assert "controls was seen" in text
    paper = found(run.tasks)
    (as_data,) = as_json(run)["papers"]
    assert as_data == paper_json(paper)
    lines = paper_lines(paper)
    assert lines[1] == "controls. The paper, on CIFAR-10: controls was seen"
    assert lines[-1] == "Not run here: datasets; depths; masks."
