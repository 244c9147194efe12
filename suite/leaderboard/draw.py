"""Which cells of an entry are trained again: drawn at random, or named."""

import math
import random
from collections.abc import Collection, Iterable

from suite.experiment.errors import UsageError
from suite.experiment.plan import DENSE, LADDER
from suite.leaderboard import protocol
from suite.leaderboard.protocol import Place
from suite.leaderboard.schema import OWN, SOURCE, EntryPoint, Measured

PER_ARM = 8
"""Where bits are not owed scores are judged by means: so many cells of every arm are then trained again, if it has."""


def draw(entry: Measured, count: int, seed: int) -> list[Place]:
    """Cells of an entry at random: the first of the arm that entries are ranked by, the others of all cells alike.

    With each comes the cell that its mask was pruned from, where a mask that is not the method's own would be seen.
    """
    there = sorted(protocol.trained(entry))
    chooser = random.Random(seed)
    first = chooser.choice([place for place in there if place[0] == LADDER])
    others = [place for place in there if place != first]
    drawn = [first, *chooser.sample(others, min(count - 1, len(others)))]
    makers = (protocol.maker(entry, place) for place in drawn)
    return list(dict.fromkeys((*drawn, *(place for place in makers if place is not None))))


def draw_more(entry: Measured, have: Collection[Place], seed: int) -> list[Place]:
    """As many further cells of every arm, the dense one included, as `PER_ARM` wants; none of a transfer's ladders."""
    chooser = random.Random(f"more {seed}")
    more: list[Place] = []
    for arm in (DENSE, *entry.curves):
        of_arm = sorted(place for place in protocol.trained(entry) if place[0] == arm)
        left = [place for place in of_arm if place not in have]
        wanted = max(0, PER_ARM - (len(of_arm) - len(left)))
        more += chooser.sample(left, min(wanted, len(left)))
    return more


def chance(entry: Measured, count: int, more: bool) -> float:
    """The least chance that one changed cell is among those drawn: of all alike, or if `more` were drawn of its arm."""
    there = [place[0] for place in protocol.trained(entry)]
    alike = 1.0 if count >= len(there) else (count - 1) / (len(there) - 1)
    if not more or {SOURCE, OWN} & {*there}:  # of a transfer's ladders no more are drawn
        return alike
    of_arm = min(1.0, *(PER_ARM / there.count(arm) for arm in set(there)))
    return max(alike, of_arm)


def count_for(entry: Measured, wanted: float) -> int:
    """How many cells must be drawn so that one changed cell is among them with a chance of at least `wanted`."""
    if not 0 < wanted <= 1:
        raise UsageError(f"count = {wanted}: a number of cells, or a chance above 0 and up to 1, is needed")
    return 1 + math.ceil(wanted * (len(protocol.trained(entry)) - 1) - 1e-9)


def parsed(name: str, entry: Measured) -> Place:
    """The cell of a name such as `winning:1:0`; raises UsageError for what is none of the entry's."""
    arm, *numbers = name.split(":")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise UsageError(f"cell {name!r}: arm:level:replicate is needed, such as {LADDER}:1:0 or {DENSE}:0:0")
    place = (arm, int(numbers[0]), int(numbers[1]))
    if place not in protocol.trained(entry):
        levels = ", ".join(str(point.level) for point in next(iter(entry.curves.values())) if point.level)
        ladders = {} if entry.source is None else entry.source.ladders
        more = "".join(f", {ladder} (levels {_listed(points)})" for ladder, points in ladders.items())
        raise UsageError(
            f"{entry.domain}/{entry.id} has no cell {name}: arms are {DENSE} (level 0) and {', '.join(entry.curves)} "
            f"(levels {levels}){more}, replicates 0 to {entry.protocol.replicates - 1}, none below a diverged ladder"
        )
    return place


def _listed(points: Iterable[EntryPoint]) -> str:
    return ", ".join(str(point.level) for point in points)
