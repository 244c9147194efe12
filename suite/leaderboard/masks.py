"""The masks of an entry: where they are, how they are read, and where those of a submission are put."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from suite.experiment.errors import UsageError
from suite.files import NotRegular, read_regular
from suite.leaderboard.board import Board
from suite.leaderboard.ladder_folder import shared_ladder
from suite.leaderboard.location import address_problem, fetch, is_address
from suite.leaderboard.schema import LadderRef, Ladders, Measured, ladder_file, shared_ladder_file
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
        masks = self._entry.masks
        if masks is None:
            return str(self._board.masks(self._entry) / ladder_file(replicate))
        if masks.location is None:
            base = str(self._board.root / "masks")
        elif is_address(masks.location):
            base = masks.location.rstrip("/")
        else:
            base = str(self._board.root / masks.location)
        return f"{base}/{self._name(replicate)}"

    def ladder(self, replicate: int) -> Ladder:
        """A replicate's ladder; the last one is kept, since its levels are mostly asked for together."""
        if self._last is None or self._last[0] != replicate:
            content = self.content(replicate)
            try:
                self._last = (replicate, parse_ladder(content))
            except TicketError as error:
                raise TicketError(f"{self.where(replicate)} {error}") from error
        return self._last[1]

    def content(self, replicate: int) -> bytes:
        """The bytes of a replicate's ladder file."""
        masks, board = self._entry.masks, self._board
        if masks is not None:
            ref = self._ref(replicate)
            if ref is None:
                raise TicketError(f"no ladder of replicate {replicate} is listed in masks")
            if masks.location is not None:
                return fetch(masks.location, board.root, self._name(replicate), ref.bytes, ref.sha256)
            found = shared_ladder(board.root / "masks" / self._entry.domain, ref)
            if found is None:
                raise TicketError(f"no ladder file {self.where(replicate)}, nor an entry's that is the same")
            return found
        path = board.masks(self._entry) / ladder_file(replicate)
        try:
            return read_regular(path, MOST_BOARD_BYTES)
        except FileNotFoundError as error:
            raise TicketError(f"no ladder file {path}") from error
        except NotRegular as error:
            raise TicketError(str(error)) from error

    def _ref(self, replicate: int) -> LadderRef | None:
        refs = () if self._entry.masks is None else self._entry.masks.ladders
        return next((ref for ref in refs if ref.replicate == replicate), None)

    def _name(self, replicate: int) -> str:
        """Where a replicate's ladder lies below what holds those of all entries."""
        ref = self._ref(replicate) if self._entry.source is not None else None
        if ref is not None:
            return f"{self._entry.domain}/{shared_ladder_file(ref.sha256)}"
        return f"{self._entry.domain}/{self._entry.id}/{ladder_file(replicate)}"


def ladder_files(tickets: Mapping[Slot, Ticket]) -> dict[str, bytes]:
    """The ladder files of an entry's tickets by their names; raises TicketError for what is no ladder."""
    replicates = sorted({replicate for _, replicate in tickets})
    return {
        ladder_file(replicate): Ladder.of(t for (_, r), t in tickets.items() if r == replicate).to_bytes()
        for replicate in replicates
    }


def placed(
    entry: Measured, files: Mapping[str, bytes], location: str | None
) -> tuple[Measured, dict[str, bytes]]:  # fmt: skip
    """The entry with its ladders' location, if one is given, and the files by the names that they have there.

    Raises UsageError for an address that cannot be read from, and without one for ladders too large for a board.
    """
    size = sum(map(len, files.values()))
    if location is None and size > MOST_BOARD_BYTES:
        raise UsageError(
            f"the masks of {entry.domain}/{entry.id} take {size / 2**20:.1f} MiB, a board holds "
            f"{MOST_BOARD_BYTES >> 20} of an entry: name a folder or an https address with --masks-at"
        )
    if location is None and entry.source is None:
        return entry, dict(files)
    if location is not None and not is_address(location):
        location = str(Path(location).absolute())
    elif location is not None and (problem := address_problem(location)):
        raise UsageError(f"--masks-at {location}: {problem}")
    replicates = sorted({ref.replicate for ref in entry.tickets})
    refs = {
        ladder_file(r): LadderRef(replicate=r, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for r in replicates
        for content in (files[ladder_file(r)],)
    }
    shared = entry.source is not None
    named = {shared_ladder_file(ref.sha256) if shared else name: files[name] for name, ref in refs.items()}
    return entry.model_copy(update={"masks": Ladders(location=location, ladders=tuple(refs.values()))}), named


def held(entry: Measured, board: Board) -> dict[str, bytes] | None:
    """Ladder files of a board that have all tickets of an entry, perhaps with more levels; None where there are none.

    They are those of an entry of the source's own run, or of another of its targets.
    """
    wanted = {(ref.level, ref.replicate): ref.digest for ref in entry.tickets}
    for other in board.measured():
        theirs = {(ref.level, ref.replicate): ref.digest for ref in other.tickets}
        located = other.masks is not None and other.masks.location is not None
        if other.domain != entry.domain or located or not wanted.items() <= theirs.items():
            continue
        files, replicates = Tickets(other, board), sorted({replicate for _, replicate in wanted})
        try:
            return {ladder_file(replicate): files.content(replicate) for replicate in replicates}
        except TicketError:
            continue  # its own validation says so
    return None
