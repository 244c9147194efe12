"""The static site: what it says, that nothing an entry says becomes markup, and how its files are replaced."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from site_boards import HOSTILE, entries, write
from synthetic_entries import fading, measured, reported

from suite.experiment.errors import UsageError
from suite.leaderboard.board import Board
from suite.leaderboard.site import build_site, render
from suite.leaderboard.standing import groups, standing
from suite.results import words
from tests.commands import lottery

VOID = {"meta", "link", "input", "br", "hr", "img"}
LOADS = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "object": "data",
    "source": "src",
    "use": "href",
}


class Page(HTMLParser):
    """Tags closed in order, ids once, text and links collected; data in script elements kept apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not [name for name in given if name.startswith("on") or name == "style"]
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag in LOADS and given.get(LOADS[tag]):
            self.loads.append(given[LOADS[tag]] or "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, *starts: str) -> list[str]:
        """The first row whose first cells begin so."""
        return next(r for r in self.rows if all(cell.strip().startswith(s) for cell, s in zip(r, starts, strict=False)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return render(write(tmp_path_factory.mktemp("board"), entries())).files


@pytest.fixture(scope="module")
def pages(site: dict[str, str]) -> dict[str, Page]:
    return {name: Page(text) for name, text in site.items() if name.endswith(".html")}


def test_there_is_a_page_of_the_board_of_every_domain_and_of_every_entry(site: dict[str, str]) -> None:
    names = {f"entries/{entry.domain}/{entry.id}.html" for entry in entries()}
    assert set(site) == {"index.html", "board.css", "board.js", "domains/nlp.html", "domains/vision.html"} | names


def test_every_tag_is_closed_and_every_id_is_there_once(pages: dict[str, Page]) -> None:
    for name, page in pages.items():  # Page itself checks the tags
        assert len(page.ids) == len(set(page.ids)), name


def test_every_link_within_the_site_leads_to_a_page_and_a_place_on_it(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for link in page.links:
            if link.startswith(("https://", "http://")):
                continue
            path, _, place = link.partition("#")
            target = (Path("/") / name).parent / path if path else Path("/") / name
            found = pages[str(Path(str(target.resolve())).relative_to("/"))]
            assert not place or place in found.ids, (name, link)


def test_pages_load_nothing_but_the_sites_own_files(site: dict[str, str], pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        root = "../" * name.count("/")
        assert page.loads == ["data:,", f"{root}board.css", f"{root}board.js"]
        assert "default-src 'none'" in site[name]
    assert not re.search(r"@import|url\(", site["board.css"])
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|WebSocket|sendBeacon|innerHTML|eval)\b", site["board.js"])


def test_text_of_an_entry_shows_as_text(site: dict[str, str], pages: dict[str, Page]) -> None:
    for name in ("domains/vision.html", "entries/vision/hostile.html", "entries/vision/never-measured.html"):
        assert "<script>alert" not in site[name]
        assert "<script>alert(1)</script>" in pages[name].text
    assert all("javascript:" not in link for page in pages.values() for link in page.links)
    assert "javascript:alert(1)" in pages["entries/vision/hostile.html"].text


def test_embedded_data_holds_no_character_that_could_end_it(pages: dict[str, Page]) -> None:
    (data,) = [script for script in pages["domains/vision.html"].scripts if script.strip()]
    assert not re.search("[<>&\u2028\u2029]", data)
    labels = [entry["label"] for entry in json.loads(data)["entries"]]
    assert f"{HOSTILE} (1.0.0, quick)" in labels


def test_a_table_leads_with_rank_area_and_the_verdicts_over_all_densities(pages: dict[str, Page]) -> None:
    page = pages["domains/vision.html"]
    order = [row[0].split(" on toys")[0].strip() for row in page.rows if len(row) == 20 and "A. Tester" in row[0]]
    assert [name.split(" ")[-1] for name in order] == ["imp", "snip", "weak", "lost"]
    imp, weak = (page.row(f"draw the curves of {name}") for name in ("imp", "weak"))
    assert imp[3].strip().startswith("rank 1: 0.99")
    assert weak[3].strip().startswith("rank 3: ")
    judged = standing(measured(levels=8, replicates=5))
    for column, arm in ((4, "reinit"), (5, "random"), (6, "dense")):
        verdict = judged.against(arm)
        assert verdict is not None
        shown = f"{verdict.verdict} {words.number(verdict.difference, True)}{words.interval(verdict.ci95, True)}"
        assert imp[column].strip() == shown
    assert imp[7].strip() == words.percent(judged.judgement.critical_density) != words.NOTHING
    assert re.match(r"0\.9\d+\[0\.9\d+, 0\.9\d+\]", imp[9].strip())


def test_a_table_and_an_entrys_page_have_one_frozen_reference(tmp_path: Path) -> None:
    def poor(arm: str, level: int, r: int) -> float:
        return fading(arm, level, r) - {"dense": 0.05, "winning": 0.01 + 0.001 * r}.get(arm, 0)

    later = measured().provenance.model_dump(mode="json") | {"date": "2026-11-29T00:00:00+00:00"}
    board = write(tmp_path, [measured(replicates=5), measured(poor, "poor", replicates=5, provenance=later)])
    site = render(board).files
    (group,) = groups(map(standing, board.measured()), board.references("vision"))
    assert group.reference is not None
    said = f"1 = {words.number(group.reference.dense)}, frozen with entry imp"
    assert f"area {said}" in Page(site["domains/vision.html"]).text
    for name, place in (("imp", 1), ("poor", 2)):
        shown = words.number(group.areas[name].estimate.mean)
        row = Page(site["domains/vision.html"]).row(f"draw the curves of {name}")
        assert row[3].strip().startswith(f"rank {place}: {shown}[")
        assert (
            f"{shown}95 % interval {words.interval(group.areas[name].estimate.interval)}; {said}"
            in Page(site[f"entries/vision/{name}.html"]).text
        )


def test_an_entry_of_three_replicates_has_no_rank_and_dots_without_a_band(tmp_path: Path) -> None:
    page = Page(
        render(write(tmp_path, [measured(replicates=5), measured(entry_id="few")])).files["domains/vision.html"]
    )
    assert page.row("draw the curves of few")[3].strip().endswith("not ranked: 3 replicates: a rank takes 5")
    (data,) = [script for script in page.scripts if script.strip()]
    drawn = {entry["id"]: entry["curves"]["winning"][1] for entry in json.loads(data)["entries"]}
    assert (drawn["few"]["band"], len(drawn["few"]["values"])) == (None, 3)
    assert (len(drawn["imp"]["band"]), drawn["imp"]["values"]) == (2, [])


def test_a_diverged_entry_is_shown_and_not_ranked(pages: dict[str, Page]) -> None:
    row = pages["domains/vision.html"].row("draw the curves of lost")
    assert "rank 1" not in row[3]
    assert "not ranked: replicate 1 of winning diverged" in row[3]
    assert "1 diverged" in row[13]
    assert "diverged" in pages["entries/vision/lost.html"].row("32.8 %", "5")


def test_another_version_has_a_table_of_its_own(pages: dict[str, Page]) -> None:
    page = pages["domains/vision.html"]
    assert "version 0.9.0, scale quick" in page.text
    row = page.row("draw the curves of older")
    assert row[3].strip().startswith("rank 1: ")
    assert len(row) == 16


def test_reported_rows_have_their_source_their_departure_and_no_rank(pages: dict[str, Page]) -> None:
    page = pages["domains/vision.html"]
    row = page.row("draw the curves of A paper's figures", "random reinit (fig. 3, <dotted>)")
    text = " ".join(row)
    assert "departs: 60,000 images where the task has 5,000." in text
    assert "Morcos et al. 2019, figure 2" in text
    assert "0.9 SD 0.01 n = 5" in text
    assert "rank" not in text
    assert "https://arxiv.org/abs/1906.02773" in page.links


def test_claims_have_a_verdict_from_measured_entries(site: dict[str, str], pages: dict[str, Page]) -> None:
    claim = pages["entries/vision/paper-says.html"]
    imp = claim.row("vision/toy", "imp on toys")
    verdict = standing(measured(levels=8, replicates=5)).against("random")
    assert verdict is not None
    said = f"{words.number(verdict.difference, True)} {words.interval(verdict.ci95, True)}"
    assert imp[4:] == ["wins", said, "8", "0", "0", "0", "holds"]
    assert claim.row("vision/toy", "snip on toys")[-1].endswith("not counted: other method")
    assert claim.row("vision/toy", "all counted entries")[-1] == "holds"
    assert "not measured" in pages["entries/vision/never-measured.html"].text
    beside = pages["entries/vision/beside.html"]
    assert "on vision/toy (quick): the opposite is seen." in beside.text
    assert beside.row("vision/toy", "imp on toys")[-1] == "substitute"
    assert "does not hold" not in beside.text
    assert "does-not-hold" not in site["entries/vision/beside.html"]


def test_an_entrys_page_has_every_value_digest_setting_and_cost(pages: dict[str, Page]) -> None:
    entry, page = measured(levels=8, replicates=5, scale="quick"), pages["entries/vision/imp.html"]
    for points in entry.curves.values():
        for point in points:
            assert all(f"{value:.6g}" in page.text for value in point.values)
            assert all(digest in page.text for digest in point.weights)
    for wanted in [ticket.digest for ticket in entry.tickets] + [entry.task.hash, entry.method.settings.hash]:
        assert wanted in page.text
    for wanted in ("c0ffee", "torch 2.14.1", "Toy CPU", "3,900", "3.9 G", "rewind_step", "schedule_after_rewind"):
        assert wanted in page.text
    assert "https://example.org/snip" in pages["entries/vision/snip.html"].links


def test_a_lower_metric_sorts_from_the_lowest(site: dict[str, str]) -> None:
    assert re.search(r'data-key="80%" data-first="ascending"', site["domains/nlp.html"])
    assert re.search(r'data-key="80%" data-first="descending"', site["domains/vision.html"])


def test_one_board_gives_one_site(site: dict[str, str], tmp_path: Path) -> None:
    assert render(write(tmp_path, entries()[::-1])).files == site


def test_an_empty_board_says_how_to_fill_it(tmp_path: Path) -> None:
    assert "no entries yet" in render(Board(tmp_path)).files["index.html"]


def test_a_domain_of_reported_figures_alone_has_its_page(tmp_path: Path) -> None:
    page = Page(render(write(tmp_path, [reported()])).files["domains/vision.html"])
    assert "A paper's figures" in page.text


def test_a_second_build_replaces_files_and_removes_only_its_own_pages(tmp_path: Path) -> None:
    out = tmp_path / "site"
    assert build_site(write(tmp_path / "board", entries()), out) == ()
    assert (out / "index.html").is_file()
    mine = out / "entries" / "vision" / "notes.html"
    mine.write_text("<p>mine</p>")
    (tmp_path / "board" / "vision" / "weak.json").unlink()
    before = (out / "domains" / "vision.html").stat().st_ino
    build_site(Board(tmp_path / "board"), out)
    assert (out / "domains" / "vision.html").stat().st_ino != before
    assert not (out / "entries" / "vision" / "weak.html").exists()
    assert mine.read_text() == "<p>mine</p>"
    assert not list(out.rglob(".*"))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"^cannot write the site to .*file: ") as caught:
        build_site(write(tmp_path / "board", [measured()]), tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_a_damaged_entry_is_named_and_left_out_and_the_others_have_their_pages(tmp_path: Path) -> None:
    board = write(tmp_path / "board", [measured(), measured(entry_id="short")])
    (board.root / "vision" / "bad.json").write_text("{")
    short = json.loads((path := board.root / "vision" / "short.json").read_text())
    short["curves"]["winning"][1]["values"].pop()
    path.write_text(json.dumps(short))
    done = lottery("board", "--board", board.root, "--out", tmp_path / "site")
    assert done.returncode == 1
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert ["bad.json: is no whole JSON text" in left_out[0], "vision/short: " in left_out[1]] == [True, True]
    assert "2 damaged entries left out of the site, the first: " in done.stderr.splitlines()[-1]
    assert {page.name for page in (tmp_path / "site" / "entries" / "vision").iterdir()} == {"imp.html"}
    assert "2 entries left out:" in (tmp_path / "site" / "index.html").read_text()
