"""Entries whose cells are another's: equal weights where method and seeds cannot have made them equal."""

from collections.abc import Iterable, Iterator

from suite.experiment.method import Method
from suite.experiment.plan import DENSE, LADDER, RANDOM
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import OWN, SOURCE, Measured
from suite.tickets.arms import ARMS

MOST_LINES = 3
"""So many cells of one entry are named, and how many there are in all."""


def copies(entry: Measured, others: Iterable[Measured]) -> Iterator[str]:
    """Cells that are another entry's and cannot be this one's too, or an entry whose every cell is another's."""
    mine = _cells(entry)
    for other in others:
        theirs = {digest: place for place, digest in _cells(other).items()}
        shared = {place: theirs[digest] for place, digest in mine.items() if digest in theirs}
        foreign = [place for place, there in shared.items() if _training(entry, place) != _training(other, there)]
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
    """The digest of every cell's trained weights; diverged ones left out, whose weights are no numbers.

    Of a transfer to itself, the dense runs stand there as the target's.
    """
    found: dict[Place, str] = {}
    dense: set[str] = set()
    for arm, points in entry.all_curves.items():
        for point in points:
            for replicate, (weights, value) in enumerate(zip(point.weights, point.values, strict=False)):
                place = (DENSE if point.level == 0 and arm != SOURCE else arm, point.level, replicate)
                if weights is None or value is None or (arm == SOURCE and weights in dense):
                    continue
                found[place] = weights
                dense |= {weights} if place[0] == DENSE else set()
    return found


def _training(entry: Measured, place: Place) -> object:
    """What decides a cell's training, by what the entry says: equal for what is one and the same training."""
    arm, level, replicate = place
    source, method, exec_mode = entry.source, entry.method.settings, entry.protocol.exec
    task = source.task if source is not None and arm == SOURCE else entry.task
    cell = (task.hash, exec_mode, replicate, level)
    if level == 0:
        return cell
    if source is None:
        return (*cell, arm, _mask(method, level), _start(method, arm))
    if arm in (SOURCE, OWN):
        found_by = source.method if arm == SOURCE else method
        return (*cell, LADDER, _mask(found_by, level), _start(found_by, LADDER))
    if arm == RANDOM:
        return (*cell, arm, source.covered, method.rate, method.scope, method.floor)
    if arm == LADDER and source.task == entry.task and source.method.rewind_step == 0:
        return (*cell, arm, _mask(method, level), _start(method, arm))  # from step 0 it is trained as on its ladder
    return (*cell, arm, source.task.hash, source.carry, _mask(method, level), source.method.rewind_step)


def _mask(method: Method, level: int) -> object:
    """What decides a mask: from the second level on, of an iterative method, how the tickets above were trained too."""
    if method.schedule == "iterative" and level > 1:
        return method.hash
    # The first level is pruned alike at once and step by step, from the dense network.
    return {name: value for name, value in method.pruning.items() if name != "schedule" or level > 1}


def _start(method: Method, arm: str) -> object:
    """What decides where and how an arm trains, apart from its mask; an arm not known here takes the whole method."""
    if arm not in ARMS:
        return method.hash
    known = ARMS[arm]
    if known.weights == "fresh" and known.inherit is None and method.reinit_steps == "full":
        return "fresh"
    apart = {"name", *method.pruning, *(("reinit_steps",) if known.weights == "rewound" else ())}
    return method.model_dump(mode="json", exclude=apart)


def _name(place: Place) -> str:
    return ":".join(map(str, place))
