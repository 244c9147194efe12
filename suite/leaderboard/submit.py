"""From a finished run to entries of a leaderboard, with the bytes of their tickets."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.experiment.errors import RunError, UsageError
from suite.experiment.plan import LADDER
from suite.experiment.plugins import load_extensions
from suite.experiment.registry import Registry
from suite.experiment.request import Request, needed
from suite.experiment.result import CellResult
from suite.experiment.store import Store
from suite.leaderboard import protocol
from suite.leaderboard.board import Board
from suite.leaderboard.finished_run import FinishedRun, Submission, ref_of, submission
from suite.leaderboard.kept_plugin import source_of
from suite.leaderboard.masks import held, ladder_files, placed
from suite.leaderboard.schema import Measured
from suite.leaderboard.validate import beside_others, validate
from suite.tickets.mask import TicketError


def submit(
    folder: Path, board: Board, *, author: str, entry_id: str | None = None, title: str | None = None,
    description: str | None = None, link: str | None = None, task: str | None = None, source: str | None = None,
    method: str | None = None, plugins: Sequence[Path] = (), masks_at: str | None = None,
) -> list[Path]:  # fmt: skip
    """Add a run's tasks to a board, one entry each; returns their files.

    Only those of `task` (of transfers the target), `source` and `method` if named.

    Masks go into the board, or to the location `masks_at`: a folder, or an https address (the files to be uploaded are
    then in `<board>/upload`).

    Raises UsageError, with nothing written, for whatever is no submission (see `submissions`), is not valid, or has an
    id that is taken, and RunError as `Board.add` does.
    """
    found = submissions(
        folder, author=author, entry_id=entry_id, title=title, description=description, link=link, task=task,
        source=source, method=method, plugins=plugins,
    )  # fmt: skip
    names = [f"{one.entry.domain}/{one.entry.id}" for one in found]
    for name in names:
        if (board.root / f"{name}.json").exists() or names.count(name) > 1:
            raise UsageError(f"entry {name} is there already: name one --task or --method and another id with --id")
    packed = [_packed(one, board, masks_at) for one in found]
    sources = [source_of(one.plugins) for one in found]
    for (entry, files), one in zip(packed, found, strict=True):
        _check(entry, files, one.plugins)
        for finding in beside_others(entry, board):
            raise UsageError(f"{entry.id} would not be valid: {finding.line}")
    return [board.add(*each, source) for each, source in zip(packed, sources, strict=True)]


def _packed(one: Submission, board: Board, masks_at: str | None) -> tuple[Measured, dict[str, bytes]]:
    """The entry with where its ladders are, and these; those of a transfer are the board's own where it has them."""
    known = held(one.entry, board) if one.entry.source is not None and masks_at is None else None
    try:
        files = known or ladder_files(one.tickets)
    except TicketError as error:
        raise UsageError(f"{one.entry.id} would not be valid: {error}; run it again with another --out") from error
    return placed(one.entry, files, masks_at)


def _check(entry: Measured, files: Mapping[str, bytes], plugins: tuple[Path, ...]) -> None:
    """Refuse here what `validate` would refuse once it is on the board, and its masks at their location."""
    with tempfile.TemporaryDirectory() as folder:
        here = entry
        if entry.masks is not None and entry.masks.location is not None:
            there = entry.masks.model_copy(update={"location": str(Path(folder) / "elsewhere")})
            here = entry.model_copy(update={"masks": there})
        path = Board(Path(folder)).add(here, files)
        problems = validate(path, plugins=plugins).problems
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        line = problems[0].line.replace(f"{Path(folder).absolute()}/", "")
        raise UsageError(f"{entry.id} would not be valid: {line}{more}; run it again with another --out")


def submissions(
    folder: Path, *, author: str, entry_id: str | None = None, title: str | None = None,
    description: str | None = None, link: str | None = None, task: str | None = None, source: str | None = None,
    method: str | None = None, plugins: Sequence[Path] = (),
) -> list[Submission]:  # fmt: skip
    """One submission per task and method of a finished run, of transfers per source, target and method.

    The id is `<task>-<scale>-<method>` if none is given, of a transfer `<target>-from-<source>-<scale>-<method>`, with
    `-mask` or `-weights` where these alone were carried; the description is that of a method of the suite. Raises
    UsageError for a run that is unfinished or at work, has a task whose numbers are not the registry's, picks its
    replicates or has only one, or mixes machines and versions; and for one id or title for several entries.
    """
    store = Store.open(folder)
    try:
        with store.reading():
            chosen = _chosen(store, task, source, method)
            if len(chosen) > 1 and (entry_id is not None or title is not None):
                there = ", ".join(map(_name, chosen))
                by = "--task" if chosen[0].source is None else "--task and --source"
                raise UsageError(f"--id and --title name one entry, {folder} has {there}: choose one with {by}")
            finished = [_finished(store, one, plugins) for one in chosen]
            given = {"id": entry_id, "title": title, "author": author, "description": description, "link": link}
            return [submission(one, given) for one in finished]
    except RunError as error:
        raise UsageError(f"{folder} cannot be submitted: {error}") from error


def _chosen(store: Store, task: str | None, source: str | None, method: str | None) -> list[Request]:
    """What was asked for of the task, source and method named, or all."""
    asked = store.requests()
    chosen = [
        one
        for one in asked
        if task in (None, one.spec.id)
        and method in (None, one.method.name)
        and (source is None or (one.source is not None and one.source.spec.id == source))
    ]
    if not chosen:
        wanted = " ".join(name for name in (task, source and f"from {source}", method) if name) or "anything"
        has = ", ".join(map(_name, asked)) or "nothing"
        raise UsageError(f"{store.root} has no run of {wanted}: it has {has}")
    return chosen


def _name(request: Request) -> str:
    """A request for people."""
    source = request.source
    origin = "" if source is None else f" from {source.spec.id}{'' if source.carry == 'both' else f' {source.carry}'}"
    return f"{request.spec.id} {request.method.name}{origin}"


def _finished(store: Store, request: Request, given: Sequence[Path]) -> FinishedRun:
    alone = request.options.model_copy(update={"connected": None})  # an entry is of curves, whose cells are the same
    request = request.model_copy(update={"options": alone})
    task = request.task
    options = task.options
    what = f"{_name(request)} in {store.root}"
    plugins = tuple(needed(request, given))
    registry = Registry(plugins)
    for own in (task, *(() if task.source is None else (task.source.task,))):
        protocol.registered(registry, ref_of(own))
    load_extensions(plugins)
    if options.first_replicate != 0:
        raise UsageError(f"{what} starts at replicate {options.first_replicate}: an entry has replicates 0 to n - 1")
    if options.replicates < 2:
        raise UsageError(f"{what} has one replicate, which has no interval: run it with --replicates 2 or more")
    if options.levels < 1 or LADDER not in options.arms:
        raise UsageError(f"{what} has no ticket to submit: run it with --levels 1 or more and --arms {LADDER},…")
    plan = request.plan
    results: dict[str, CellResult] = {}
    lost: set[str] = set()
    for cell in plan:
        result = store.cell(cell.key)
        ticketless = store.ticketless(cell)
        ended = [need for need in cell.needs if need in lost or (need in results and results[need].diverged)]
        if ticketless and ended:
            lost.add(cell.key)
        elif result is not None and not ticketless:
            results[cell.key] = result
    left = len(plan.cells) - len(results) - len(lost)
    if left:
        raise UsageError(f"{what} is unfinished, {left} of {len(plan.cells)} cells are to do: run the same command")
    if all(result.diverged for result in results.values()):
        raise UsageError(f"{what} diverged in every cell: there is no number to submit")
    return FinishedRun(store, request, plan, plugins, results)
