"""The page is whole, says everything, and runs nothing it was not meant to run."""

import csv
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_cells import papers, spec, view

from suite.experiment.method import Method
from suite.results import words
from suite.results.report import as_json, write_report
from suite.results.text import finding_lines, judged
from suite.results.view import RunView, TaskView

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Ids, headings, open tags and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.refs: list[str] = []
        self.headings: list[int] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.regions: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.refs += [str(v)[1:] for k, v in attrs if k in ("href", "xlink:href") and str(v).startswith("#")]
        self.refs += str(found.get("aria-labelledby") or "").split()
        self.refs += [ref for _, v in attrs for ref in re.findall(r"url\(#([^)]+)\)", str(v))]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if found.get("class") == "scroll":
            self.regions.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def run_of(*tasks: TaskView, command: str = "lottery run vision/toy --replicates 3") -> RunView:
    return RunView("a run", command, tasks)


def hard(arm: str, level: int, replicate: int) -> float | None:
    """A run with everything that can be missing: one diverged."""
    return None if (arm, level, replicate) == ("random", 4, 1) else papers(arm, level, replicate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two tasks of one id, with a diverged cell, a missing one and hostile text."""
    path = tmp_path_factory.mktemp("report")
    hostile = spec(title="<script>alert('x')</script> & $x$", about="<img src=x onerror=alert(1)>")
    tasks = (
        view(hard, hostile, skip=[("reinit", 3, 2)], references={"baseline <b>": {"<i>": 0.9}}),
        view(papers, spec(metric={"margin": 0.0}), replicates=(0,), levels=1, method=Method(rate=0.5)),
    )
    command = 'lottery run vision/toy --plugin "a<b>.py"'
    assert write_report(run_of(*tasks, command=command), path / "deep" / "er") == path / "deep" / "er" / "report.html"
    return path / "deep" / "er"


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text()


def test_every_tag_is_closed_and_every_id_is_its_own(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refs) <= set(page.ids)
    assert any(ref.startswith("vision-toy-2") for ref in page.refs)


def test_text_of_a_task_is_shown_as_text(text: str) -> None:
    page = Page(text)
    assert page.tags.count("script") == 1  # the page's own
    assert "img" not in page.tags
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; $x$" in text
    assert "baseline &lt;b&gt;" in text
    assert "a&lt;b&gt;.py" in text


def test_the_page_asks_the_network_for_nothing(text: str) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # namespaces
    assert not re.search(r"@import|<link|\bsrc=", text.replace("&lt;img src=x", ""))


def test_headings_are_in_order_and_pictures_speak(text: str) -> None:
    page = Page(text)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    pictures = re.findall(r"<svg[^>]*>.{0,40}", text)
    assert pictures
    assert all('role="img"' in picture and "<title" in picture for picture in pictures)


def test_tables_scroll_in_a_box_of_their_own_that_the_keyboard_reaches(text: str) -> None:
    page = Page(text)
    assert len(page.regions) == page.tags.count("table")
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in page.regions)
    assert re.search(r"\.scroll \{ overflow-x: auto", text)


def test_dark_mode_is_for_screens_only_and_recolours_the_figures(text: str) -> None:
    dark = re.search(r"@media screen and \(prefers-color-scheme: dark\)(.*?)\} \}", text, re.DOTALL)
    assert dark
    assert "--c0072b2: #56b4e9" in dark.group(1)
    assert "var(--c0072b2)" in text
    assert "#0072b2" not in "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))


def test_nothing_is_hidden(text: str) -> None:
    assert "random level 4 replicate 1" in text
    assert "<td>diverged</td>" in text
    assert "<td>missing</td>" in text
    assert "reinit 1" in text
    assert "smoke, imp: 38 of 39 cells finished, 1 diverged" in text
    assert f"{papers('reinit', 2, 1):.4g}" in text
    assert "a verdict takes 3" in text


@pytest.mark.parametrize(
    "wanted",
    ["c0ffee", "ab" * 32, "Toy CPU", "torch 2.13", "peak memory", "3 MiB", "The whole network",
     "fc2.weight", "loss as seen in training", "critical density", spec().hash],
)  # fmt: skip
def test_cost_provenance_layers_traces_and_glossary_are_there(text: str, wanted: str) -> None:
    assert wanted in text


def test_figures_lie_beside_the_page_under_the_tasks_name(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"vision-toy.png", "vision-toy.svg", "vision-toy-2.png", "vision-toy-layers.svg", "vision-toy.csv"} <= names
    assert not [name for name in names if name.startswith(".")]
    assert (folder / "vision-toy.png").read_bytes().startswith(b"\x89PNG")


def test_every_cell_is_in_the_file_beside_the_page_with_its_key(folder: Path, text: str) -> None:
    rows = list(csv.DictReader((folder / "vision-toy.csv").open()))
    assert len(rows) == 38
    found = {row["key"]: row for row in rows}
    assert float(found["winning-3-2"]["value"]) == papers("winning", 3, 2)
    assert (found["random-4-1"]["value"], found["random-4-1"]["diverged"]) == ("", "True")
    assert 'href="vision-toy.csv"' in text


def test_the_file_has_every_further_test_score(tmp_path: Path) -> None:
    cells = [cell.model_copy(update={"test": {**cell.test, "zeal": cell.level / 2}}) for cell in view(papers).cells]
    write_report(RunView("x", "lottery run", (replace(view(papers), cells=tuple(cells)),)), tmp_path)
    rows = list(csv.DictReader((tmp_path / "vision-toy.csv").open()))
    assert [float(row["zeal"]) for row in rows] == [int(row["level"]) / 2 for row in rows]


def test_the_findings_begin_with_the_verdict_over_all_densities(tmp_path: Path) -> None:
    run = run_of(view(papers))
    text = write_report(run, tmp_path).read_text()
    (first,) = re.findall(r'<ul class="summary">.*?<p>(At .*?)</p>', text, re.DOTALL)
    (_, judgement), *_ = judged(run)
    assert unescape(first) == words.sentence(words.lead(judgement.primary[0], spec().metric))
    assert text.index("over all densities</caption>") < text.index("Density by density")


def test_scores_that_the_metric_cannot_have_are_named(tmp_path: Path) -> None:
    """Such as those of a game below 0 under the bounds of another."""
    impossible = view(papers, spec(metric={"lowest": 0.99}), replicates=(0,), levels=1)
    said = "cells have accuracy outside 0.99 to inf, which the task states as its bounds: one of both is wrong."
    assert f"{len(impossible.cells)} {said}" in write_report(run_of(impossible), tmp_path / "a").read_text()
    assert said in " ".join(" ".join(finding_lines(judged(run_of(impossible)), 80)).split())
    ((named, *others),) = (task["out_of_bounds"] for task in as_json(run_of(impossible))["tasks"])
    assert (named, len(others)) == ({"arm": "dense", "level": 0, "replicate": 0}, len(impossible.cells) - 1)
    scores = [cell.value for cell in impossible.cells]
    within = view(papers, spec(metric={"lowest": min(scores), "highest": max(scores)}), replicates=(0,), levels=1)
    assert "as its bounds" not in write_report(run_of(within), tmp_path / "b").read_text()


def test_many_replicates_make_no_wide_table(tmp_path: Path) -> None:
    few, many = (
        write_report(run_of(view(papers, replicates=tuple(range(n)), levels=1)), tmp_path / str(n)).read_text()
        for n in (50, 51)
    )
    assert '<th scope="col">replicate 49</th>' in few
    assert '<th scope="col">replicate' not in many
    assert '<th scope="col">finished</th>' in many


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = run_of(view(hard))
    one, two = (write_report(run, tmp_path / name).parent for name in "ab")
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.parametrize("levels", [0, 1])
def test_a_run_that_has_just_begun_is_reported(tmp_path: Path, levels: int) -> None:
    none = view(papers, levels=levels, skip=[(a, n, r) for a in ("dense", "winning", "reinit", "random")
                                             for n in range(2) for r in range(3)])  # fmt: skip
    text = write_report(run_of(none), tmp_path).read_text()
    assert "No dense run is finished yet" in text
    json.dumps(as_json(run_of(none)), allow_nan=False)


def test_a_failed_write_leaves_the_old_page_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_report(run_of(view(papers, levels=1)), tmp_path)
    before, names = page.read_bytes(), sorted(tmp_path.iterdir())

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_report(run_of(view(papers, levels=2)), tmp_path)
    assert page.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names


def test_json_has_exactly_the_promised_keys() -> None:
    found = as_json(run_of(view(papers)))
    assert found["schema"] == 1
    (task,) = found["tasks"]
    assert set(task) == {
        "task", "version", "hash", "scale", "method", "metric", "replicates", "arms", "primary", "verdicts",
        "critical_density", "area", "empty_layers", "missing", "missing_masks", "diverged", "out_of_bounds",
        "scores",
    }  # fmt: skip
    assert (task["task"], task["version"], task["hash"]) == ("vision/toy", "1.0.0", spec().hash)
    assert set(task["arms"]) == {"winning", "reinit", "random"}
    point = task["arms"]["winning"][2]
    assert set(point) == {"level", "density", "values", "mean", "sd", "ci95"}
    assert point["values"] == [papers("winning", 2, r) for r in range(3)]
    assert point["mean"] == pytest.approx(sum(point["values"]) / 3)
    assert [v["level"] for v in task["verdicts"] if v["against"] == "dense"] == [1, 2, 3, 4]
    assert {v["comparison"] for v in task["verdicts"]} == {
        "winning - reinit", "winning - random", "winning - dense",
    }  # fmt: skip


def test_json_has_the_verdict_of_every_comparison() -> None:
    (task,) = as_json(run_of(view(papers)))["tasks"]
    assert [v["comparison"] for v in task["primary"]] == ["winning - reinit", "winning - random", "winning - dense"]
    first = task["primary"][0]
    assert set(first) == {
        "comparison", "against", "densities", "at_sparsest", "n", "difference", "ci95", "p", "verdict", "reason",
        "replicates_needed",
    }  # fmt: skip
    assert first["at_sparsest"]["reinit"] == pytest.approx(sum(papers("reinit", 4, r) for r in range(3)) / 3)


def test_json_names_what_is_not_there() -> None:
    (task,) = as_json(run_of(view(hard, skip=[("reinit", 3, 2)], references={"trigram": {"accuracy": 0.4}})))["tasks"]
    assert task["missing"] == [{"arm": "reinit", "level": 3, "replicate": 2}]
    assert task["diverged"] == [{"arm": "random", "level": 4, "replicate": 1}]
    assert task["arms"]["random"][4]["values"][1] is None
    dense = sum(hard("dense", 0, r) or 0.0 for r in range(3)) / 3
    assert task["scores"]["trigram"] == {"accuracy": 0.4}
    assert task["scores"]["dense"]["accuracy"] == pytest.approx(dense)


@pytest.mark.parametrize("score", [1e308, 1e-308, 0.0])
def test_json_is_finite_whatever_the_scores(score: float) -> None:
    run = run_of(view(lambda arm, level, replicate: score * (1 - 2 * (replicate % 2)), replicates=tuple(range(10))))
    text = json.dumps(as_json(run), allow_nan=False)
    values = json.loads(text)["tasks"][0]["arms"]["winning"][0]["values"]
    assert [abs(v) for v in values] == [score] * 10


def test_json_gives_the_interquartile_mean_beside_the_mean() -> None:
    rl = spec(id="rl/toy", metric={"statistic": "interquartile-mean"})
    (ten,) = as_json(run_of(view(papers, rl, replicates=tuple(range(10)))))["tasks"]
    (three,) = as_json(run_of(view(papers, rl)))["tasks"]
    point = ten["arms"]["winning"][1]
    assert point["iqm_ci95"][0] <= point["iqm"] <= point["iqm_ci95"][1]
    assert math.isclose(point["iqm"], sum(sorted(point["values"])[2:-2]) / 6)
    assert math.isclose(point["mean"], sum(point["values"]) / 10)
    assert "iqm" not in three["arms"]["winning"][1]


def test_results_need_neither_torch_nor_the_machinery_that_runs() -> None:
    code = (
        "import sys, suite.results.report, suite.results.text;"
        "print(*[m for m in sys.modules if m in ('torch', 'matplotlib.pyplot') or m.startswith('suite.experiment.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    contracts = {"errors", "frozen", "learner", "method", "options", "result", "runtime", "streams", "task"}
    contracts |= {"barrier", "domain", "explain"}  # what a result says of its versions, and how a manifest is checked
    contracts |= {"collection"}  # what the figures of a paper showed
    assert set(out) <= {f"suite.experiment.{name}" for name in contracts}
