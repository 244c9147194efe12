"""What an entry says of a finished run: every value, its masks, what it cost, and where it was made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from suite.experiment.errors import UsageError
from suite.experiment.methods import methods
from suite.experiment.plan import DENSE, Cell, Plan
from suite.experiment.request import Request
from suite.experiment.result import CellResult, Provenance, total_flops
from suite.experiment.store import Store
from suite.experiment.taskfile import Task
from suite.leaderboard import protocol
from suite.leaderboard.masks import Slot
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import CARRIED, OWN, SOURCE, Measured, TaskRef, TicketRef
from suite.tickets.ticket import Ticket


@dataclass(frozen=True)
class Submission:
    """An entry, its tickets by (level, replicate), and the plugins that its task needs."""

    entry: Measured
    tickets: Mapping[Slot, Ticket]
    plugins: tuple[Path, ...]


@dataclass(frozen=True)
class FinishedRun:
    """A plan with what came of it: results by key; cells that a divergence made impossible are in neither."""

    store: Store
    request: Request
    plan: Plan
    plugins: tuple[Path, ...]
    results: Mapping[str, CellResult]

    @property
    def cells(self) -> dict[Place, Cell]:
        """The cells that have a result."""
        return {place: cell for place, cell in protocol.cells(self.plan).items() if cell.key in self.results}

    @property
    def done(self) -> dict[Place, CellResult]:
        """The results, by place."""
        return {place: self.results[cell.key] for place, cell in self.cells.items()}


def submission(run: FinishedRun, given: Mapping[str, str | None]) -> Submission:
    """The entry of a run, and its tickets; `given` are id, title, author, description and link, where they are.

    Raises UsageError where one of these is missing and needed or cannot be an entry's, or cells do not agree.
    """
    task, source = run.request.task, run.request.source
    spec, method = task.spec, task.method
    named = method if source is None else source.method
    about = given["description"] or methods().get(named.name, {}).get("about")
    if about is None:
        raise UsageError(f"method {named.name!r} is not one of the suite's: say what it does with --description")
    tickets = {slot: run.store.mask(key) for slot, key in sorted(_masks(run).items())}
    points = _points(run)
    mine, ladders = ([run.results[cell.key] for cell in side.values()] for side in protocol.apart(run.cells))
    fields: dict[str, Any] = {
        "schema_version": 1 if source is None else 2,
        "kind": "measured",
        "id": given["id"] if given["id"] is not None else _id(run.request),
        "title": given["title"] or _title(run.request),
        "author": given["author"],
        "task": ref_of(task),
        "metric": spec.metric.stated,
        "method": {"settings": method, "description": about, "link": given["link"]},
        "protocol": task.options.model_dump(include={"arms", "levels", "at", "replicates", "exec", "device"}),
        "curves": {arm: own for arm, own in points.items() if arm not in (SOURCE, OWN)},
        "cost": _cost(run, mine),
        "provenance": _provenance(run),
        "code": run.request.third_party,
        "tickets": tuple(
            TicketRef(level=level, replicate=replicate, digest=ticket.digest)
            for (level, replicate), ticket in tickets.items()
        ),
    }
    if source is not None and task.source is not None:
        fields["source"] = {
            "task": ref_of(task.source.task),
            "metric": source.spec.metric.stated,
            "data_fingerprint": run.done[SOURCE, 0, 0].provenance.data_fingerprint,
            "method": source.method,
            "carry": source.carry,
            "covered": source.covered,
            "ladder": points[SOURCE],
            "own_ladder": points.get(OWN, ()),
            "cost": _cost(run, ladders),
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


def ref_of(task: Task) -> TaskRef:
    """A task as an entry states it."""
    spec = task.spec
    return TaskRef(id=spec.id, version=spec.version, hash=spec.hash, scale=spec.scale)


def _id(request: Request) -> str:
    spec, source = request.spec, request.source
    name, method = spec.id.split("/")[1], request.method if source is None else source.method
    short = re.sub(r"[^a-z0-9]+", "-", method.name.lower()).strip("-")
    if source is None:
        return f"{name}-{spec.scale}-{short}"
    part = "" if source.carry == "both" else f"-{source.carry}"
    return f"{name}-from-{source.spec.id.split('/')[1]}-{spec.scale}-{short}{part}"


def _title(request: Request) -> str:
    source = request.source
    if source is None:
        return f"{request.method.name} on {request.spec.id}"
    return f"{source.method.name} on {request.spec.id}, {CARRIED[source.carry]} of {source.spec.id}"


def _masks(run: FinishedRun) -> dict[Slot, str]:
    """The keys of an entry's masks: of a run on one task those that cells have, of a transfer all of the ladder's."""
    source, cells = run.request.source, run.cells
    if source is None:
        return {(cell.level, cell.replicate): cell.mask_key for cell in cells.values() if cell.mask_key is not None}
    return {
        (cell.level + prune.level, cell.replicate): prune.key
        for place, cell in cells.items()
        if protocol.prunes(source.carry, place[0])
        for prune in cell.prunes
        if run.store.has_mask(prune.key)
    }


def _points(run: FinishedRun) -> dict[str, list[dict[str, Any]]]:
    """Every arm's points, and those of a transfer's ladders."""
    done, source = run.done, run.request.source
    method, replicates = run.request.method, range(run.request.options.replicates)
    sizes = {name: layer.size for name, layer in next(iter(done.values())).layers.items()}
    covered = list(sizes.values()) if source is None else [sizes[name] for name in source.covered]

    def point(arm: str, level: int) -> dict[str, Any]:
        cells = [done.get((DENSE if level == 0 and arm != SOURCE else arm, level, r)) for r in replicates]
        densities = [cell.density for cell in cells if cell is not None]
        return {
            "level": level,
            "density": protocol.mean_density(densities) or protocol.density(method, covered, level),
            "values": [None if cell is None else cell.value for cell in cells],
            "weights": [None if cell is None else cell.weights_digest for cell in cells],
        }

    return {arm: [point(arm, level) for level in levels] for arm, levels in protocol.levels(run.plan).items()}


def _cost(run: FinishedRun, results: Sequence[CellResult]) -> dict[str, float | None]:
    on_gpu = run.request.options.device.split(":")[0] != "cpu"
    return {
        "steps": sum(result.steps for result in results),
        "flops_dense": total_flops(results, "flops_dense"),
        "flops_sparse": total_flops(results, "flops_sparse"),
        "cpu_hours": sum(result.spent.cpu_seconds for result in results) / 3600,
        "gpu_hours": sum(result.spent.wall_seconds for result in results) / 3600 if on_gpu else 0.0,
    }


_NAMED_ALL = {"date", "dirty", "git_revision", "hardware"}
"""What may differ between the cells of an entry, which then says all of it."""


def _provenance(run: FinishedRun) -> Provenance:
    """That of all cells together: the last one's date, dirty if any was; raises UsageError where they differ.

    A run may be gone on from after a commit, or on another machine. Whatever changes a number in the suite changes a
    result version, which is in every cell's key: all revisions are named, the oldest first. All machines are named, and
    no bits are owed where they are several. A package that some cells alone name was not installed for the others, or
    not yet among the suite's; none has two versions. The data are those of the task, or of a transfer's target; cells
    of one task have read the same.
    """
    results = list(run.done.values())
    found = [result.provenance for result in results]
    first = found[0].model_dump(exclude=_NAMED_ALL | {"data_fingerprint"})
    read: dict[str, str] = {}
    versions = {name: version for each in found for name, version in each.versions.items()}
    for result in results:
        known = read.setdefault(result.task_hash, result.provenance.data_fingerprint)
        same = {name: versions[name] for name in result.provenance.versions}
        expected = {**first, "data_fingerprint": known, "versions": same}
        for field, value in result.provenance.model_dump(exclude=_NAMED_ALL).items():
            if value != expected[field]:
                raise UsageError(
                    f"the cells of {run.store.root} do not agree in {field}: {expected[field]} and {value}; "
                    "an entry is made in one way with one version, run it again with another --out"
                )
    dirty = {provenance.dirty for provenance in found}
    revisions = list(dict.fromkeys(each.git_revision for each in sorted(found, key=lambda each: each.date)))
    several = ", ".join(revision[:12] for revision in revisions if revision)
    return run.done[DENSE, 0, 0].provenance.model_copy(
        update={
            "versions": dict(sorted(versions.items())),
            "hardware": _hardware([each.hardware for each in found]),
            "date": max(provenance.date for provenance in found),
            "git_revision": several if len(revisions) > 1 else revisions[0],
            "dirty": True if True in dirty else None if None in dirty else False,
        }
    )


def _hardware(found: Sequence[Mapping[str, str | int]]) -> dict[str, str | int]:
    """What is said of all machines, joined where they differ; `machines` counts their types, cores left aside."""
    said = dict.fromkeys(name for each in found for name in each)
    values = {name: list(dict.fromkeys(each[name] for each in found if name in each)) for name in said}
    joined = {name: those[0] if len(those) == 1 else ", ".join(map(str, those)) for name, those in values.items()}
    types = {tuple(each.get(name) for name in said if name != "cores") for each in found}
    return joined if len(types) == 1 else {**joined, "machines": len(types)}
