"""The leaderboard as a static site: one folder of HTML, one style sheet and one script, to host anywhere or open as is.

index.html   domains/<domain>.html   entries/<domain>/<entry id>.html   board.css   board.js
"""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import jinja2

from suite.experiment.errors import UsageError
from suite.files import replace_file
from suite.leaderboard import pages
from suite.leaderboard.board import AnyEntry, BadEntry, Board
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


class Site(NamedTuple):
    """The site's files, path within the folder -> text, and what is wrong with the entries that are not in it."""

    files: dict[str, str]
    damaged: tuple[BadEntry, ...]


def build_site(board: Board, out: Path) -> tuple[BadEntry, ...]:
    """Write the site of a board into `out`, which is made if need be, index.html last; returns what was left out.

    Every file is replaced whole. An entry that is damaged is left out, and the index page names its file. Raises
    UsageError when the folder cannot be written.
    """
    site = render(board)
    try:
        for name, text in site.files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(out / name, text.encode())
        _remove_others(out, site.files.keys())
    except OSError as error:
        raise UsageError(f"cannot write the site to {out}: {error.strerror}") from error
    return site.damaged


def render(board: Board) -> Site:
    """The site of a board. The index comes last, so that its links lead somewhere."""
    environment = _environment()

    def page(template: str, root: str, **shown: object) -> str:
        return environment.get_template(template).render(root=root, **shown)

    colours = {"light": css_colours(dark=False), "dark": css_colours(dark=True)}
    site = {"board.css": page("board.css.j2", "", **colours), "board.js": _script(environment)}
    domains = []
    damaged: list[BadEntry] = []
    for name in board.domains():
        entries, judged = _judged(board, name, damaged)
        references = board.references(name, entries)
        ranked: list[Group | SourceGroup] = [*groups(judged.values(), references), *source_groups(judged.values())]
        there = {s.entry.id: group for group in ranked for s in group.standings}
        for entry in entries:
            group = there.get(entry.id)
            site[f"entries/{name}/{entry.id}.html"] = _entry(environment, entry, judged, group, board)
        domain = pages.domain(name, entries, tuple(judged.values()), references)
        site[f"domains/{name}.html"] = page("domain.html.j2", "../", domain=domain)
        domains.append(domain)
    site["index.html"] = page("index.html.j2", "", domains=domains, damaged=len(damaged))
    return Site(site, tuple(damaged))


def _judged(board: Board, domain: str, damaged: list[BadEntry]) -> tuple[list[AnyEntry], dict[str, Standing]]:
    """The sound entries of a domain, and of measured ones what they say; what is wrong with others is noted."""
    entries, bad = board.sound(domain)
    damaged += bad
    sound: list[AnyEntry] = []
    judged: dict[str, Standing] = {}
    for entry in entries:
        try:
            if isinstance(entry, Measured):
                judged[entry.id] = standing(entry)
        except BadEntry as error:
            damaged.append(error)
        else:
            sound.append(entry)
    return sound, judged


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
