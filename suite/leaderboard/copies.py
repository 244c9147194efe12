"""Entries whose cells are another's: equal weights where method and seeds cannot have made them equal."""

from collections.abc import Iterable, Iterator

from suite.experiment.plan import DENSE
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import Measured
from suite.tickets.arms import ARMS

MOST_LINES = 3
"""So many cells of one entry are named, and how many there are in all."""


def copies(entry: Measured, others: Iterable[Measured]) -> Iterator[str]:
    """Cells that are another entry's and cannot be this one's too, or an entry whose every cell is another's."""
    mine = _cells(entry)
    for other in others:
        theirs = {digest: place for place, digest in _cells(other).items()}
        shared = {place: theirs[digest] for place, digest in mine.items() if digest in theirs}
        foreign = [place for place, there in shared.items() if not _one_cell(entry, other, place, there)]
        for place in foreign[:MOST_LINES]:
            yield (
                f"{_name(place)} has the very weights of {_name(shared[place])} of {other.domain}/{other.id}, which is "
                f"another run (and {len(foreign) - 1} more such cells)"
            )
        if not foreign and len(shared) == len(mine) and entry.method.settings.hash == other.method.settings.hash:
            yield (
                f"every cell is that of {other.domain}/{other.id}: it is there already, verify that one and leave a "
                "receipt instead"
            )


def _cells(entry: Measured) -> dict[Place, str]:
    """The digest of every cell's trained weights; diverged ones left out, whose weights are no numbers."""
    return {
        (DENSE if point.level == 0 else arm, point.level, replicate): weights
        for arm, points in entry.curves.items()
        for point in points
        for replicate, (weights, value) in enumerate(zip(point.weights, point.values, strict=False))
        if weights is not None and value is not None
    }


def _one_cell(a: Measured, b: Measured, mine: Place, theirs: Place) -> bool:
    """Whether a cell of each is one and the same training: task, place, mask and start are equal by what they say."""
    if mine != theirs or a.task.hash != b.task.hash or a.protocol.exec != b.protocol.exec:
        return False
    arm, level, _ = mine
    if level == 0:
        return True
    return _mask(a, level) == _mask(b, level) and _start(a, arm) == _start(b, arm)


def _mask(entry: Measured, level: int) -> object:
    """What decides a mask: from the second level on, of an iterative method, how the tickets above were trained too."""
    method = entry.method.settings
    if method.schedule == "iterative" and level > 1:
        return method.hash
    # The first level is pruned alike at once and step by step, from the dense network.
    return {name: value for name, value in method.pruning.items() if name != "schedule" or level > 1}


def _start(entry: Measured, arm: str) -> object:
    """What decides where and how an arm trains, apart from its mask; an arm not known here takes the whole method."""
    method = entry.method.settings
    if arm not in ARMS:
        return method.hash
    known = ARMS[arm]
    if known.weights == "fresh" and known.inherit is None and method.reinit_steps == "full":
        return "fresh"
    apart = {"name", *method.pruning, *(("reinit_steps",) if known.weights == "rewound" else ())}
    return method.model_dump(mode="json", exclude=apart)


def _name(place: Place) -> str:
    return ":".join(map(str, place))
