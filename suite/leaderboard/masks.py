"""The masks of an entry: where they are, whether they are tickets, and have the bits that the entry claims."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from suite.experiment.errors import UsageError
from suite.experiment.plan import Cell, Plan
from suite.experiment.roles import pruned_by
from suite.files import NotRegular, read_regular
from suite.leaderboard import protocol
from suite.leaderboard.board import Board
from suite.leaderboard.location import address_problem, fetch, is_address
from suite.leaderboard.schema import LadderRef, Ladders, Measured, TicketRef, ladder_file
from suite.tickets.ladder import Ladder, parse_ladder
from suite.tickets.mask import TicketError
from suite.tickets.ticket import Ticket

MOST_BOARD_BYTES = 4 * 2**20
"""A board holds no more of one entry's ladders; larger ones lie elsewhere, and the entry holds their digests."""

Slot = tuple[int, int]
"""(level, replicate)."""


class Tickets(Mapping[Slot, Ticket]):
    """The tickets that an entry lists, by (level, replicate), read when they are asked for.

    Raises TicketError for a file that is missing, or is not what the entry says it is.
    """

    def __init__(self, entry: Measured, board: Board) -> None:
        self._entry, self._board = entry, board
        self._slots = dict.fromkeys((ref.level, ref.replicate) for ref in entry.tickets)
        self._last: tuple[int, Ladder] | None = None

    def __getitem__(self, slot: Slot) -> Ticket:
        if slot not in self._slots:
            raise KeyError(slot)
        level, replicate = slot
        ladder = self.ladder(replicate)
        if level not in ladder:
            raise TicketError(f"{self.where(replicate)} has no mask of level {level}")
        try:
            return ladder[level]
        except TicketError as error:
            raise TicketError(f"{self.where(replicate)}: {error}") from error

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def where(self, replicate: int) -> str:
        """The file, or address, of a replicate's ladder."""
        name, masks = f"{self._entry.domain}/{self._entry.id}/{ladder_file(replicate)}", self._entry.masks
        if masks is None:
            return str(self._board.masks(self._entry) / ladder_file(replicate))
        base = masks.location.rstrip("/") if is_address(masks.location) else self._board.root / masks.location
        return f"{base}/{name}"

    def ladder(self, replicate: int) -> Ladder:
        """A replicate's ladder; the last one is kept, since its levels are mostly asked for together."""
        if self._last is None or self._last[0] != replicate:
            content = self._content(replicate)
            try:
                self._last = (replicate, parse_ladder(content))
            except TicketError as error:
                raise TicketError(f"{self.where(replicate)} {error}") from error
        return self._last[1]

    def _content(self, replicate: int) -> bytes:
        if self._entry.masks is not None:
            for ref in self._entry.masks.ladders:
                if ref.replicate == replicate:
                    name = f"{self._entry.domain}/{self._entry.id}/{ladder_file(replicate)}"
                    return fetch(self._entry.masks.location, self._board.root, name, ref.bytes, ref.sha256)
            raise TicketError(f"no ladder of replicate {replicate} is listed in masks")
        path = self._board.masks(self._entry) / ladder_file(replicate)
        try:
            return read_regular(path, MOST_BOARD_BYTES)
        except FileNotFoundError as error:
            raise TicketError(f"no ladder file {path}") from error
        except NotRegular as error:
            raise TicketError(str(error)) from error


def ladder_files(tickets: Mapping[Slot, Ticket]) -> dict[str, bytes]:
    """The ladder files of an entry's tickets by their names; raises TicketError for what is no ladder."""
    replicates = sorted({replicate for _, replicate in tickets})
    return {
        ladder_file(replicate): Ladder.of(t for (_, r), t in tickets.items() if r == replicate).to_bytes()
        for replicate in replicates
    }


def placed(entry: Measured, files: Mapping[str, bytes], location: str | None) -> Measured:
    """The entry with its ladders' location, if one is given.

    Raises UsageError for an address that cannot be read from, and without one for ladders too large for a board.
    """
    size = sum(map(len, files.values()))
    if location is None:
        if size > MOST_BOARD_BYTES:
            raise UsageError(
                f"the masks of {entry.domain}/{entry.id} take {size / 2**20:.1f} MiB, a board holds "
                f"{MOST_BOARD_BYTES >> 20} of an entry: name a folder or an https address with --masks-at"
            )
        return entry
    if not is_address(location):
        location = str(Path(location).absolute())
    elif problem := address_problem(location):
        raise UsageError(f"--masks-at {location}: {problem}")
    replicates = sorted({ref.replicate for ref in entry.tickets})
    refs = tuple(
        LadderRef(replicate=r, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for r in replicates
        for content in (files[ladder_file(r)],)
    )
    return entry.model_copy(update={"masks": Ladders(location=location, ladders=refs)})


def tickets(entry: Measured, plan: Plan, board: Board) -> Iterator[str]:
    """What is wrong with the masks, and densities that their bits or the exact counts contradict."""
    wanted = _wanted(entry, plan)
    refs = {(ref.level, ref.replicate): ref for ref in entry.tickets}
    if len(refs) < len(entry.tickets):
        yield "a ticket of one level and replicate is listed twice"
    for level, replicate in sorted(wanted.keys() - refs.keys()):
        yield f"no ticket is listed for level {level} replicate {replicate}"
    for level, replicate in sorted(refs.keys() - wanted.keys()):
        yield f"a ticket is listed for level {level} replicate {replicate}, which the run has not"
    if entry.masks is None and board.without_masks:
        yield (
            f"the installed suite ships no masks, which {entry.domain}/{entry.id} needs: clone the repository and name "
            "its board with --board leaderboards"
        )
        return
    yield from _folder(entry, board) if entry.masks is None else _elsewhere(entry, entry.masks)
    both = sorted(refs.keys() & wanted, key=lambda slot: slot[::-1])
    yield from _contents(entry, Tickets(entry, board), {slot: (refs[slot], wanted[slot]) for slot in both})


def _wanted(entry: Measured, plan: Plan) -> dict[Slot, Cell]:
    """A cell for every mask that the entry's cells were trained under."""
    places = protocol.trained(entry)
    return {
        (cell.level, cell.replicate): cell
        for cell in plan
        if cell.mask_key is not None and (cell.arm, cell.level, cell.replicate) in places
    }


def _folder(entry: Measured, board: Board) -> Iterator[str]:
    """What is wrong with the files in the board."""
    folder = board.masks(entry)
    for place in (folder.parent.parent, folder.parent, folder):
        if place.is_symlink():
            yield f"{place} is a symbolic link: masks lie in the board itself"
            return
    named = {ladder_file(ref.replicate) for ref in entry.tickets}
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in found:
        if path.name not in named:
            yield f"{path} belongs to no ladder of the entry"
    size = sum(path.lstat().st_size for path in found)
    if size > MOST_BOARD_BYTES:
        yield f"{folder} has {size / 2**20:.1f} MiB, a board holds {MOST_BOARD_BYTES >> 20} of an entry: use --masks-at"


def _elsewhere(entry: Measured, masks: Ladders) -> Iterator[str]:
    """What is wrong with the list of ladders that lie elsewhere."""
    listed = [ref.replicate for ref in masks.ladders]
    if listed != sorted({ref.replicate for ref in entry.tickets}):
        yield f"masks lists ladders of replicates {listed[:20]}, the entry has tickets of others"


def _contents(entry: Measured, files: Tickets, listed: Mapping[Slot, tuple[TicketRef, Cell]]) -> Iterator[str]:
    """Every ticket by itself, then against the one before it on its ladder and the same level of other replicates."""
    first: Ticket | None = None
    before: Ticket | None = None
    seen: dict[str, Slot] = {}
    unread: set[int] = set()
    for (level, replicate), (ref, cell) in listed.items():
        if replicate in unread:
            continue
        where = f"{files.where(replicate)} level {level}"
        try:
            ladder = files.ladder(replicate)
        except TicketError as error:
            unread.add(replicate)
            yield str(error)
            continue
        if ladder.size == 0:
            unread.add(replicate)
            yield f"{files.where(replicate)} is a mask of no weights"
            continue
        try:
            ticket = files[level, replicate]
        except TicketError as error:
            yield str(error)
            before = None
            continue
        first = first or ticket
        yield from (f"{where} {problem}" for problem in _header(entry, ref, cell, ticket))
        if _shapes(ticket) != _shapes(first):
            unread.add(replicate)
            yield f"{where} has masks of other shapes than that of level {first.level} replicate {first.replicate}"
            continue
        yield from (f"{where} {problem}" for problem in _bits(entry, cell, ticket))
        if not protocol.pruned_from_dense(cell.level, cell.method):
            yield from (f"{where} {problem}" for problem in _chain(before, cell, ticket))
        digest = ticket.mask.digest
        other = seen.setdefault(digest, (level, replicate))
        if other[1] != replicate and 0 < ticket.mask.density < 1:
            yield f"{where} has the very mask of level {other[0]} replicate {other[1]}"
        before = ticket
    yield from _more(files, listed, unread)


def _more(files: Tickets, listed: Iterable[Slot], unread: set[int]) -> Iterator[str]:
    """Masks in the ladders that the entry does not list."""
    slots = set(listed)
    for replicate in sorted({replicate for _, replicate in slots} - unread):
        for level in files.ladder(replicate):
            if (level, replicate) not in slots:
                yield f"{files.where(replicate)} has a mask of level {level}, which the entry does not list"


def _header(entry: Measured, ref: TicketRef, cell: Cell, ticket: Ticket) -> Iterator[str]:
    """Header fields that are not those of the entry; `rewind_step` is where the run that was pruned began."""
    began = 0 if protocol.pruned_from_dense(cell.level, cell.method) else cell.method.rewind_step
    for what, found, claimed in (
        ("digest", ticket.digest, ref.digest),
        ("task hash", ticket.task_hash, entry.task.hash),
        ("method hash", ticket.method_hash, entry.method.settings.pruning_hash),
        ("replicate", ticket.replicate, ref.replicate),
        ("rewind step", ticket.rewind_step, began),
    ):
        if found != claimed:
            yield f"has {what} {found}, the entry has {claimed}"
    if protocol.pruned_from_dense(cell.level, cell.method) and ticket.parent:
        yield f"has parent {ticket.parent[:12]}, but is pruned from the dense network"


def _shapes(ticket: Ticket) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in ticket.mask.items()}


def _bits(entry: Measured, cell: Cell, ticket: Ticket) -> Iterator[str]:
    pruned = pruned_by(cell.spec, entry.method.settings)
    if tuple(ticket.mask) != pruned:
        yield f"masks {', '.join(ticket.mask)}, task and method prune {', '.join(pruned)}"
    sizes = [tensor.numel() for tensor in ticket.mask.values()]
    exact = protocol.density(entry.method.settings, sizes, cell.level)
    if ticket.mask.density != exact:
        yield f"has density {ticket.mask.density:.6g}, level {cell.level} keeps exactly {exact:.6g}"
    kept = {name: (int(tensor.sum()), tensor.numel()) for name, tensor in ticket.mask.items()}
    yield from protocol.uneven(entry.method.settings, kept, cell.level)
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
