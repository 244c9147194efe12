"""Trains cells of an entry again, from nothing but its masks, and says whether its claims hold."""

import secrets
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from suite.experiment.cell import run_cells
from suite.experiment.domain import computing
from suite.experiment.errors import UsageError
from suite.experiment.options import Carry
from suite.experiment.plan import Cell, Plan
from suite.experiment.plugins import load_extensions
from suite.experiment.provenance import provenance
from suite.experiment.registry import Registry
from suite.experiment.result import CellResult, Provenance
from suite.experiment.runtime import Runtime, cores
from suite.experiment.store import Store
from suite.leaderboard import protocol
from suite.leaderboard.agreement import spread_of
from suite.leaderboard.board import BadEntry, Board
from suite.leaderboard.draw import chance, count_for, draw, draw_more, parsed
from suite.leaderboard.masks import Tickets
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import Measured
from suite.leaderboard.spending import costs
from suite.leaderboard.validate import validate
from suite.leaderboard.verdict import TELLING, CellCheck, MaskCheck, Verification, bits_owed
from suite.printing import count as counted
from suite.tickets.mask import Mask, TicketError
from suite.tickets.scores import CRITERIA

Tell = Callable[[str, int, int], None]
"""Told now and then how far a cell, or a cohort by its first cell, is: (its name, steps taken, steps in all)."""


def silent(name: str, steps: int, total: int) -> None:
    """Tell nobody."""


def verify(
    path: Path, board: Board, *, plugins: Sequence[Path] = (), cells: Sequence[str] = (), count: float = 3,
    seed: int | None = None, work: Path | None = None, tell: Tell = silent, data: Path | None = None,
    threads: int | None = None, workers: int = 0,
) -> Verification:  # fmt: skip
    """Train `count` cells of an entry anew, drawn at random (`seed` draws the same again), or the `cells` named.

    A cell is named as `arm:level:replicate`; a `count` below 1 is the chance with which one changed cell is to be among
    those drawn. Rewound weights are replayed from the first dense step; a cohort is trained and checked whole. Of a
    cell that is pruned (the dense one, the winning ones of an iterative method) the masks are made again too, unless
    the criterion is not known here; a drawn cell brings the one that its own mask was pruned from. Where other bits are
    owed, since neither the machine is of the entry's type nor any of its bits came out, more cells are drawn: scores
    are then judged by their means.

    Cells have the entry's number of threads (at most this machine's cores) unless `threads` is given, since equal bits
    are promised for equal numbers only. Everything is made in a temporary folder below `work`. An entry that is not
    valid is not trained: the verification holds the problems. Raises UsageError for a file that is no measured entry, a
    cell that it has not, or a device that this machine has not, and RunError when a learner cannot be built.
    """
    if count <= 0 or (count > 1 and count != int(count)):
        raise UsageError(f"count = {count}: at least one cell is needed, a whole number, or a chance below 1")
    report = validate(path, board, plugins)
    entry = report.entry
    if entry is None:
        raise BadEntry(report.problems[0].line)
    if not isinstance(entry, Measured):
        raise UsageError(f"{path}: is of kind {entry.kind}; only a measured entry can be trained again")
    named = [parsed(cell, entry) for cell in cells]
    seed = secrets.randbelow(2**32) if seed is None else seed
    threads = threads or min(entry.provenance.threads, cores())
    runtime = Runtime(device=entry.protocol.device, data=data, threads=threads, workers=workers)
    here = provenance(entry.provenance.data_fingerprint, entry.protocol.device, threads, entry.protocol.exec)
    found = Verification(
        path, f"{entry.domain}/{entry.id}", seed, "",
        (_machine(entry.domain, entry.provenance), _machine(entry.domain, here)), (), entry.metric.margin,
        unmade=_unmade(entry), here=here, problems=report.problems, remarks=report.remarks,
    )  # fmt: skip
    if not report.valid:
        return found
    number = int(count) if count >= 1 else count_for(entry, count)
    same = same_machine(entry.domain, entry.provenance, here)
    plan = _plan(entry, plugins)
    with tempfile.TemporaryDirectory(prefix="lottery-verify-", dir=work) as folder:
        trials = _Trials(entry, plan, Tickets(entry, board), runtime, tell, Path(folder))
        trials.train(named or draw(entry, number, seed))
        further = not named and not bits_owed(same, trials.checks, entry.provenance.machines)
        if further:
            trials.train(draw_more(entry, trials.places, seed))
    return replace(
        found,
        owed=bits_owed(same, trials.checks, entry.provenance.machines),
        cells=tuple(trials.checks),
        chance=None if named else chance(entry, number, further),
        costs=costs(entry, plan, trials.results),
    )


def _unmade(entry: Measured) -> str:
    """Why no mask of an entry can be made again here; empty where it can."""
    criterion = entry.method.settings.criterion
    return "" if criterion in CRITERIA else f"criterion {criterion!r} is not known here: name its plugin with --plugin"


def _plan(entry: Measured, plugins: Iterable[Path]) -> Plan:
    """The plan that the entry was run by; raises UsageError for a device that is not usable here."""
    task = protocol.task_of(entry, Registry(plugins))
    load_extensions(plugins)
    device = entry.protocol.device
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        what = f"{entry.id} was run on {device}, which is not usable here"
        raise UsageError(f"{what}: verify it on a machine that has it") from error
    return protocol.plan(entry, task, entry.protocol.replicates)


@dataclass
class _Trials:
    """An entry's cells being trained again, each once, and what came of them."""

    entry: Measured
    plan: Plan
    tickets: Tickets
    runtime: Runtime
    tell: Tell
    folder: Path
    checks: list[CellCheck] = field(default_factory=list)
    results: dict[Place, CellResult] = field(default_factory=dict)

    @property
    def places(self) -> set[Place]:
        """The cells that were trained again."""
        return {(check.arm, check.level, check.replicate) for check in self.checks}

    @property
    def _carry(self) -> Carry | None:
        return None if self.entry.source is None else self.entry.source.carry

    def train(self, wanted: Collection[Place]) -> None:
        """Train the units of the wanted cells and check all that the entry has of these.

        A plan has parents before children: a mask is made and compared before the entry's takes its place for the
        children. Each call has a store of its own, so that none takes an entry's mask for one that was made here.
        """
        store = Store.create(self.folder / str(len(self.checks)))
        left = protocol.trained(self.entry) - self.places
        claimed: dict[str, list[Place]] = {}
        for place, cell in protocol.cells(self.plan).items():
            if place in left:
                claimed.setdefault(cell.key, []).append(place)
        for unit in self.plan.units():
            checked = [(place, cell) for cell in unit for place in claimed.get(cell.key, ())]
            if not any(place in wanted for place, _ in checked):
                continue
            problem = ""
            try:
                for cell in (*_ancestors(unit), *unit):
                    if cell.mask_key is not None and (cell.level, cell.replicate) in self.tickets:
                        store.put_mask(cell.mask_key, self.tickets[cell.level, cell.replicate])
                run_cells(unit, store, partial(self.tell, unit[0].name), self.runtime)
            except TicketError as error:
                problem = str(error)
            self.checks += [self._check(place, cell, store, problem) for place, cell in checked]

    def _check(self, place: Place, cell: Cell, store: Store, problem: str) -> CellCheck:
        arm, level, replicate = place
        curve = protocol.points_of(self.entry, arm)
        (at,) = (i for i, point in enumerate(curve) if point.level == level)
        point, metric = curve[at], protocol.metric_of(self.entry, arm)
        result = None if problem else store.cell(cell.key)
        if result is not None:
            self.results[place] = result
        return CellCheck(
            *place,
            claimed=point.values[replicate],
            found=None if result is None else result.value,
            spread=spread_of([each.values for each in curve], at, replicate, metric.margin),
            same_weights=result is not None and result.weights_digest == point.weights[replicate],
            masks=tuple(self._masks(cell, store)) if not problem and protocol.prunes(self._carry, arm) else (),
            problem=problem,
            sign=1 if metric.higher_is_better else -1,
        )

    def _masks(self, cell: Cell, store: Store) -> Iterable[MaskCheck]:
        """The entry's masks that were pruned from a cell, against those made now; a diverged cell leaves none."""
        for prune in cell.prunes:
            level = cell.level + prune.level
            if (level, cell.replicate) not in self.tickets:
                continue  # the last level is pruned as well, and nothing is trained under that mask
            if not store.has_mask(prune.key):
                yield MaskCheck(level, False, None)
                continue
            claimed, made = self.tickets[level, cell.replicate].mask, store.mask(prune.key).mask
            telling = prune.method.score_at == "end" and prune.method.criterion != "random" and made.size >= TELLING
            yield MaskCheck(level, claimed == made, shared_survivors(claimed, made), telling)


def _ancestors(unit: Iterable[Cell]) -> list[Cell]:
    """The runs that cells go on from, up to the dense one: they are made again where final weights are retrained."""
    origins = [cell.start.origin for cell in unit if cell.start.origin is not None]
    found = {cell.key: cell for origin in origins for line in origin.line for cell in line}
    return list(found.values())


def shared_survivors(a: Mask, b: Mask) -> float | None:
    """Survivors of both masks / survivors of the larger; None for masks of different models."""
    try:
        both = a.intersect(b).remaining
    except TicketError:
        return None
    most = max(a.remaining, b.remaining)
    return both / most if most else 1.0


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
