"""The page, the terminal and the JSON of a matrix of transfers."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console
from synthetic_transfers import matrix, run
from test_report import Page

from suite.results import transfer_words
from suite.results.report import as_json, write_report
from suite.results.text import transfer_lines, transfer_tables
from suite.results.transfer_plots import gain_figure, matrix_figure

HEAD = "head.weight, head.bias (1,290 values)"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(run(fresh=HEAD), tmp_path_factory.mktemp("report")).read_text()


def test_the_page_is_whole_and_asks_the_network_for_nothing(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refs) <= set(page.ids)
    assert page.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_page_begins_with_the_findings_of_the_matrix_in_words(text: str) -> None:
    summary = text[text.index('<ul class="summary">') : text.index("</ul>")]
    assert re.findall(r"<p>([^<]+)</p>", summary) == transfer_words.findings(matrix(fresh=HEAD))
    assert summary.count("<li>") == 1  # pairs have their sections, and no item of their own


def test_the_page_has_every_gain_every_rank_and_what_is_drawn_anew(text: str) -> None:
    section = text[text.index('id="transfer-0"') : text.index('id="vision-wide-net-sgd-from-vision-wide-net-sgd"')]
    found = matrix()
    for pair in found.pairs.values():
        for verdict in pair.gains.values():
            assert f"{verdict.difference:+.4g}".replace("-", "−") in section
    assert "wide (its own)" in section
    assert "Sources ranked on narrow" in section
    assert "Sources ranked over 2 targets" in section
    assert "Drawn anew under every arm" in section
    assert HEAD in section
    assert "wide on wide; narrow on wide; wide on narrow; narrow on narrow" in section


def test_a_panel_for_each_pair_shows_winning_random_and_dense() -> None:
    found = matrix()
    panels = matrix_figure(found).axes
    assert len(panels) == 4
    curves = found.pairs["vision/wide-net-sgd", "vision/narrow-net-sgd"].judgement.curves
    lines = {str(line.get_label()): line for line in panels[1].lines}
    for arm in ("winning", "random"):
        assert list(lines[arm].get_ydata()) == [point.mean for point in curves.arms[arm][1:]]
    flat = [line for line in panels[1].lines if len(set(np.atleast_1d(line.get_ydata()))) == 1]
    assert curves.dense.mean in [np.atleast_1d(line.get_ydata())[0] for line in flat]


def test_the_heat_map_numbers_are_gains_with_their_verdicts() -> None:
    found = matrix()
    maps = [axes for axes in gain_figure(found).axes if axes.texts]
    assert len(maps) == 3
    texts = [text.get_text() for text in maps[2].texts]
    assert texts == [transfer_words.gain(pair.gains[3]) for pair in found.pairs.values()]
    assert all(text.endswith("*") for text in texts)


def test_a_terminal_of_eighty_columns_holds_words_and_tables() -> None:
    found = matrix(targets=("fashion-mnist", "tiny-imagenet"), good={"tiny-imagenet": 0.03, "cifar10-jpeg": -0.0004})
    console = Console(width=80, record=True, file=io.StringIO())
    for table in transfer_tables(found):
        console.print(table)
    lines = [*transfer_lines(found, 80), console.export_text()]
    assert max(len(line) for text in lines for line in text.splitlines()) <= 80
    assert any("(own)" in line for text in lines for line in text.splitlines())
    assert "84 of 84 cells" in lines[0]


def test_json_has_the_matrix_beside_the_tasks() -> None:
    found = json.loads(json.dumps(as_json(run(fresh=HEAD)), allow_nan=False))
    assert [task["source"]["task"] for task in found["tasks"]][:2] == ["vision/wide-net-sgd", "vision/narrow-net-sgd"]
    (transfer,) = found["transfers"]
    assert (transfer["carry"], transfer["method"], transfer["scale"]) == ("both", "imp", "smoke")
    pair = next(
        p for p in transfer["pairs"] if (p["target"], p["source"]) == ("vision/narrow-net-sgd", "vision/wide-net-sgd")
    )
    assert pair["gain_over_random"]["verdict"] == "wins"
    assert [row["level"] for row in pair["by_density"]] == [1, 2, 3]
    assert pair["drawn_anew"] == HEAD
    assert [rank["place"] for rank in transfer["ranks"]["vision/narrow-net-sgd"]] == [1, 2]
    assert transfer["overall"]["targets"] == ["vision/wide-net-sgd", "vision/narrow-net-sgd"]
