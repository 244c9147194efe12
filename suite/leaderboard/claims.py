"""What measured entries say of a paper's claim: the verdict of one arm, source or method against another.

Only entries of the claim's own data set and model family count; what is seen on a substitute is told beside it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from suite.leaderboard import between
from suite.leaderboard.between import Between
from suite.leaderboard.board import Board
from suite.leaderboard.claim import AGAINST_LAYERWISE, AGAINST_SOURCE, Claim, Transfers
from suite.leaderboard.ranking import ROUNDING
from suite.leaderboard.schema import Measured
from suite.leaderboard.standing import Standing, by_task, standing
from suite.printing import jsonable
from suite.results.judge import AreaVerdict, over_all
from suite.results.stats import Outcome

METHODS: Final = {"iterative": "imp", "one-shot": "one-shot"}
"""The suite's name of the papers' method: magnitude pruning with late rewinding."""

LAYERWISE: Final = {"iterative": "imp-layerwise"}
"""The same with a threshold for each layer."""

UNTOLD: Final = "smoke"
"""The scale that says nothing of a claim: it is made to run in seconds, on data of another kind where need be."""

MOST_NAMED: Final = 6
"""So many tasks without an entry are named in a sentence."""

Conclusion = Literal["holds", "does not hold", "mixed", "undecided", "not measured"]


@dataclass(frozen=True)
class ClaimRow:
    """One entry's part in a claim: its verdict over the densities that the claim speaks of, and its detail by density.

    `ours` and the verdict's `against` are what is compared: arms of the entry, or this entry and the `rival`. `aside`
    says why an entry is not counted; empty where it is.
    """

    standing: Standing
    verdict: AreaVerdict
    counts: Mapping[Outcome, int]
    conclusion: Conclusion
    aside: str
    ours: str = "winning"
    rival: Standing | None = None


@dataclass(frozen=True)
class ClaimTask:
    """A claim on one task, or one transfer: entries that bear on it, and the conclusion from all counted ones.

    `task` is the task's id, or `A to B` of a transfer, `A rather than C to B` where sources are compared.
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
    def told(self) -> str:
        """The conclusion, with how many of its own tasks and transfers it is from where not from all."""
        own = [bool(task.counted) for task in self.tasks if not task.substitute]
        if all(own) or not any(own):
            return self.conclusion
        return f"{self.conclusion} where measured ({sum(own)} of {len(own)})"

    @property
    def beside(self) -> tuple[str, ...]:
        """What is not measured of its own tasks, and what is seen on substitutes, in words.

        `on nlp/kjv-lstm (lite): the opposite is seen`.
        """
        own = [task for task in self.tasks if not task.substitute]
        missing = [task.task for task in own if not task.counted]
        where = (
            ", ".join(missing) if len(missing) <= MOST_NAMED else f"{len(missing)} of {len(own)} tasks and transfers"
        )
        partly = [f"not measured on {where}"] if len(missing) < len(own) and missing else []
        seen = (
            f"on {task.task} ({', '.join(dict.fromkeys(row.standing.entry.task.scale for row in task.counted))}): "
            f"{_seen(self.claim, task)}"
            for task in self.tasks
            if task.substitute and task.counted
        )
        return (*partly, *seen)


@dataclass(frozen=True)
class _Setting:
    """What a claim is tried on: its name, the entries that bear on it, those that they are compared with (or None)."""

    name: str
    substitute: bool
    entries: tuple[Standing, ...]
    rivals: tuple[Standing, ...] | None = None


def weigh(claim: Claim, standings: Iterable[Standing]) -> ClaimStanding:
    """What the measured entries of a claim's tasks and transfers say of it.

    Counted are entries of the claim's own method (the task's `imp` or `one-shot`; `validate` sees to it that no other
    is named so), those of each task's newest version at the largest scale, but none at scale smoke.
    """
    settings = sorted(_settings(claim, tuple(standings)), key=lambda setting: setting.substitute)
    tasks = tuple(_on(claim, setting) for setting in settings)
    own = [row for task in tasks if not task.substitute for row in task.counted]
    return ClaimStanding(claim, tasks, conclude([row.verdict.verdict for row in own], claim.holds_if))


def _settings(claim: Claim, standings: Sequence[Standing]) -> Iterator[_Setting]:
    """What a claim is tried on, its own first."""
    for tasks, transfers, substitute in (
        (claim.tasks, claim.transfers, False),
        (claim.substitutes, claim.substitute_transfers, True),
    ):
        for task in tasks:
            here = tuple(s for s in standings if s.entry.source is None and s.entry.task.id == task)
            own = tuple(s for s in here if substitute or not claim.scales or s.entry.task.scale in claim.scales)
            yield _on_task(claim, task, substitute, own)
            if len(own) < len(here):
                yield _on_task(claim, task, True, tuple(s for s in here if s not in own))
        for each in transfers:
            yield from _moved(claim, each, substitute, standings)


def _on_task(claim: Claim, task: str, substitute: bool, here: tuple[Standing, ...]) -> _Setting:
    if claim.against != AGAINST_LAYERWISE:
        return _Setting(task, substitute, here)
    layerwise = [_method(s) == LAYERWISE.get(claim.schedule) for s in here]
    ours, theirs = (
        tuple(s for s, is_so in zip(here, layerwise, strict=True) if is_so is side) for side in (False, True)
    )
    return _Setting(task, substitute, ours, theirs)


def _moved(claim: Claim, each: Transfers, substitute: bool, standings: Sequence[Standing]) -> Iterator[_Setting]:
    def found(source: str, target: str) -> tuple[Standing, ...]:
        return tuple(
            s
            for s in standings
            if s.entry.source is not None
            and (s.entry.source.task.id, s.entry.task.id, s.entry.source.carry) == (source, target, each.carry)
        )

    what = "" if each.carry == "both" else f", {each.carry}"
    for target in each.targets:
        for source in each.sources:
            for rival in each.rivals or ("",):
                if len({source, rival, target}) == 3:
                    rather = f" rather than {rival}" if rival else ""
                    rivals = found(rival, target) if claim.against == AGAINST_SOURCE else None
                    yield _Setting(f"{source}{rather} to {target}{what}", substitute, found(source, target), rivals)


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
                        "compared": [row.ours, row.verdict.against],
                        "replicates": row.verdict.n,
                        "densities": row.verdict.densities,
                        "at_the_sparsest": [row.verdict.ours, row.verdict.theirs],
                        "reason": row.verdict.reason,
                        "replicates_needed": row.verdict.replicates_needed,
                        "not_counted": row.aside or None,
                    }
                    for row in task.rows
                ],
            }
            for task in one.tasks
        ],
    }


def _on(claim: Claim, setting: _Setting) -> ClaimTask:
    rows: list[ClaimRow] = []
    counted = False
    for task, _, group in by_task(setting.entries):  # newest version first, then the largest scale
        there = [row for s in group for row in _rows(claim, s, setting.rivals)]
        late = "older version or smaller scale" if counted else f"scale {UNTOLD}" if task.scale == UNTOLD else ""
        for row in there:
            rows.append(replace(row, aside=late if _of_its_method(claim, row.standing) else "other method"))
        counted |= any(not row.aside for row in rows)
    outcomes = [row.verdict.verdict for row in rows if not row.aside]
    return ClaimTask(setting.name, setting.substitute, tuple(rows), conclude(outcomes, claim.holds_if))


def _rows(claim: Claim, s: Standing, rivals: Sequence[Standing] | None) -> Iterator[ClaimRow]:
    """What an entry says of a claim, alone or against each rival of its task hash; nothing without its densities."""
    if rivals is None:
        found = _within(claim, s)
        if found is not None:
            yield _row(claim, s, found, claim.arm)
        return
    for rival in rivals:
        if (rival.entry.task, rival.entry.metric) == (s.entry.task, s.entry.metric):
            against = between.entries(s.contender, rival.contender, claim.densest, claim.sparsest)
            if against.area.densities:
                yield _row(claim, s, against, s.entry.id, rival)


def _row(claim: Claim, s: Standing, found: Between, ours: str, rival: Standing | None = None) -> ClaimRow:
    counts = Counter(verdict.verdict for verdict in found.densities)
    return ClaimRow(s, found.area, counts, conclude([found.area.verdict], claim.holds_if), "", ours, rival)


def _within(claim: Claim, s: Standing) -> Between | None:
    """An entry's verdicts over the densities of the claim; None where it has no such arm or density."""
    arms = {"dense", *s.curves.arms}
    if claim.arm not in arms or claim.against not in arms:
        return None
    if claim.arm != "winning":
        found = between.arms(s.contender, claim.arm, claim.against, claim.densest, claim.sparsest)
        return found if found.area.densities else None
    area = over_all(s.curves, claim.against, claim.densest * (1 + ROUNDING), claim.sparsest * (1 - ROUNDING))
    detail = tuple(v for v in s.judgement.against(claim.against) if v.density in area.densities)
    return Between(area, detail) if area.densities else None


def _method(s: Standing) -> str:
    """The name of the method that found an entry's tickets."""
    source = s.entry.source
    return s.entry.method.settings.name if source is None else source.method.name


def _of_its_method(claim: Claim, s: Standing) -> bool:
    return _method(s) == METHODS[claim.schedule]


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
