"""The leaderboard as a static site: one folder of HTML, one style sheet and one script, to host anywhere or open as is.

index.html   domains/<domain>.html   entries/<domain>/<entry id>.html   board.css   board.js
"""

from collections.abc import Collection
from pathlib import Path

import jinja2

from suite.experiment.errors import UsageError
from suite.files import replace_file
from suite.leaderboard import pages
from suite.leaderboard.board import AnyEntry, Board
from suite.leaderboard.claim import Claim
from suite.leaderboard.claims import weigh
from suite.leaderboard.receipts import receipts
from suite.leaderboard.schema import Measured
from suite.leaderboard.sources import SourceGroup, source_groups
from suite.leaderboard.standing import Group, Standing, groups, standing
from suite.results import words
from suite.results.theme import css_colours

GENERATOR = '<meta name="generator" content="lottery board">'
"""Stands in every page of the site: by it a page of an entry that left the board is known, and removed."""


def build_site(board: Board, out: Path) -> Path:
    """Write the site of a board into `out`, which is made if need be; returns the path of index.html.

    Every file is replaced whole. Raises BadEntry for a file of the board that is no entry, before anything is written;
    UsageError when the folder cannot be written.
    """
    site = render(board)
    try:
        for name, text in site.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(out / name, text.encode())
        _remove_others(out, site.keys())
    except OSError as error:
        raise UsageError(f"cannot write the site to {out}: {error.strerror}") from error
    return out / "index.html"


def render(board: Board) -> dict[str, str]:
    """The site's files: path within the folder -> text. The index comes last, so that its links lead somewhere."""
    environment = _environment()

    def page(template: str, root: str, **shown: object) -> str:
        return environment.get_template(template).render(root=root, **shown)

    colours = {"light": css_colours(dark=False), "dark": css_colours(dark=True)}
    site = {"board.css": page("board.css.j2", "", **colours), "board.js": _script(environment)}
    domains = []
    for name in board.domains():
        entries = board.entries(name)
        judged = {entry.id: standing(entry) for entry in entries if isinstance(entry, Measured)}
        references = board.references(name)
        ranked: list[Group | SourceGroup] = [*groups(judged.values(), references), *source_groups(judged.values())]
        there = {s.entry.id: group for group in ranked for s in group.standings}
        for entry in entries:
            group = there.get(entry.id)
            site[f"entries/{name}/{entry.id}.html"] = _entry(environment, entry, judged, group, board)
        domain = pages.domain(name, entries, tuple(judged.values()), references)
        site[f"domains/{name}.html"] = page("domain.html.j2", "../", domain=domain)
        domains.append(domain)
    site["index.html"] = page("index.html.j2", "", domains=domains)
    return site


def _entry(
    environment: jinja2.Environment, entry: AnyEntry, judged: dict[str, Standing], group: Group | SourceGroup | None,
    board: Board,
) -> str:  # fmt: skip
    """The page of an entry, by its kind; a measured one is ranked in a `group`."""
    name, shown = "reported.html.j2", dict[str, object]()
    if isinstance(entry, Measured):
        own = judged[entry.id]
        name, shown = "measured.html.j2", {"s": own, "g": group, "data": pages.entry_data(own)}
        shown["receipts"] = [receipt.line for receipt in receipts(entry, board)]
    elif isinstance(entry, Claim):
        name, shown = "claim.html.j2", {"weighed": weigh(entry, judged.values())}
    return environment.get_template(name).render(root="../../", entry=entry, **shown)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("suite.leaderboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(words=words, generator=GENERATOR, **pages.FUNCTIONS)
    return environment


def _script(environment: jinja2.Environment) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, "board.js")[0]


def _remove_others(out: Path, names: Collection[str]) -> None:
    """Remove the pages of entries and domains that are no longer on the board; files of other origin stay."""
    for folder in ("domains", "entries"):
        for path in (out / folder).rglob("*.html"):
            mine = path.relative_to(out).as_posix() in names
            if not mine and not path.is_symlink() and GENERATOR in path.read_text(encoding="utf-8", errors="replace"):
                path.unlink()
