"""The commands of the leaderboard: compare, submit, validate, verify, claims, board, cite. Parses, calls, prints."""

from pathlib import Path
from typing import Annotated

import typer

from suite.arguments import Data, Workers
from suite.experiment.errors import RunError, UsageError
from suite.printing import count as counted
from suite.printing import print_json

Folder = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]
EntryFile = Annotated[Path, typer.Argument(help="An entry's file: <board>/<domain>/<id>.json.", show_default=False)]
BoardFolder = Annotated[
    Path | None, typer.Option("--board", help="Folder of a leaderboard (default: the one that the suite ships).")
]
Plugin = Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file that adds tasks, criteria or arms.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")]


def add_to(app: typer.Typer) -> None:
    """Add the leaderboard's commands to an application."""
    for command in (compare, submit, validate, verify, claims, board, cite):
        app.command()(command)


def compare(
    folder: Folder,
    entry: Annotated[
        str | None, typer.Option("--entry", help="Compare with this entry alone: id or domain/id.")
    ] = None,
    board: BoardFolder = None,
    fail_under: Annotated[
        bool,
        typer.Option("--fail-under", help="Exit 1 if the run is significantly worse than --entry, or diverged."),
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Json = False,
) -> None:
    """Compare a run with the leaderboard: the verdict over all densities, area and rank, and in detail each density.

    Only measured entries of the same task, version and scale are compared; what is not comparable is named with why.
    """
    from suite.finished import view_of
    from suite.leaderboard import compare as comparing
    from suite.leaderboard import text
    from suite.leaderboard.board import Board

    if fail_under and entry is None:
        raise UsageError("--fail-under needs the entry to be measured by: name it with --entry")
    found = comparing.compare(view_of(folder), Board(board), entry)
    if as_json:
        print_json(text.as_json(found))
    elif markdown:
        typer.echo(text.as_markdown(found))
    else:
        from rich.console import Console

        console = Console()
        for line in text.sentences(found, console.width):
            typer.echo(line)
        for one in text.tables(found):
            console.print(one)
    if fail_under and found.worse:
        raise RunError(f"{folder} is worse than {entry}: significantly over all densities, or it diverged at one")


def submit(
    folder: Folder,
    author: Annotated[str, typer.Option("--author", help="Who answers for the entry.", show_default=False)],
    board: BoardFolder = None,
    entry_id: Annotated[str | None, typer.Option("--id", help="Id (default: <task>-<scale>-<method>).")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title (default: from task and method).")] = None,
    description: Annotated[
        str | None,
        typer.Option("--description", help="The method in a line (default: the suite's, of its own methods)."),
    ] = None,
    link: Annotated[str | None, typer.Option("--link", help="http(s) address of the method's paper or code.")] = None,
    task: Annotated[
        str | None, typer.Option("--task", "--target", help="This task of the run alone, of transfers this target.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Transfers from this source alone.")] = None,
    method: Annotated[str | None, typer.Option("--method", help="This method of the run alone.")] = None,
    plugin: Plugin = None,
    masks_at: Annotated[
        str | None,
        typer.Option("--masks-at", help="Folder or https address for masks too large for a board (4 MiB an entry)."),
    ] = None,
) -> None:
    """Write a finished run's entries and tickets into a leaderboard: one entry for each task and method.

    Of transfers one for each source and target; the ladder of a source is stored once for all of them.

    The packaged board is read-only once installed: in a checkout, --board leaderboards, then open a pull request.
    """
    from suite.leaderboard.board import Board
    from suite.leaderboard.location import is_address
    from suite.leaderboard.submit import submit as add

    for path in add(
        folder, Board(board), author=author, entry_id=entry_id, title=title, description=description, link=link,
        task=task, source=source, method=method, plugins=plugin or (), masks_at=masks_at,
    ):  # fmt: skip
        typer.echo(f"entry: {path}")
    if masks_at is not None and is_address(masks_at):
        typer.echo(f"upload what is in {Board(board).root / 'upload'} to {masks_at}, then `lottery validate` the entry")


def validate(file: EntryFile, board: BoardFolder = None, plugin: Plugin = None, as_json: Json = False) -> None:
    """Check an entry and its tickets without training; exit 1 if anything is wrong, 2 if the file is no entry."""
    from suite.leaderboard.board import Board
    from suite.leaderboard.validate import validate as check

    found = check(file, None if board is None else Board(board), plugin or ())
    if as_json:
        rows = {
            name: [{"check": one.check, "line": one.line} for one in findings]
            for name, findings in (("problems", found.problems), ("remarks", found.remarks))
        }
        print_json({"schema": 1, "file": str(found.path), "valid": found.valid, **rows})
    else:
        for one in found.problems:
            typer.echo(f"wrong    {one.check}: {one.line}")
        for one in found.remarks:
            typer.echo(f"remark   {one.check}: {one.line}")
        typer.echo(f"{file}: {'valid' if found.valid else 'not valid'}")
    if found.entry is None:
        raise UsageError(found.problems[0].line)
    if not found.valid:
        raise RunError(f"{file}: {counted(len(found.problems), 'check')} failed; the first: {found.problems[0].line}")


def verify(
    file: EntryFile,
    board: BoardFolder = None,
    cells: Annotated[
        str | None, typer.Option("--cells", help="Cells to train again, as arm:level:replicate: winning:3:0,dense:0:1.")
    ] = None,
    count: Annotated[
        float,
        typer.Option("--count", help="Cells to draw at random; below 1: the chance that one changed cell is drawn."),
    ] = 3,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the draw (default: another one each time).")] = None,
    data: Data = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, max=1024, help="Threads of a cell (default: the entry's, as its bits need)."),
    ] = None,
    workers: Workers = None,
    receipt: Annotated[
        str | None,
        typer.Option("--receipt", help="Your name: keep in the board what came of it, shown on the entry's page."),
    ] = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Train cells of an entry again, under its tickets, and say whether its claims hold; exit 1 if not.

    The dense run is replayed to the rewind step, and with every drawn cell the mask is made again, by training what it
    was pruned from. On the machine type of the entry, or if any of its bits come out here, all bits must be the same;
    elsewhere more cells are drawn, and the means of claimed - found are tested. What would have been seen is said.
    """
    from suite.leaderboard import verdict_text
    from suite.leaderboard.board import Board
    from suite.leaderboard.receipts import give_receipt
    from suite.leaderboard.verify import verify as check

    def tell(name: str, steps: int, total: int) -> None:
        if steps == total:
            typer.echo(f"{name}: trained {total} steps", err=True)

    lies_in = Board(file.absolute().parent.parent) if board is None else Board(board)
    chosen = cells.split(",") if cells else ()
    found = check(
        file, lies_in, plugins=plugin or (), cells=chosen, count=count, seed=seed, tell=tell, data=data,
        threads=threads, workers=workers or 0,
    )  # fmt: skip
    if as_json:
        print_json(verdict_text.as_json(found))
    else:
        for line in verdict_text.as_lines(found):
            typer.echo(line)
    if receipt is not None:
        typer.echo(f"receipt: {give_receipt(found, lies_in, receipt)}", err=True)
    if not found.holds:
        raise RunError(f"{file}: {'is not valid, nothing was trained' if found.problems else found.outcome}")


def claims(
    domain: Annotated[str | None, typer.Argument(help="Claims of this domain alone.", show_default=False)] = None,
    board: BoardFolder = None,
    as_json: Json = False,
) -> None:
    """List the papers' claims with what the measured entries say; substitutes are told beside, and do not count."""
    from suite.leaderboard import claims as claiming
    from suite.leaderboard import text
    from suite.leaderboard.board import Board

    here = Board(board)
    if domain is not None and domain not in here.domains():
        raise UsageError(f"no domain {domain!r} on the board; there are: {', '.join(here.domains()) or 'none'}")
    found = claiming.weighed(here, domain)
    if as_json:
        print_json(claiming.as_json(found))
        return
    from rich.console import Console

    for line in text.claim_lines(found, Console().width):
        typer.echo(line)


def board(
    out: Annotated[Path, typer.Option("--out", help="Folder of the site.")] = Path("board"),
    board: BoardFolder = None,
    index: Annotated[
        bool, typer.Option("--index", help="Write the board's indexes and schema anew, as after a merge; no site.")
    ] = False,
) -> None:
    """Make the leaderboard's static site: one folder to host anywhere, or to open from disk.

    An entry that is damaged is named and left out; exit 1 then.
    """
    from suite.leaderboard.board import Board
    from suite.leaderboard.site import build_site

    if index:
        Board(board).reindex()
        typer.echo(f"indexes: {Board(board).root}")
        return
    damaged = build_site(Board(board), out)
    for one in damaged:
        typer.echo(f"left out: {one}", err=True)
    typer.echo(f"site: {out / 'index.html'}")
    if damaged:
        raise RunError(
            f"{counted(len(damaged), 'damaged entry', 'damaged entries')} left out of the site, the first: {damaged[0]}"
        )


def cite() -> None:
    """Print how to cite the suite, and the two papers that it follows, as BibTeX."""
    from suite.leaderboard.citation import bibtex

    typer.echo(bibtex())
