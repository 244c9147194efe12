"""Everything about an entry that can be checked without training."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from packaging.version import InvalidVersion, Version

import suite
from suite.experiment.errors import UsageError
from suite.experiment.methods import method_changes, methods
from suite.experiment.plan import LADDER, Plan
from suite.experiment.plugins import load_extensions
from suite.experiment.registry import Registry
from suite.experiment.taskfile import Task
from suite.leaderboard import plausible, protocol
from suite.leaderboard.board import AnyEntry, BadEntry, Board, read
from suite.leaderboard.claim import Claim
from suite.leaderboard.copies import copies
from suite.leaderboard.finding import Finding
from suite.leaderboard.kept_plugin import plugin_problems, plugin_remarks
from suite.leaderboard.lookalike import lookalikes
from suite.leaderboard.mask_checks import tickets
from suite.leaderboard.receipts import receipt_problems
from suite.leaderboard.schema import OWN, SOURCE, Measured
from suite.tickets.scores import CRITERIA


@dataclass(frozen=True)
class Validation:
    """What is wrong with an entry's file, and what is only remarkable."""

    path: Path
    entry: AnyEntry | None
    problems: tuple[Finding, ...]
    remarks: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def validate(path: Path, board: Board | None = None, plugins: Iterable[Path] = ()) -> Validation:
    """Check an entry's file and its tickets in a board (None: the one that the file lies in).

    Raises UsageError for a board that does not exist or a plugin that cannot be loaded.
    """
    path = Path(os.path.abspath(path))  # not resolved: a link is to be seen
    try:
        entry = read(path)
    except BadEntry as error:
        return Validation(path, None, (Finding("schema", str(error)),), ())
    board = board or Board(path.parent.parent)
    problems = [Finding("place", line) for line in _misplaced(path, entry, board)]
    remarks: list[Finding] = []
    if isinstance(entry, Measured):
        for finding, refused in _measured(path, entry, board, tuple(plugins)):
            (problems if refused else remarks).append(finding)
    else:
        known = Registry(plugins).ids
        tasks = entry.all_tasks if isinstance(entry, Claim) else (entry.task,)
        remarks += [Finding("task", f"{task} is no task that is known here") for task in tasks if task not in known]
    return Validation(path, entry, tuple(problems), tuple(remarks))


def _misplaced(path: Path, entry: AnyEntry, board: Board) -> Iterator[str]:
    own = board.root.absolute() / entry.domain / f"{entry.id}.json"
    if not own.exists() or not own.samefile(path):
        yield f"{path} is entry {entry.domain}/{entry.id}, whose file is {own}"
    if path.parent.is_symlink():
        yield f"{path.parent} is a symbolic link: entries lie in the board itself"


def _measured(path: Path, entry: Measured, board: Board, plugins: tuple[Path, ...]) -> Iterator[tuple[Finding, bool]]:
    """Findings on a measured entry, and whether each refuses it."""
    registry = Registry(plugins)
    load_extensions(plugins)
    wrong = list(_all("replicates", plausible.replicates(entry), True))
    yield from wrong
    yield from _all("seeds", plausible.reused(entry), True)
    yield from _all("level 0", _unlike(entry), True)
    yield from _all("provenance", _unfounded(entry), True)
    yield from ((finding, True) for finding in beside_others(entry, board, path))
    yield from _all("plugin", plugin_problems(entry, board), True)
    yield from _all("plugin", plugin_remarks(entry, board), False)
    yield from _all("receipts", receipt_problems(entry, board), True)
    yield from _all("method", _unknown(entry), False)
    yield from _all("provenance", _unclean(entry), False)
    try:
        task = protocol.task_of(entry, registry)
    except UsageError as error:
        yield Finding("task", str(error)), True
        return
    outside = list(_outside(entry, task))
    yield from _all("values", outside, True)
    if not outside:
        yield from _all("values", plausible.remarkable(entry), False)
    yield from _all("task", _other_task(entry, task), True)
    yield from _all("method", _misnamed(entry, registry), True)
    if entry.source is None:  # the levels of a transfer are chosen, alike for all its arms
        yield from _all("protocol", _elsewhere(entry, task), True)
    try:
        unplanned = list(_unplanned(entry, protocol.plan(entry, task, 1)))
        yield from _all("protocol", unplanned, True)
        if unplanned or wrong:
            return  # only now is the plan no longer than the file
        plan = protocol.plan(entry, task, entry.protocol.replicates)
    except UsageError as error:
        yield Finding("protocol", str(error)), True
        return
    if entry.code != protocol.code(plan.task):
        yield Finding("task", f"was run with other code of its plugin ({entry.code or 'none'})"), False
    yield from _all("cost", plausible.cost(entry, plan), True)
    yield from _all("tickets", tickets(entry, plan, board), True)


def beside_others(entry: Measured, board: Board, own: Path | None = None) -> Iterator[Finding]:
    """What is wrong with an entry beside the other measured ones of a board: their cells, or names like theirs."""
    others = _others(entry, board, own)
    yield from (Finding("copies", line) for line in copies(entry, others))
    yield from (Finding("names", line) for line in lookalikes(entry, others))


def _others(entry: Measured, board: Board, own: Path | None) -> list[Measured]:
    """The other measured entries of a board; a file that is none is left to its own check."""
    found = (
        _measured_in(path, path.stat().st_mtime_ns)
        for path in sorted(board.root.glob("*/*.json"))
        if (path.parent.name, path.stem) != (entry.domain, entry.id) and path != own and path.is_file()
    )
    return [other for other in found if other is not None]


@lru_cache(maxsize=1000)
def _measured_in(path: Path, changed: int) -> Measured | None:
    try:
        entry = read(path)
    except BadEntry:
        return None
    return entry if isinstance(entry, Measured) else None


def _all(check: str, lines: Iterable[str], refused: bool) -> Iterator[tuple[Finding, bool]]:
    return ((Finding(check, line), refused) for line in lines)


def _outside(entry: Measured, task: Task) -> Iterator[str]:
    yield from plausible.values(entry.curves, task.spec.metric)
    if entry.source is not None and task.source is not None:
        yield from plausible.values({SOURCE: entry.source.ladder}, task.source.task.spec.metric)
        yield from plausible.values({OWN: entry.source.own_ladder}, task.spec.metric)


def _other_task(entry: Measured, task: Task) -> Iterator[str]:
    stated = [("", entry.metric, entry.provenance.data_fingerprint, task.spec)]
    if entry.source is not None and task.source is not None:
        stated.append(("source's ", entry.source.metric, entry.source.data_fingerprint, task.source.task.spec))
    for whose, metric, fingerprint, spec in stated:
        if metric != spec.metric.stated:
            yield f"its {whose}metric is {metric.model_dump()}, the task's {spec.metric.stated.model_dump()}"
        if fingerprint != spec.data.fingerprint:
            yield f"its {whose}data have fingerprint {fingerprint}, the task's {spec.data.fingerprint}"


def _unplanned(entry: Measured, plan: Plan) -> Iterator[str]:
    """Curves that are not those of the plan, cell by cell."""
    planned = protocol.levels(plan)
    if LADDER not in planned:
        yield f"arm {LADDER} is missing: entries are ranked by it"
    there = entry.all_curves
    for arm in planned.keys() | there.keys():
        found = tuple(point.level for point in there.get(arm, ()))
        if found != planned.get(arm, ()):
            yield f"{arm} has levels {_listed(found)}, the plan has {_listed(planned.get(arm, ()))}"
    for arm, points in there.items():
        if points and points[0].level == 0 and points[0].density != 1:
            yield f"{arm} begins at density {points[0].density}, not with the dense network at 1"


def _elsewhere(entry: Measured, task: Task) -> Iterator[str]:
    """Arms trained at a choice of levels that is not the task's own."""
    at, own = entry.protocol.at, task.options.at
    last = entry.protocol.levels
    wanted = [level for level in (range(1, last + 1) if own is None else own) if level <= last]
    if at is not None and (missing := [level for level in wanted if level not in at]):
        yield (
            f"has its arms at levels {_listed(at)}, the task's own choice has {_listed(tuple(wanted))}: level "
            f"{missing[0]} is missing, run it without --at"
        )


def _listed(levels: tuple[int, ...]) -> str:
    return ", ".join(map(str, levels)) or "none"


def _unlike(entry: Measured) -> Iterator[str]:
    """The dense network is trained once per replicate: level 0 is the same for all arms."""
    first, *others = entry.curves.items()
    for arm, points in others:
        if points[:1] != first[1][:1]:
            yield f"{arm} has another level 0 than {first[0]}: the dense network is one"


def _unfounded(entry: Measured) -> Iterator[str]:
    source, run = entry.provenance, entry.protocol
    if datetime.fromisoformat(source.date) > datetime.now(UTC) + timedelta(days=1):
        yield f"its date {source.date} is still to come"
    for what, facts, needed in (
        ("versions", source.versions, ("python", "torch")),
        ("hardware", source.hardware, ("cpu", "machine", "system")),
    ):
        missing = [name for name in needed if not facts.get(name)]
        if missing:
            yield f"its {what} do not say {', '.join(missing)}: the same bits are owed only where these are the same"
    if source.suite_version not in suite.RELEASES:
        yield f"suite version {source.suite_version!r} was never released: {_remedy(source.suite_version)}"
    if source.execution != run.exec or source.device.split(":")[0] != run.device.split(":")[0]:
        yield f"was run as {source.execution} on {source.device}, its protocol says {run.exec} on {run.device}"


def _remedy(version: str) -> str:
    try:
        newer = Version(version) > Version(suite.__version__)
    except InvalidVersion:
        return f"it is no version at all, releases are {', '.join(suite.RELEASES)}"
    return "if a newer suite is out, update" if newer else f"releases are {', '.join(suite.RELEASES)}"


def _unclean(entry: Measured) -> Iterator[str]:
    source = entry.provenance
    if source.dirty:
        yield "was run with uncommitted changes: its revision does not say by what code"
    if source.suite_version != suite.__version__:
        yield f"was run with suite {source.suite_version}, this is {suite.__version__}"


def _unknown(entry: Measured) -> Iterator[str]:
    criterion = entry.method.settings.criterion
    if criterion not in CRITERIA:
        yield f"criterion {criterion!r} is not known here: masks can be checked, not made again"


def _misnamed(entry: Measured, registry: Registry) -> Iterator[str]:
    """A method of the suite's own name that is not what the suite runs by that name on the task."""
    source = entry.source
    stated = [("this task", entry.task, entry.method.settings)]
    stated += [] if source is None else [("its source", source.task, source.method)]
    for where, task, settings in stated:
        if settings.name not in methods():
            continue
        own = registry.find(task.id).at(task.scale, method_changes(settings.name)).method
        for field, value in own.model_dump(mode="json").items():
            found = getattr(settings, field)
            if found != value:
                yield f"is named {settings.name}, whose {field} is {value} on {where}, and has {found}: rename it"
