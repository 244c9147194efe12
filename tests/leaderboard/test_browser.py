"""The site in a real headless Chromium: what a reader clicks, types and sees, and that nothing leaves the page."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chromium import launched, served
from site_boards import HOSTILE, entries, write

from suite.leaderboard.site import build_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

TABLE = "table[data-rows=measured] >> nth=0"
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    build_site(write(root / "board", entries()), root / "out")
    return root / "out"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with launched() as found:
        yield found


@pytest.fixture
def opened(browser: "Browser", address: str) -> Iterator[Open]:
    """Opens a page of the site; at the end no page had an error, a complaint, or asked anybody else for anything."""
    contexts, wrong = [], []

    def go(path: str = "domains/vision.html", base: str = address, **options: object) -> "Page":
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith((base, "data:")) else wrong.append(f"asked {r.url}"))
        page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(base + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def titles(page: "Page", table: str = TABLE) -> list[str]:
    """First words of the rows shown, top to bottom."""
    found: list[str] = page.eval_on_selector(
        table, "table => [...table.tBodies[0].rows].filter(r => !r.hidden).map(r => r.dataset.entry)"
    )
    return found


def lines(page: "Page") -> list[str]:
    """Labels of the curves drawn."""
    found: list[str] = page.eval_on_selector_all("[data-line]", "lines => lines.map(l => l.dataset.line)")
    return found


def column(page: "Page", name: str) -> str | None:
    return page.locator(TABLE).locator(f"th[data-key='{name}']").get_attribute("aria-sort")


def test_tables_start_sorted_by_area_with_unranked_entries_last(opened: Open) -> None:
    page = opened()
    assert titles(page) == ["imp", "snip", "weak", "hostile", "lost"]
    assert column(page, "area") == "descending"


def test_a_click_sorts_and_a_second_one_turns_the_order(opened: Open) -> None:
    page = opened()
    head = page.locator(TABLE).get_by_role("button", name="entry")
    head.click()
    titled = titles(page)
    assert titled == ["hostile", "imp", "lost", "snip", "weak"]
    assert (column(page, "entry"), column(page, "area")) == ("ascending", None)
    head.click()
    assert titles(page) == titled[::-1]
    assert column(page, "entry") == "descending"
    page.locator(TABLE).get_by_role("button", name="critical density").click()
    assert titles(page)[0] == "imp"
    assert titles(page)[-1] == "hostile"  # none shown: no value, last either way
    page.locator(TABLE).get_by_role("button", name="critical density").click()
    assert titles(page)[-1] == "hostile"


def test_rules_part_the_ranks(opened: Open) -> None:
    page = opened()
    places = page.eval_on_selector_all(
        "table[data-rows=measured] >> nth=0 >> tbody tr",
        "rows => rows.map(r => [r.cells[3].dataset.rank, r.classList.contains('lead')])",
    )
    assert [place for place, _ in places] == ["1", "2", "3", "4", ""]
    assert [lead for _, lead in places] == [False] + [a[0] != b[0] for a, b in pairwise(places)]


def test_sorting_works_by_keyboard_alone_and_keeps_the_focus(opened: Open) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th')?.dataset.key") == "method":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert titles(page)[-1] == "weak"
    page.keyboard.press("Space")
    assert (titles(page)[0], column(page, "method")) == ("weak", "descending")
    assert page.evaluate("document.activeElement.closest('th').dataset.key") == "method"


def test_the_filter_hides_rows_and_says_how_many_are_left(opened: Open) -> None:
    page = opened()
    status = page.get_by_role("status").first
    assert status.text_content() == "8 of 8 entries shown"
    page.get_by_role("searchbox").first.fill("SNIP one-shot")
    assert titles(page) == ["snip"]
    assert status.text_content() == "1 of 8 entries shown"
    page.get_by_role("searchbox").first.fill("no such thing")
    assert titles(page) == []
    assert status.text_content() == "0 of 8 entries shown"
    page.get_by_role("searchbox").first.fill("")
    assert len(titles(page)) == 5


def test_chosen_entries_and_arms_are_laid_over_one_another_with_bands(opened: Open) -> None:
    page = opened()
    tail = "(1.0.0, quick): winning"
    assert sorted(lines(page)) == [f"{name} on toys {tail}" for name in ("imp", "snip", "weak")]
    assert page.locator("[data-band]").count() == 3
    page.get_by_label("draw the curves of snip").uncheck()
    page.get_by_label("draw the curves of older").check()
    page.get_by_label("reinit", exact=True).check()
    assert len(lines(page)) == 6
    assert "older on toys (0.9.0, quick): reinit" in lines(page)
    assert len(set(page.eval_on_selector_all("[data-line]", "ls => ls.map(l => l.style.stroke)"))) == 3
    for name in ("imp", "weak"):
        page.get_by_label(f"draw the curves of {name}").uncheck()
    assert lines(page) == ["winning", "reinit"]  # of one entry: colours are the arms', dense and margin are shown
    assert page.locator("[data-margin]").count() == 1
    page.get_by_label("draw the curves of older").uncheck()
    assert lines(page) == []
    assert "tick an entry" in (page.locator("figcaption").first.text_content() or "")


def test_sparser_is_further_right_on_a_logarithmic_axis(opened: Open) -> None:
    page = opened("entries/vision/imp.html")
    points = page.eval_on_selector("[data-line=winning]", "l => [...l.points].map(p => p.x)")
    steps = [b - a for a, b in pairwise(points)]
    assert len(points) == 9
    assert all(step > 0 for step in steps)
    assert max(steps) - min(steps) < 0.01 * max(steps)  # .8^n: equal steps


def test_a_reported_curve_is_drawn_without_a_band(opened: Open) -> None:
    page = opened()
    for name in ("imp", "snip", "weak"):
        page.get_by_label(f"draw the curves of {name}").uncheck()
    page.get_by_label("draw the curves of A paper's figures").last.check()
    assert len(lines(page)) == 1
    assert page.locator("[data-band]").count() == 0


def test_a_deep_link_brings_back_sort_filter_and_overlay(opened: Open) -> None:
    page = opened()
    page.get_by_label("draw the curves of snip").uncheck()
    page.get_by_label("random", exact=True).check()
    page.get_by_role("searchbox").first.fill("toys & <b>")
    page.get_by_role("searchbox").first.fill("magnitude")
    page.locator(TABLE).get_by_role("button", name="64 %", exact=True).click()
    page.locator(TABLE).get_by_role("button", name="64 %", exact=True).click()
    before = titles(page), lines(page), page.get_by_role("status").first.text_content(), column(page, "64%")
    page.reload()
    after = titles(page), lines(page), page.get_by_role("status").first.text_content(), column(page, "64%")
    assert after == before
    assert before[3] == "ascending"
    other = opened(f"domains/vision.html#{page.url.partition('#')[2]}")
    assert (titles(other), lines(other)) == before[:2]


def test_a_link_to_a_section_keeps_what_is_chosen(opened: Open) -> None:
    page = opened()
    page.get_by_label("random", exact=True).check()
    chosen = lines(page)
    page.get_by_role("link", name="How to read the tables").click()
    assert lines(page) == chosen
    page.get_by_label("random", exact=True).uncheck()
    assert "arm." not in page.url


@pytest.mark.parametrize("state", ["draw.vision-toy=gone&sort.no=a.b", "arm.vision-toy=&draw.vision-toy=", "%=%&="])
def test_a_link_that_no_longer_fits_does_no_harm(opened: Open, state: str) -> None:
    assert len(titles(opened(f"domains/vision.html#{state}"))) == 5


def test_an_entry_named_like_a_script_shows_as_text(opened: Open) -> None:
    page = opened("entries/vision/hostile.html")
    assert page.get_by_role("heading", level=1).text_content() == HOSTILE
    other = opened()
    other.get_by_label("draw the curves of <script>").check()
    legend = other.locator(".legend").first.text_content() or ""
    assert "<script>alert(1)</script>" in legend


@pytest.mark.parametrize("path", ["index.html", "domains/vision.html", "entries/vision/imp.html", "domains/nlp.html"])
def test_a_phone_scrolls_tables_in_their_box_and_never_the_page(opened: Open, path: str) -> None:
    page = opened(path, viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    if path != "index.html":
        wide = page.eval_on_selector_all(".scroll", "bs => bs.some(b => b.scrollWidth > b.clientWidth)")
        assert wide
        assert page.evaluate("[...document.querySelectorAll('.canvas svg')].every(s => s.clientWidth < 320)")


def test_dark_mode_changes_the_page_and_its_curves(opened: Open) -> None:
    seen = set()
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        seen.add((body, page.eval_on_selector("[data-line]", "l => getComputedStyle(l).stroke")))
    assert len({body for body, _ in seen}) == len({stroke for _, stroke in seen}) == 2


def test_every_page_is_named_and_labelled_for_a_screen_reader(opened: Open, address: str, folder: Path) -> None:
    page = opened("index.html")
    for path in sorted(folder.rglob("*.html")):
        page.goto(f"{address}{path.relative_to(folder)}")
        faults = page.evaluate(
            """() => {
              const named = {table: t => t.caption?.textContent.trim(), input: i => i.labels?.[0]?.textContent.trim(),
                th: t => t.scope, '.canvas svg': s => s.getAttribute('aria-label'), '[role=region]': r => r.ariaLabel};
              return Object.keys(named).filter(s => ![...document.querySelectorAll(s)].every(named[s]));
            }"""
        )
        assert (faults, page.locator("h1").count()) == ([], 1), path


def test_tables_still_read_and_no_dead_control_shows_without_javascript(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("tr[data-entry=imp]").is_visible()
    assert page.locator("input:visible").count() == page.locator("button").count() == 0
    assert page.locator("noscript p").first.is_visible()


def test_the_folder_works_when_opened_as_files(opened: Open, folder: Path) -> None:
    page = opened("index.html", base=f"{folder.as_uri()}/")
    page.get_by_role("link", name="vision", exact=True).first.click()
    page.wait_for_url("**/domains/vision.html")
    assert len(lines(page)) == 3
    page.get_by_role("link", name="imp on toys", exact=True).first.click()
    page.wait_for_url("**/entries/vision/imp.html")
    assert lines(page) == ["winning", "reinit", "random"]


def test_print_leaves_controls_out_and_opens_what_is_folded(opened: Open) -> None:
    page = opened()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert not page.get_by_role("searchbox").first.is_visible()
    assert page.locator("details[open]").count() == page.locator("details").count() > 0
    assert page.locator("tr[data-entry=imp]").is_visible()
