"""What measured entries say of a paper's claim: the verdict of winning against another arm over all densities.

Only entries of the claim's own data set and model family count; what is seen on a substitute is told beside it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from suite.leaderboard.board import Board
from suite.leaderboard.ranking import ROUNDING
from suite.leaderboard.schema import Claim, Measured
from suite.leaderboard.standing import Standing, by_task, standing
from suite.printing import jsonable
from suite.results.judge import AreaVerdict, over_all
from suite.results.stats import Outcome

METHODS: Final = {"iterative": "imp", "one-shot": "one-shot"}
"""The suite's name of the papers' method: magnitude pruning with late rewinding."""

Conclusion = Literal["holds", "does not hold", "mixed", "undecided", "not measured"]


@dataclass(frozen=True)
class ClaimRow:
    """One entry's part in a claim: its verdict over the densities that the claim speaks of, and its detail by density.

    `aside` says why an entry is not counted; empty where it is.
    """

    standing: Standing
    verdict: AreaVerdict
    counts: Mapping[Outcome, int]
    conclusion: Conclusion
    aside: str


@dataclass(frozen=True)
class ClaimTask:
    """A claim on one task: entries that bear on it, and the conclusion from all counted ones.

    On a `substitute` the conclusion is what is seen there: it has no part in the claim's own.
    """

    task: str
    substitute: bool
    rows: tuple[ClaimRow, ...]
    conclusion: Conclusion

    @property
    def counted(self) -> tuple[ClaimRow, ...]:
        """The rows that the conclusion is from."""
        return tuple(row for row in self.rows if not row.aside)


@dataclass(frozen=True)
class ClaimStanding:
    """A claim, task by task and in all; substitutes come last and are not in the conclusion."""

    claim: Claim
    tasks: tuple[ClaimTask, ...]
    conclusion: Conclusion

    @property
    def beside(self) -> tuple[str, ...]:
        """What is not measured of its own tasks, and what is seen on substitutes, in words.

        `on nlp/kjv-lstm (lite): the opposite is seen`.
        """
        own = [task for task in self.tasks if not task.substitute]
        missing = [task.task for task in own if not task.counted]
        partly = [f"not measured on {', '.join(missing)}"] if len(missing) < len(own) and missing else []
        seen = (
            f"on {task.task} ({', '.join(dict.fromkeys(row.standing.entry.task.scale for row in task.counted))}): "
            f"{_seen(self.claim, task)}"
            for task in self.tasks
            if task.substitute and task.counted
        )
        return (*partly, *seen)


def weigh(claim: Claim, standings: Iterable[Standing]) -> ClaimStanding:
    """What the measured entries of a claim's tasks say of it.

    Counted are entries of the claim's own method (the task's `imp` or `one-shot`; `validate` sees to it that no other
    is named so), those of each task's newest version at the largest scale.
    """
    judged = tuple(standings)
    listed = [(task, False) for task in claim.tasks] + [(task, True) for task in claim.substitutes]
    tasks = tuple(
        _on_task(claim, task, substitute, [s for s in judged if s.entry.task.id == task]) for task, substitute in listed
    )
    own = [row for task in tasks if not task.substitute for row in task.counted]
    return ClaimStanding(claim, tasks, conclude([row.verdict.verdict for row in own], claim.holds_if))


def conclude(outcomes: Sequence[Outcome], holds_if: Sequence[Outcome]) -> Conclusion:
    """From the verdicts of the counted entries; `mixed`: some that are decided speak for the claim and some against."""
    if not outcomes:
        return "not measured"
    decided = [outcome in holds_if for outcome in outcomes if outcome != "undecided"]
    if not decided:
        return "undecided"
    if any(decided) != all(decided):
        return "mixed"
    return "holds" if decided[0] else "does not hold"


def weighed(board: Board, domain: str | None = None) -> list[ClaimStanding]:
    """The claims of a board, or of one domain, with what its measured entries say."""
    found = []
    for name in board.domains() if domain is None else [domain]:
        entries = board.entries(name)
        standings = [standing(entry) for entry in entries if isinstance(entry, Measured)]
        found += [weigh(entry, standings) for entry in entries if isinstance(entry, Claim)]
    return found


def as_json(claims: Iterable[ClaimStanding]) -> dict[str, Any]:
    """What `lottery claims --json` prints."""
    found: dict[str, Any] = jsonable({"schema": 1, "claims": [_json(one) for one in claims]})
    return found


def _json(one: ClaimStanding) -> dict[str, Any]:
    return {
        **one.claim.model_dump(mode="json", exclude={"schema_version", "kind"}),
        "conclusion": one.conclusion,
        "beside": one.beside,
        "measured": [
            {
                "task": task.task,
                "substitute": task.substitute,
                "conclusion": task.conclusion,
                "entries": [
                    {
                        "entry": row.standing.entry.id,
                        "scale": row.standing.entry.task.scale,
                        "verdict": row.verdict.verdict,
                        "difference": row.verdict.difference,
                        "ci95": row.verdict.ci95,
                        "p": row.verdict.p,
                        "by_density": dict(row.counts),
                        "not_counted": row.aside or None,
                    }
                    for row in task.rows
                ],
            }
            for task in one.tasks
        ],
    }


def _on_task(claim: Claim, task: str, substitute: bool, standings: Sequence[Standing]) -> ClaimTask:
    rows: list[ClaimRow] = []
    counted = False
    for _, _, group in by_task(standings):  # newest version first, then the largest scale
        there = [(s, verdict) for s in group if (verdict := _verdict(claim, s)) is not None]
        for s, verdict in there:
            counts = Counter(v.verdict for v in s.judgement.against(claim.against) if v.density in verdict.densities)
            other = "older version or smaller scale" if counted else ""
            aside = other if _of_its_method(claim, s) else "other method"
            rows.append(ClaimRow(s, verdict, counts, conclude([verdict.verdict], claim.holds_if), aside))
        counted |= any(_of_its_method(claim, s) for s, _ in there)
    outcomes = [row.verdict.verdict for row in rows if not row.aside]
    return ClaimTask(task, substitute, tuple(rows), conclude(outcomes, claim.holds_if))


def _verdict(claim: Claim, s: Standing) -> AreaVerdict | None:
    """An entry's verdict over the densities of the claim; None where it has no such arm or density."""
    if s.against(claim.against) is None:
        return None
    densest, sparsest = claim.densest * (1 + ROUNDING), claim.sparsest * (1 - ROUNDING)
    found = over_all(s.curves, claim.against, densest, sparsest)
    return found if found.densities else None


def _of_its_method(claim: Claim, s: Standing) -> bool:
    return s.entry.method.settings.name == METHODS[claim.schedule]


def _seen(claim: Claim, task: ClaimTask) -> str:
    """What the counted entries of a substitute show, in the light of the claim."""
    outcomes = {row.verdict.verdict for row in task.counted}
    opposite = {"wins": "loses", "loses": "wins"}
    if task.conclusion == "holds":
        return "the same is seen"
    if task.conclusion != "does not hold":
        return task.conclusion
    if all(opposite.get(outcome) in claim.holds_if for outcome in outcomes):
        return "the opposite is seen"
    return "no difference is seen" if outcomes == {"ties"} else "something else is seen"
