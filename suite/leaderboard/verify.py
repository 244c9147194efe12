"""Trains cells of an entry again, from nothing but its masks, and says whether its claims hold."""

import random
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch

from suite.experiment.cell import run_cells
from suite.experiment.domain import computing
from suite.experiment.errors import UsageError
from suite.experiment.plan import DENSE, LADDER, Cell, Plan
from suite.experiment.plugins import load_extensions
from suite.experiment.provenance import provenance
from suite.experiment.registry import Registry
from suite.experiment.result import Provenance
from suite.experiment.runtime import Runtime, cores
from suite.experiment.store import Store
from suite.leaderboard import protocol
from suite.leaderboard.board import BadEntry, Board
from suite.leaderboard.masks import Tickets
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import Measured, Point
from suite.leaderboard.validate import validate
from suite.leaderboard.verdict import CellCheck, MaskCheck, Verification, tolerance
from suite.printing import count as counted
from suite.tickets.mask import Mask, TicketError

Tell = Callable[[str, int, int], None]
"""Told now and then how far a cell, or a cohort by its first cell, is: (its name, steps taken, steps in all)."""


def silent(name: str, steps: int, total: int) -> None:
    """Tell nobody."""


def verify(
    path: Path, board: Board, *, plugins: Sequence[Path] = (), cells: Sequence[str] = (), count: int = 3,
    seed: int | None = None, work: Path | None = None, tell: Tell = silent, data: Path | None = None,
    threads: int | None = None, workers: int = 0,
) -> Verification:  # fmt: skip
    """Train `count` cells of an entry anew, drawn at random (`seed` draws the same again), or the `cells` named.

    A cell is named as `arm:level:replicate`. Rewound weights are replayed from the first dense step; a cell of a cohort
    is trained with its whole cohort. Of a cell that is pruned (the dense one, the winning ones of an iterative method)
    the masks are made again too, unless the criterion is not known here; a drawn cell brings the one that its own mask
    was pruned from. Cells have the entry's number of threads (at most this machine's cores) unless `threads` is given,
    since equal bits are promised for equal numbers only. Everything is made in a temporary folder below `work`. An
    entry that is not valid is not trained: the verification holds the problems. Raises UsageError for a file that is no
    measured entry, a cell that it has not, or a device that this machine has not, and RunError when a learner cannot be
    built.
    """
    if count < 1:
        raise UsageError(f"count = {count}: at least one cell is needed")
    report = validate(path, board, plugins)
    entry = report.entry
    if entry is None:
        raise BadEntry(report.problems[0].line)
    if not isinstance(entry, Measured):
        raise UsageError(f"{path}: is of kind {entry.kind}; only a measured entry can be trained again")
    named = [_parsed(cell, entry) for cell in cells]
    seed = secrets.randbelow(2**32) if seed is None else seed
    threads = threads or min(entry.provenance.threads, cores())
    runtime = Runtime(device=entry.protocol.device, data=data, threads=threads, workers=workers)
    here = provenance(entry.provenance.data_fingerprint, entry.protocol.device, threads, entry.protocol.exec)
    checks: list[CellCheck] = []
    if report.valid:
        plan = _plan(entry, plugins)
        wanted = set(named or draw(entry, count, seed))
        with tempfile.TemporaryDirectory(prefix="lottery-verify-", dir=work) as folder:
            checks = _train(plan, wanted, entry, Tickets(entry, board), Store.create(Path(folder)), runtime, tell)
    return Verification(
        path, f"{entry.domain}/{entry.id}", seed, same_machine(entry.domain, entry.provenance, here),
        (_machine(entry.domain, entry.provenance), _machine(entry.domain, here)), tuple(checks), report.problems,
        report.remarks,
    )  # fmt: skip


def draw(entry: Measured, count: int, seed: int) -> list[Place]:
    """Cells of an entry at random: the first of the arm that entries are ranked by, the others of all cells alike.

    With each comes the cell that its mask was pruned from, where a mask that is not the method's own would be seen.
    """
    there = sorted(protocol.trained(entry))
    chooser = random.Random(seed)
    first = chooser.choice([place for place in there if place[0] == LADDER])
    others = [place for place in there if place != first]
    drawn = [first, *chooser.sample(others, min(count - 1, len(others)))]
    return list(dict.fromkeys((*drawn, *(_pruned(entry, place) for place in drawn if place[0] != DENSE))))


def _pruned(entry: Measured, place: Place) -> Place:
    """The cell that the mask of another one was pruned from."""
    _, level, replicate = place
    from_dense = protocol.pruned_from_dense(level, entry.method.settings)
    return (DENSE, 0, replicate) if from_dense else (LADDER, level - 1, replicate)


def _parsed(name: str, entry: Measured) -> Place:
    arm, *numbers = name.split(":")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise UsageError(f"cell {name!r}: arm:level:replicate is needed, such as {LADDER}:1:0 or {DENSE}:0:0")
    place = (arm, int(numbers[0]), int(numbers[1]))
    if place not in protocol.trained(entry):
        levels = ", ".join(str(point.level) for point in next(iter(entry.curves.values())) if point.level)
        raise UsageError(
            f"{entry.domain}/{entry.id} has no cell {name}: arms are {DENSE} (level 0) and {', '.join(entry.curves)} "
            f"(levels {levels}), replicates 0 to {entry.protocol.replicates - 1}, none below a diverged ladder"
        )
    return place


def _plan(entry: Measured, plugins: Iterable[Path]) -> Plan:
    """The plan that the entry was run by; raises UsageError for a device that is not usable here."""
    task = protocol.registered(Registry(plugins), entry.task)
    load_extensions(plugins)
    device = entry.protocol.device
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        what = f"{entry.id} was run on {device}, which is not usable here"
        raise UsageError(f"{what}: verify it on a machine that has it") from error
    return protocol.plan(entry, task, entry.protocol.replicates)


def _train(
    plan: Plan, wanted: set[Place], entry: Measured, tickets: Tickets, store: Store, runtime: Runtime, tell: Tell
) -> list[CellCheck]:
    """Train the units of the wanted cells, and check these.

    A plan has parents before children: a mask is made and compared before the entry's takes its place for the children.
    """
    checks: list[CellCheck] = []
    for unit in plan.units():
        checked = [cell for cell in unit if _place(cell) in wanted]
        if not checked:
            continue
        problem = ""
        try:
            for cell in unit:
                if cell.mask_key is not None and (cell.level, cell.replicate) in tickets:
                    store.put_mask(cell.mask_key, tickets[cell.level, cell.replicate])
            run_cells(unit, store, partial(tell, unit[0].name), runtime)
        except TicketError as error:
            problem = str(error)
        checks += [_check(cell, entry, tickets, store, problem) for cell in checked]
    return checks


def _check(cell: Cell, entry: Measured, tickets: Tickets, store: Store, problem: str) -> CellCheck:
    curve = _curve(entry, cell)
    (place,) = (i for i, point in enumerate(curve) if point.level == cell.level)
    point = curve[place]
    result = None if problem else store.cell(cell.key)
    claimed = point.values[cell.replicate]
    return CellCheck(
        *_place(cell),
        claimed=claimed,
        found=None if result is None else result.value,
        tolerance=tolerance([point.values for point in curve], place, cell.replicate, entry.metric.margin),
        same_weights=result is not None and result.weights_digest == point.weights[cell.replicate],
        masks=() if problem else tuple(_masks(cell, tickets, store)),
        problem=problem,
        sign=1 if entry.metric.higher_is_better else -1,
    )


def _masks(cell: Cell, tickets: Tickets, store: Store) -> Iterable[MaskCheck]:
    """The entry's masks that were pruned from a cell, against those made now; a diverged cell leaves none."""
    for prune in cell.prunes:
        level = cell.level + prune.level
        if (level, cell.replicate) not in tickets:
            continue  # the last level is pruned as well, and nothing is trained under that mask
        if not store.has_mask(prune.key):
            yield MaskCheck(level, False, None)
            continue
        claimed, made = tickets[level, cell.replicate].mask, store.mask(prune.key).mask
        yield MaskCheck(level, claimed == made, shared_survivors(claimed, made))


def shared_survivors(a: Mask, b: Mask) -> float | None:
    """Survivors of both masks / survivors of the larger; None for masks of different models."""
    try:
        both = a.intersect(b).remaining
    except TicketError:
        return None
    most = max(a.remaining, b.remaining)
    return both / most if most else 1.0


def _place(cell: Cell) -> Place:
    return cell.arm, cell.level, cell.replicate


def _curve(entry: Measured, cell: Cell) -> tuple[Point, ...]:
    """What the entry claims of a cell's arm; the dense one begins every curve."""
    return entry.curves[LADDER if cell.arm == DENSE else cell.arm]


def same_machine(domain: str, claimed: Provenance, here: Provenance) -> bool:
    """Whether the same bits are owed: same versions of what computes, same threads, same hardware but for its cores.

    All that provenance says of the hardware counts, since one processor name can stand for several sets of kernels. No
    entry says which GPU it was run on.
    """
    versions = ({name: of.versions.get(name) for name in computing(domain)} for of in (claimed, here))
    alike = here.device == "cpu" and here.threads == claimed.threads
    return alike and next(versions) == next(versions) and _hardware(claimed) == _hardware(here)


def _hardware(source: Provenance) -> dict[str, str | int]:
    return {fact: value for fact, value in source.hardware.items() if fact != "cores"}


def _machine(domain: str, source: Provenance) -> str:
    versions = ", ".join(f"{name} {source.versions.get(name, 'unknown')}" for name in computing(domain))
    return f"{source.hardware.get('cpu', 'unknown')}, {counted(source.threads, 'thread')}, {versions}"
