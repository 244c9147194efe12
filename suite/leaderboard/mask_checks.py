"""Whether an entry's masks are tickets, of the ladder that they are said to be of, and have the densities claimed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from suite.experiment.method import Method
from suite.experiment.plan import LADDER, RANDOM, Plan
from suite.experiment.roles import pruned_by
from suite.experiment.task import TaskSpec
from suite.leaderboard import protocol
from suite.leaderboard.board import Board
from suite.leaderboard.masks import MOST_BOARD_BYTES, Slot, Tickets
from suite.leaderboard.schema import OWN, SOURCE, EntryPoint, Ladders, Measured, TicketRef, TicketSource, ladder_file
from suite.tickets.mask import TicketError
from suite.tickets.ticket import Ticket


@dataclass(frozen=True)
class _Found:
    """How an entry's tickets were found: task and method, the masks that came of it, the curves of their densities."""

    spec: TaskSpec
    method: Method
    slots: frozenset[Slot]
    curves: Mapping[str, tuple[EntryPoint, ...]]


def tickets(entry: Measured, plan: Plan, board: Board) -> Iterator[str]:
    """What is wrong with the masks, and densities that their bits or the exact counts contradict."""
    found = _found(entry, plan)
    refs = {(ref.level, ref.replicate): ref for ref in entry.tickets}
    if len(refs) < len(entry.tickets):
        yield "a ticket of one level and replicate is listed twice"
    for level, replicate in sorted(found.slots - refs.keys()):
        yield f"no ticket is listed for level {level} replicate {replicate}"
    for level, replicate in sorted(refs.keys() - found.slots):
        yield f"a ticket is listed for level {level} replicate {replicate}, which the run has not"
    if entry.source is not None and entry.masks is None:
        yield "masks is missing: of a transfer it lists the ladders by their SHA-256"
        return
    in_the_board = entry.masks is None or entry.masks.location is None
    if in_the_board and board.without_masks:
        yield (
            f"the installed suite ships no masks, which {entry.domain}/{entry.id} needs: clone the repository and name "
            "its board with --board leaderboards"
        )
        return
    yield from _folder(entry, board) if entry.masks is None else _elsewhere(entry, entry.masks)
    both = sorted(refs.keys() & found.slots, key=lambda slot: slot[::-1])
    files = Tickets(entry, board)
    unread = set[int]()
    yield from _contents(found, files, {slot: refs[slot] for slot in both}, unread)
    if entry.source is None:
        yield from _more(files, both, unread)
    else:
        readable = [slot for slot in both if slot[1] not in unread]
        yield from _covered(entry, entry.source, found, plan)
        yield from _covered_densities(entry, entry.source, files, readable)


def _found(entry: Measured, plan: Plan) -> _Found:
    """Of a run on one task, the masks that its cells were trained under; of a transfer, those of the whole ladder."""
    source, task = entry.source, plan.task
    if source is None or task.source is None:
        trained = protocol.trained(entry)
        slots = {
            (cell.level, cell.replicate)
            for place, cell in protocol.cells(plan).items()
            if cell.mask_key is not None and place in trained
        }
        return _Found(task.spec, entry.method.settings, frozenset(slots), entry.curves)
    own = source.carry == "weights"
    deepest = max((point.level for point in entry.curves[LADDER]), default=0)
    slots = {
        (level, replicate)
        for level in range(1, deepest + 1)
        for replicate in range(entry.protocol.replicates)
        if not protocol.ended(entry, OWN if own else SOURCE, level, replicate)
    }
    spec = task.spec if own else task.source.task.spec
    return _Found(spec, entry.method.settings if own else source.method, frozenset(slots), source.ladders)


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


def _contents(
    found: _Found, files: Tickets, listed: Mapping[Slot, TicketRef], unread: set[int]
) -> Iterator[str]:  # fmt: skip
    """Every ticket by itself, then against the one before it on its ladder and the same level of other replicates.

    Replicates whose ladder cannot be read are put into `unread`.
    """
    first: Ticket | None = None
    before: Ticket | None = None
    seen: dict[str, Slot] = {}
    for (level, replicate), ref in listed.items():
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
        yield from (f"{where} {problem}" for problem in _header(found, ref, ticket))
        if _shapes(ticket) != _shapes(first):
            unread.add(replicate)
            yield f"{where} has masks of other shapes than that of level {first.level} replicate {first.replicate}"
            continue
        yield from (f"{where} {problem}" for problem in _bits(found, level, ticket))
        if not protocol.pruned_from_dense(level, found.method):
            yield from (f"{where} {problem}" for problem in _chain(before, ref, ticket))
        digest = ticket.mask.digest
        other = seen.setdefault(digest, (level, replicate))
        if other[1] != replicate and 0 < ticket.mask.density < 1:
            yield f"{where} has the very mask of level {other[0]} replicate {other[1]}"
        before = ticket


def _more(files: Tickets, listed: Iterable[Slot], unread: set[int]) -> Iterator[str]:
    """Masks in the ladders that the entry does not list."""
    slots = set(listed)
    for replicate in sorted({replicate for _, replicate in slots} - unread):
        for level in files.ladder(replicate):
            if (level, replicate) not in slots:
                yield f"{files.where(replicate)} has a mask of level {level}, which the entry does not list"


def _header(found: _Found, ref: TicketRef, ticket: Ticket) -> Iterator[str]:
    """Header fields that are not those of the entry; `rewind_step` is where the run that was pruned began."""
    from_dense = protocol.pruned_from_dense(ref.level, found.method)
    for what, has, claimed in (
        ("digest", ticket.digest, ref.digest),
        ("task hash", ticket.task_hash, found.spec.hash),
        ("method hash", ticket.method_hash, found.method.pruning_hash),
        ("replicate", ticket.replicate, ref.replicate),
        ("rewind step", ticket.rewind_step, 0 if from_dense else found.method.rewind_step),
    ):
        if has != claimed:
            yield f"has {what} {has}, the entry has {claimed}"
    if from_dense and ticket.parent:
        yield f"has parent {ticket.parent[:12]}, but is pruned from the dense network"


def _shapes(ticket: Ticket) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in ticket.mask.items()}


def _bits(found: _Found, level: int, ticket: Ticket) -> Iterator[str]:
    pruned = pruned_by(found.spec, found.method)
    if tuple(ticket.mask) != pruned:
        yield f"masks {', '.join(ticket.mask)}, task and method prune {', '.join(pruned)}"
    sizes = [tensor.numel() for tensor in ticket.mask.values()]
    exact = protocol.density(found.method, sizes, level)
    if ticket.mask.density != exact:
        yield f"has density {ticket.mask.density:.6g}, level {level} keeps exactly {exact:.6g}"
    kept = {name: (int(tensor.sum()), tensor.numel()) for name, tensor in ticket.mask.items()}
    yield from protocol.uneven(found.method, kept, level)
    for arm, points in found.curves.items():
        for point in points:
            if point.level == level and point.density != exact:
                yield f"keeps {exact:.6g}, but {arm} claims density {point.density:.6g} at level {level}"


def _chain(before: Ticket | None, ref: TicketRef, ticket: Ticket) -> Iterator[str]:
    """A ticket of a ladder against its parent, the ticket of the level before."""
    if before is None or (before.replicate, before.level) != (ref.replicate, ref.level - 1):
        return  # the parent is missing, which has been said
    if ticket.parent != before.digest:
        yield f"has parent {ticket.parent[:12] or 'none'}, the ticket of level {before.level} is {before.digest[:12]}"
    if any(bool((ticket.mask[name] & ~before.mask[name]).any()) for name in ticket.mask):
        yield f"has weights that were pruned at level {before.level} already"


def _covered(entry: Measured, source: TicketSource, found: _Found, plan: Plan) -> Iterator[str]:
    """Tensors that the masks cannot cover: only the output layer of the source may be left out."""
    own, theirs = plan.task.spec.prunable, pruned_by(found.spec, found.method)
    expected = tuple(name for name in own if name in source.covered)
    if source.covered != expected:
        yield f"covered is {', '.join(source.covered)}: they are tensors that {entry.task.id} prunes, in their order"
    for name in theirs:
        if name not in source.covered and (name not in found.spec.output_layer or source.carry == "weights"):
            yield f"{name} is not covered: only tensors of the source's output layer may be left out"
    for name in source.covered:
        if name not in theirs:
            yield f"covered tensor {name} is not one that {found.spec.id} prunes"


def _covered_densities(
    entry: Measured, source: TicketSource, files: Tickets, slots: Iterable[Slot]
) -> Iterator[str]:  # fmt: skip
    """Densities of a transfer's arms that the masks contradict, on the tensors covered; means over the replicates."""
    kept: dict[int, list[float]] = {}
    sizes: list[int] = []
    for level, replicate in slots:
        try:
            ticket = files[level, replicate]
        except TicketError:
            continue  # which has been said
        mask = {name: tensor for name, tensor in ticket.mask.items() if name in source.covered}
        sizes = [tensor.numel() for tensor in mask.values()]
        kept.setdefault(level, []).append(sum(int(tensor.sum()) for tensor in mask.values()) / max(1, sum(sizes)))
    for arm, points in entry.curves.items():
        for point in points:
            if point.level not in kept:
                continue
            mean = protocol.mean_density(kept[point.level])
            exact = protocol.density(entry.method.settings, sizes, point.level) if arm == RANDOM else mean
            if point.density != exact:
                what = "as many prunings leave" if arm == RANDOM else "the masks keep"
                yield f"{arm} claims density {point.density:.6g} at level {point.level}, {what} {exact:.6g}"
