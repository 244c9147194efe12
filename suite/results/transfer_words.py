"""A matrix of transfers in plain words, for the report and the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from suite.printing import count
from suite.results import words
from suite.results.judge import AreaVerdict, DensityVerdict
from suite.results.stats import LEAST_REPLICATES, Outcome
from suite.results.transfer import Duel, Matrix, Pair, SourceRank

CARRIED: Final = {
    "both": "mask and rewound weights come from the source",
    "mask": "the mask comes from the source, the weights are the target's own initial ones",
    "weights": "the rewound weights come from the source, the masks are those of the target's own ladder",
}
VERBS: Final[dict[Outcome, str]] = {
    "wins": "beat random ones",
    "ties": "tie with random ones",
    "loses": "lose to random ones",
    "undecided": "are undecided against random ones",
}
MARKS: Final[dict[Outcome, str]] = {"wins": "*", "loses": "*", "ties": "=", "undecided": ""}
"""What a number is followed by where there is no room for a word: whether it is decided, or tied within the margin."""


def title(matrix: Matrix) -> str:
    """What was transferred, such as `Transfer of imp tickets, mask only, lite`."""
    only = "" if matrix.carry == "both" else f", {matrix.carry} only"
    return f"Transfer of {matrix.method} tickets{only}, {matrix.scale}"


def about(matrix: Matrix) -> str:
    """How many sources and targets, and what is carried."""
    sources, targets = count(len(matrix.sources), "source"), count(len(matrix.targets), "target")
    return words.sentence(f"{sources}, {targets}: {CARRIED[matrix.carry]}")


def findings(matrix: Matrix) -> list[str]:
    """What the matrix says: over all targets first, then for each target which tickets gain, and which source leads."""
    found = [over_all(matrix)] if len(matrix.targets) > 1 and len(matrix.sources) > 1 else []
    for target in matrix.targets:
        found += filter(None, (gains(matrix, target), leader(matrix, target)))
    return found


def name(matrix: Matrix, source: str, target: str = "") -> str:
    """A source's short name; of the target's own tickets it says so."""
    return f"{matrix.names[source]} (its own)" if source == target else matrix.names[source]


def gains(matrix: Matrix, target: str) -> str:
    """Which tickets beat random ones on a target over all densities, with by how much; empty without that arm."""
    pairs = [(pair, pair.gain) for pair in matrix.of_target(target)]
    said = []
    for verdict, verb in VERBS.items():
        those = [(pair, gain) for pair, gain in pairs if gain is not None and gain.verdict == verdict]
        if those:
            listed = _listed([f"{name(matrix, pair.place[1], target)} {_by(gain)}" for pair, gain in those])
            said.append(f"tickets of {listed} {verb}")
    return words.sentence(f"on {matrix.names[target]}, {'; '.join(said)}") if said else ""


def _by(gain: AreaVerdict) -> str:
    if gain.difference is None:
        return "(no replicate yet)"
    size = f"{words.number(gain.difference, True)} {words.interval(gain.ci95)}"
    reason = gain.reason or (
        f"about {gain.replicates_needed} replicates would decide" if gain.replicates_needed else ""
    )
    return f"({size}{f', {reason}' if reason else ''})"


def leader(matrix: Matrix, target: str) -> str:
    """Which source's tickets lead those of which others on a target; empty of a single source."""
    return _leader(matrix, f"on {matrix.names[target]}", matrix.ranks[target], target)


def over_all(matrix: Matrix) -> str:
    """The same over all targets."""
    overall = matrix.overall
    if not overall.targets:
        return (
            "Over all targets sources are not ranked: no target has the tickets of all sources in every replicate, and "
            "a dense network that learnt."
        )
    where = f"over {count(len(overall.targets), 'target')}, between chance (0) and dense (1)"
    return _leader(matrix, where, overall.ranks)


def _leader(matrix: Matrix, where: str, ranks: Sequence[SourceRank], target: str = "") -> str:
    ranked = [rank for rank in ranks if rank.place is not None]
    if len(ranks) < 2:
        return ""
    if not ranked:
        most = max(rank.area.n for rank in ranks)
        few = f"{count(most, 'replicate')} finished in full, a verdict takes {LEAST_REPLICATES}"
        return words.sentence(f"{where} no source is ranked: {few}")
    best = ranked[0]
    ahead = [duel for duel in best.duels if duel.verdict == "wins"]
    rest = [duel for duel in best.duels if duel.verdict != "wins"]
    start = f"{where}, tickets of {name(matrix, best.source, target)}"
    if not ahead:
        return words.sentence(f"{start} do best, but are not shown to lead any: {_duels(matrix, rest, target)}")
    tail = f"; {_duels(matrix, rest, target)}" if rest else ""
    led = _listed([f"{name(matrix, duel.against, target)} by {_size(duel)}" for duel in ahead])
    return words.sentence(f"{start} lead tickets of {led}{tail}")


def _duels(matrix: Matrix, duels: Iterable[Duel], target: str) -> str:
    return "; ".join(
        f"against {name(matrix, duel.against, target)} {_size(duel)}, {undecided(duel.verdict, duel.replicates_needed)}"
        for duel in duels
    )


def _size(duel: Duel) -> str:
    bounds = f" {words.interval(duel.difference.interval)}" if duel.difference.interval else ""
    return f"{words.number(duel.difference.value)}{bounds}"


def undecided(verdict: Outcome, needed: int | None) -> str:
    """A verdict; of an undecided one the number of replicates that would decide."""
    return f"{verdict}, about {needed} replicates would decide" if verdict == "undecided" and needed else verdict


def gain(verdict: AreaVerdict | DensityVerdict | None) -> str:
    """A gain over random in two digits, with the mark of its verdict: `+0.013*`."""
    if verdict is None or verdict.difference is None:
        return words.NOTHING
    return f"{verdict.difference:+.2g}{MARKS[verdict.verdict]}".replace("-", "−")


def fresh(pairs: Iterable[Pair], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is not carried, with the pairs of which that is so: `head.weight, head.bias`, `a on b; a on c`."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.fresh:
            target, source = pair.place
            found.setdefault(pair.fresh, []).append(f"{names[source]} on {names[target]}")
    return [(what, "; ".join(where)) for what, where in found.items()]


def _listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
