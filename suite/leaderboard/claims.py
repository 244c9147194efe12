"""What measured entries say of a paper's claim: the winning ticket against another arm, density by density."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from suite.leaderboard.schema import Claim
from suite.leaderboard.standing import Standing, groups, same_density
from suite.results.judge import Verdict
from suite.results.stats import Outcome

METHODS: Final = {"iterative": "imp", "one-shot": "one-shot"}
"""The suite's name of the papers' method: magnitude pruning with late rewinding."""

Conclusion = Literal["holds", "does not hold", "mixed", "undecided", "not measured"]


@dataclass(frozen=True)
class ClaimRow:
    """One entry's part in a claim: at how many densities the winning ticket wins, ties, loses, or nothing is shown.

    `aside` says why an entry is not counted; empty where it is.
    """

    standing: Standing
    counts: Mapping[Outcome, int]
    conclusion: Conclusion
    aside: str


@dataclass(frozen=True)
class ClaimTask:
    """A claim on one task: entries that bear on it, and the conclusion from all counted ones."""

    task: str
    rows: tuple[ClaimRow, ...]
    conclusion: Conclusion


@dataclass(frozen=True)
class ClaimStanding:
    """A claim, task by task and in all."""

    claim: Claim
    tasks: tuple[ClaimTask, ...]
    conclusion: Conclusion


def weigh(claim: Claim, standings: Iterable[Standing]) -> ClaimStanding:
    """What the measured entries of a claim's tasks say of it.

    Counted are entries of the claim's own method (the task's `imp` or `one-shot`; `validate` sees to it that no other
    is named so), those of each task's newest version at the largest scale, at the densities that the claim speaks of.
    """
    judged = tuple(standings)
    tasks = tuple(_on_task(claim, task, [s for s in judged if s.entry.task.id == task]) for task in claim.tasks)
    return ClaimStanding(claim, tasks, conclude(_total(r for t in tasks for r in t.rows), claim.holds_if))


def conclude(counts: Mapping[Outcome, int], holds_if: Sequence[Outcome]) -> Conclusion:
    """`mixed`: densities speak for and against. `undecided`: more densities are undecided than decided."""
    decided = {outcome: n for outcome, n in counts.items() if outcome != "undecided" and n}
    total = sum(decided.values())
    if not total and not counts.get("undecided", 0):
        return "not measured"
    for_ = sum(n for outcome, n in decided.items() if outcome in holds_if)
    if 0 < for_ < total:
        return "mixed"
    if total == 0 or total < counts.get("undecided", 0):
        return "undecided"
    return "holds" if for_ else "does not hold"


def _on_task(claim: Claim, task: str, standings: Sequence[Standing]) -> ClaimTask:
    rows: list[ClaimRow] = []
    counted = False
    for group in groups(standings):  # newest version first, then the largest scale
        there = [(s, found) for s in group.standings if (found := _verdicts(claim, s))]
        for s, found in there:
            counts = Counter(verdict.verdict for verdict in found)
            other = "older version or smaller scale" if counted else ""
            aside = other if _of_its_method(claim, s) else "other method"
            rows.append(ClaimRow(s, counts, conclude(counts, claim.holds_if), aside))
        counted |= any(_of_its_method(claim, s) for s, _ in there)
    return ClaimTask(task, tuple(rows), conclude(_total(rows), claim.holds_if))


def _verdicts(claim: Claim, s: Standing) -> list[Verdict]:
    """The verdicts at the claim's densities; their p-values are Holm's over all densities that the entry has."""
    return [v for v in s.judgement.against(claim.against) if _speaks_of(claim, v.density)]


def _speaks_of(claim: Claim, density: float) -> bool:
    within = claim.sparsest <= density <= claim.densest
    return within or same_density(density, claim.sparsest) or same_density(density, claim.densest)


def _of_its_method(claim: Claim, s: Standing) -> bool:
    return s.entry.method.settings.name == METHODS[claim.schedule]


def _total(rows: Iterable[ClaimRow]) -> Counter[Outcome]:
    total: Counter[Outcome] = Counter()
    for row in rows:
        if not row.aside:
            total.update(row.counts)
    return total
