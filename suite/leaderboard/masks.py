"""The ticket files of an entry: whether they are there, are tickets, and have the bits that the entry claims."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from suite.experiment.plan import Cell, Plan
from suite.leaderboard import protocol
from suite.leaderboard.board import Board
from suite.leaderboard.schema import Measured, TicketRef
from suite.tickets.mask import TicketError
from suite.tickets.ticket import Ticket, load

MOST_BYTES = 256 * 2**20
"""No mask is larger: two billion weights, a bit each."""

Slot = tuple[int, int]
"""(replicate, level)."""


def tickets(entry: Measured, plan: Plan, board: Board) -> Iterator[str]:
    """What is wrong with the ticket files, and densities that their bits or the exact counts contradict."""
    folder = board.tickets(entry)
    for place in (folder.parent.parent, folder.parent, folder):
        if place.is_symlink():
            yield f"{place} is a symbolic link: tickets lie in the board itself"
            return
    wanted = _wanted(entry, plan)
    refs = {(ref.replicate, ref.level): ref for ref in entry.tickets}
    if len(refs) < len(entry.tickets):
        yield "a ticket of one level and replicate is listed twice"
    for replicate, level in sorted(wanted.keys() - refs.keys()):
        yield f"no ticket is listed for level {level} replicate {replicate}"
    for replicate, level in sorted(refs.keys() - wanted.keys()):
        yield f"a ticket is listed for level {level} replicate {replicate}, which the run has not"
    named = {ref.file for ref in entry.tickets}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in named:
            yield f"{path} belongs to no ticket of the entry"
    yield from _contents(entry, folder, {slot: (refs[slot], wanted[slot]) for slot in sorted(refs.keys() & wanted)})


def _wanted(entry: Measured, plan: Plan) -> dict[Slot, Cell]:
    """A cell for every mask that the entry's cells were trained under."""
    places = protocol.trained(entry)
    return {
        (cell.replicate, cell.level): cell
        for cell in plan
        if cell.mask_key is not None and (cell.arm, cell.level, cell.replicate) in places
    }


def _contents(entry: Measured, folder: Path, listed: Mapping[Slot, tuple[TicketRef, Cell]]) -> Iterator[str]:
    """Every file by itself, then against the ticket before it on its ladder and the same level of other replicates."""
    first: Ticket | None = None
    before: Ticket | None = None
    seen: dict[str, Slot] = {}
    for (replicate, level), (ref, cell) in listed.items():
        path = folder / ref.file
        try:
            ticket = _load(path)
        except TicketError as error:
            yield str(error)
            before = None
            continue
        first = first or ticket
        yield from (f"{path} {problem}" for problem in _header(entry, ref, cell, ticket))
        if _shapes(ticket) != _shapes(first):
            yield f"{path} has masks of other shapes than that of level {first.level} replicate {first.replicate}"
            continue
        yield from (f"{path} {problem}" for problem in _bits(entry, cell, ticket))
        if not protocol.pruned_from_dense(cell.level, cell.method):
            yield from (f"{path} {problem}" for problem in _chain(before, cell, ticket))
        digest = ticket.mask.digest
        other = seen.setdefault(digest, (replicate, level))
        if other[0] != replicate and 0 < ticket.mask.density < 1:
            yield f"{path} has the very mask of level {other[1]} replicate {other[0]}"
        before = ticket


def _load(path: Path) -> Ticket:
    if path.is_symlink():
        raise TicketError(f"{path} is a symbolic link: a ticket is a file of its own")
    if path.exists() and not path.is_file():
        raise TicketError(f"{path} is no regular file")
    if path.exists() and path.stat().st_size > MOST_BYTES:
        raise TicketError(f"{path} has {path.stat().st_size >> 20} MiB; a mask has at most {MOST_BYTES >> 20}")
    try:
        ticket = load(path)
    except (RecursionError, OverflowError, MemoryError) as error:
        raise TicketError(f"{path} is no ticket of this suite: {type(error).__name__} in its header") from error
    if ticket.mask.size == 0:
        raise TicketError(f"{path} is a mask of no weights")
    return ticket


def _header(entry: Measured, ref: TicketRef, cell: Cell, ticket: Ticket) -> Iterator[str]:
    """Header fields that are not those of the entry; `rewind_step` is where the run that was pruned began."""
    began = 0 if protocol.pruned_from_dense(cell.level, cell.method) else cell.method.rewind_step
    for what, found, claimed in (
        ("digest", ticket.digest, ref.digest),
        ("task hash", ticket.task_hash, entry.task.hash),
        ("method hash", ticket.method_hash, entry.method.settings.pruning_hash),
        ("level", ticket.level, ref.level),
        ("replicate", ticket.replicate, ref.replicate),
        ("rewind step", ticket.rewind_step, began),
    ):
        if found != claimed:
            yield f"has {what} {found}, the entry has {claimed}"
    if ticket.weights:
        yield "carries weights: they are recomputed by replay, a submission has masks alone"
    if protocol.pruned_from_dense(cell.level, cell.method) and ticket.parent:
        yield f"has parent {ticket.parent[:12]}, but is pruned from the dense network"


def _shapes(ticket: Ticket) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in ticket.mask.items()}


def _bits(entry: Measured, cell: Cell, ticket: Ticket) -> Iterator[str]:
    prunable = cell.spec.prunable
    if tuple(ticket.mask) != prunable:
        yield f"masks {', '.join(ticket.mask)}, the task prunes {', '.join(prunable)}"
    sizes = [tensor.numel() for tensor in ticket.mask.values()]
    exact = protocol.density(entry.method.settings, sizes, cell.level)
    if ticket.mask.density != exact:
        yield f"has density {ticket.mask.density:.6g}, level {cell.level} keeps exactly {exact:.6g}"
    for arm, points in entry.curves.items():
        for point in points:
            if point.level == cell.level and point.density != exact:
                yield f"keeps {exact:.6g}, but {arm} claims density {point.density:.6g} at level {cell.level}"


def _chain(before: Ticket | None, cell: Cell, ticket: Ticket) -> Iterator[str]:
    """A ticket of a ladder against its parent, the ticket of the level before."""
    if before is None or (before.replicate, before.level) != (cell.replicate, cell.level - 1):
        return  # the parent is missing, which has been said
    if ticket.parent != before.digest:
        yield f"has parent {ticket.parent[:12] or 'none'}, the ticket of level {before.level} is {before.digest[:12]}"
    if any(bool((ticket.mask[name] & ~before.mask[name]).any()) for name in ticket.mask):
        yield f"has weights that were pruned at level {before.level} already"
