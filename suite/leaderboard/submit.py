"""From a finished run to an entry of a leaderboard, with the bytes of its tickets."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from suite.experiment.errors import RunError, UsageError
from suite.experiment.methods import methods
from suite.experiment.plan import DENSE, LADDER, Cell, Plan
from suite.experiment.plugins import load_extensions
from suite.experiment.registry import Registry
from suite.experiment.request import Request, needed
from suite.experiment.result import CellResult, Provenance, total_flops
from suite.experiment.store import Store
from suite.experiment.taskfile import Task
from suite.leaderboard import protocol
from suite.leaderboard.board import Board
from suite.leaderboard.kept_plugin import source_of
from suite.leaderboard.masks import Slot, ladder_files, placed
from suite.leaderboard.schema import Measured, TaskRef, TicketRef
from suite.leaderboard.validate import beside_others, validate
from suite.tickets.mask import TicketError
from suite.tickets.ticket import Ticket


@dataclass(frozen=True)
class Submission:
    """An entry, its tickets by (level, replicate), and the plugins that its task needs."""

    entry: Measured
    tickets: Mapping[Slot, Ticket]
    plugins: tuple[Path, ...]


@dataclass(frozen=True)
class _Finished:
    """A plan with what came of it: results by key; cells that a divergence made impossible are in neither."""

    store: Store
    request: Request
    plan: Plan
    plugins: tuple[Path, ...]
    results: Mapping[str, CellResult]

    @property
    def done(self) -> list[tuple[Cell, CellResult]]:
        return [(cell, self.results[cell.key]) for cell in self.plan if cell.key in self.results]


def submit(
    folder: Path, board: Board, *, author: str, entry_id: str | None = None, title: str | None = None,
    description: str | None = None, link: str | None = None, task: str | None = None, method: str | None = None,
    plugins: Sequence[Path] = (),
    masks_at: str | None = None,
) -> list[Path]:  # fmt: skip
    """Add a run's tasks to a board, one entry each (only those of `task` and `method` if named); returns their files.

    Masks go into the board, or to the location `masks_at`: a folder, or an https address (the files to be uploaded are
    then in `<board>/upload`).

    Raises UsageError, with nothing written, for whatever is no submission (see `submissions`), is not valid, or has an
    id that is taken, and RunError as `Board.add` does.
    """
    found = submissions(
        folder, author=author, entry_id=entry_id, title=title, description=description, link=link, task=task,
        method=method, plugins=plugins,
    )  # fmt: skip
    names = [f"{one.entry.domain}/{one.entry.id}" for one in found]
    for name in names:
        if (board.root / f"{name}.json").exists() or names.count(name) > 1:
            raise UsageError(f"entry {name} is there already: name one --task or --method and another id with --id")
    packed = [_packed(one, masks_at) for one in found]
    sources = [source_of(one.plugins) for one in found]
    for (entry, files), one in zip(packed, found, strict=True):
        _check(entry, files, one.plugins)
        for finding in beside_others(entry, board):
            raise UsageError(f"{entry.id} would not be valid: {finding.line}")
    return [board.add(*each, source) for each, source in zip(packed, sources, strict=True)]


def _packed(one: Submission, masks_at: str | None) -> tuple[Measured, dict[str, bytes]]:
    try:
        files = ladder_files(one.tickets)
    except TicketError as error:
        raise UsageError(f"{one.entry.id} would not be valid: {error}; run it again with another --out") from error
    return placed(one.entry, files, masks_at), files


def _check(entry: Measured, files: Mapping[str, bytes], plugins: tuple[Path, ...]) -> None:
    """Refuse here what `validate` would refuse once it is on the board, and its masks at their location."""
    with tempfile.TemporaryDirectory() as folder:
        here = entry if entry.masks is None else placed(entry, files, str(Path(folder) / "elsewhere"))
        path = Board(Path(folder)).add(here, files)
        problems = validate(path, plugins=plugins).problems
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        line = problems[0].line.replace(f"{Path(folder).absolute()}/", "")
        raise UsageError(f"{entry.id} would not be valid: {line}{more}; run it again with another --out")


def submissions(
    folder: Path, *, author: str, entry_id: str | None = None, title: str | None = None,
    description: str | None = None, link: str | None = None, task: str | None = None, method: str | None = None,
    plugins: Sequence[Path] = (),
) -> list[Submission]:  # fmt: skip
    """One submission per task and method of a finished run.

    The id is `<task>-<scale>-<method>` if none is given, the description that of a method of the suite. Raises
    UsageError for a run that is unfinished or at work, has a task whose numbers are not the registry's, picks its
    replicates or has only one, or mixes machines and versions; and for one id or title for several entries.
    """
    store = Store.open(folder)
    try:
        with store.reading():
            chosen = _chosen(store, task, method)
            if len(chosen) > 1 and (entry_id is not None or title is not None):
                held = ", ".join(f"{one.spec.id} {one.method.name}" for one in chosen)
                raise UsageError(f"--id and --title name one entry, {folder} has {held}: choose one with --task")
            finished = [_finished(store, one, plugins) for one in chosen]
            given = {"id": entry_id, "title": title, "author": author, "description": description, "link": link}
            return [_submission(one, given) for one in finished]
    except RunError as error:
        raise UsageError(f"{folder} cannot be submitted: {error}") from error


def _chosen(store: Store, task: str | None, method: str | None) -> list[Request]:
    """What was asked for of the task and method named, or all."""
    held = store.requests()
    chosen = [one for one in held if task in (None, one.spec.id) and method in (None, one.method.name)]
    if not chosen:
        wanted = " ".join(name for name in (task, method) if name is not None)
        has = ", ".join(f"{one.spec.id} {one.method.name}" for one in held) or "nothing"
        raise UsageError(f"{store.root} has no run of {wanted or 'anything'}: it has {has}")
    return chosen


def _finished(store: Store, request: Request, given: Sequence[Path]) -> _Finished:
    alone = request.options.model_copy(update={"connected": None})  # an entry is of curves, whose cells are the same
    request = request.model_copy(update={"options": alone})
    task = request.task
    spec, options = task.spec, task.options
    what = f"{spec.id} {task.method.name} in {store.root}"
    if task.source is not None:
        raise UsageError(
            f"{what} is a transfer from {task.source.task.spec.id}: entries have no source yet, "
            "submit a run of one task (choose it with --task and --method)"
        )
    plugins = tuple(needed(request, given))
    protocol.registered(Registry(plugins), _ref(task))
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
    return _Finished(store, request, plan, plugins, results)


def _ref(task: Task) -> TaskRef:
    spec = task.spec
    return TaskRef(id=spec.id, version=spec.version, hash=spec.hash, scale=spec.scale)


def _submission(run: _Finished, given: Mapping[str, str | None]) -> Submission:
    task = run.plan.task
    spec, method, options = task.spec, task.method, task.options
    short = re.sub(r"[^a-z0-9]+", "-", method.name.lower()).strip("-")
    about = given["description"] or methods().get(method.name, {}).get("about")
    if about is None:
        raise UsageError(f"method {method.name!r} is not one of the suite's: say what it does with --description")
    masks = {(c.level, c.replicate): c.mask_key for c, _ in run.done if c.mask_key is not None}
    tickets = {place: run.store.mask(key) for place, key in sorted(masks.items())}
    refs = [
        TicketRef(level=level, replicate=replicate, digest=ticket.digest)
        for (level, replicate), ticket in tickets.items()
    ]
    fields: dict[str, Any] = {
        "schema_version": 1,
        "kind": "measured",
        "id": given["id"] if given["id"] is not None else f"{spec.id.split('/')[1]}-{spec.scale}-{short}",
        "title": given["title"] or f"{method.name} on {spec.id}",
        "author": given["author"],
        "task": _ref(task),
        "metric": spec.metric.stated,
        "method": {"settings": method, "description": about, "link": given["link"]},
        "protocol": options.model_dump(include={"arms", "levels", "at", "replicates", "exec", "device"}),
        "curves": _curves(run),
        "cost": _cost(run),
        "provenance": _provenance(run),
        "code": run.request.third_party,
        "tickets": tuple(refs),
    }
    try:
        entry = Measured(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{place} = {first['input']!r}: {first['msg']}; give another with --{first['loc'][-1]}"
        ) from error
    return Submission(entry, tickets, run.plugins)


def _curves(run: _Finished) -> dict[str, list[dict[str, Any]]]:
    there = {(cell.arm, cell.level, cell.replicate): result for cell, result in run.done}
    method, replicates = run.plan.task.method, range(run.plan.task.options.replicates)
    sizes = [layer.size for layer in next(iter(there.values())).layers.values()]

    def point(arm: str, level: int) -> dict[str, Any]:
        cells = [there.get((DENSE if level == 0 else arm, level, r)) for r in replicates]
        return {
            "level": level,
            "density": next((c.density for c in cells if c is not None), protocol.density(method, sizes, level)),
            "values": [None if c is None else c.value for c in cells],
            "weights": [None if c is None else c.weights_digest for c in cells],
        }

    return {arm: [point(arm, level) for level in levels] for arm, levels in protocol.levels(run.plan).items()}


def _cost(run: _Finished) -> dict[str, float | None]:
    results = [result for _, result in run.done]
    on_gpu = run.plan.task.options.device.split(":")[0] != "cpu"
    return {
        "steps": sum(result.steps for result in results),
        "flops_dense": total_flops(results, "flops_dense"),
        "flops_sparse": total_flops(results, "flops_sparse"),
        "cpu_hours": sum(result.spent.cpu_seconds for result in results) / 3600,
        "gpu_hours": sum(result.spent.wall_seconds for result in results) / 3600 if on_gpu else 0.0,
    }


def _provenance(run: _Finished) -> Provenance:
    """That of all cells together: the last one's date, dirty if any was; raises UsageError where they differ."""
    found = [result.provenance for _, result in run.done]
    apart = {"date", "dirty"}
    first = found[0].model_dump(exclude=apart)
    for other in found:
        for field, value in other.model_dump(exclude=apart).items():
            if value != first[field]:
                raise UsageError(
                    f"the cells of {run.store.root} do not agree in {field}: {first[field]} and {value}; "
                    "an entry is made on one machine with one version, run it again with another --out"
                )
    dirty = {provenance.dirty for provenance in found}
    return found[0].model_copy(
        update={
            "date": max(provenance.date for provenance in found),
            "dirty": True if True in dirty else None if None in dirty else False,
        }
    )
