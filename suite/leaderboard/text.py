"""A comparison, and claims, for people and programs: sentences first, then tables; Markdown; JSON."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from suite.leaderboard.claim import Claim
from suite.leaderboard.claims import ClaimRow, ClaimStanding
from suite.leaderboard.compare import RUN, Against, Comparison, TaskComparison
from suite.leaderboard.ranking import Rank
from suite.printing import count, jsonable, table, wrapped
from suite.results import words
from suite.results.area import Area


@dataclass(frozen=True)
class _Sheet:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """What `lottery compare RUN --json` prints: finite numbers or null."""
    found: dict[str, Any] = jsonable(
        {
            "schema": 1,
            "run": comparison.run,
            "entry": comparison.entry,
            "worse": comparison.worse,
            "tasks": [_task_json(task) for task in comparison.tasks],
        }
    )
    return found


def as_markdown(comparison: Comparison) -> str:
    """The same sentences and tables as on the terminal, for a pull request's comment."""
    said = [f"- {_escaped(line)}" for task in comparison.tasks for line in _said(comparison.run, task)]
    return "\n".join([*said, "", *map(_markdown, _sheets(comparison))])


def sentences(comparison: Comparison, width: int) -> list[str]:
    """What a terminal of a width shows first: the run's area and rank, and its verdict against every entry."""
    return [wrapped(line, width) for task in comparison.tasks for line in _said(comparison.run, task)]


def tables(comparison: Comparison) -> list[Table]:
    """Per task: how it stands against each entry, the detail by density, and what is not comparable."""
    return [table(sheet.title, sheet.columns, sheet.rows) for sheet in _sheets(comparison)]


def claim_lines(claims: Iterable[ClaimStanding], width: int) -> list[str]:
    """Claims with what the board says of them, and what is seen on substitutes beside."""
    lines: list[str] = []
    for one in claims:
        claim = one.claim
        lines.append(f"{claim.domain}/{claim.id}: {one.told}")
        about = f"about {claim.data}, {claim.family}{spoken_of(claim)}; {claim.source.citation}"
        own = [f"{task.task}: {_evidence(row)}" for task in one.tasks if not task.substitute for row in task.counted]
        lines += [wrapped(text, width, "  ") for text in (claim.statement, about, *own, *one.beside)]
        lines += [
            wrapped(f"beside, {task.task}: {_evidence(row)}", width, "    ")
            for task in one.tasks
            if task.substitute
            for row in task.counted
        ]
    return lines


def spoken_of(claim: Claim) -> str:
    """The densities that a claim is limited to; empty where it speaks of all."""
    if claim.densest == 1 and claim.sparsest == 0:
        return ""
    start = f"from {words.percent(claim.densest)} " if claim.densest < 1 else ""
    return f", densities {start}down{f' to {words.percent(claim.sparsest)}' if claim.sparsest > 0 else ''}"


def _evidence(row: ClaimRow) -> str:
    """What one entry shows: both values at the sparsest density, the difference with its interval, on how much data."""
    entry, found = row.standing.entry, row.verdict
    size = f"{count(found.n, 'replicate')}, {count(len(found.densities), 'density', 'densities')}"
    return f"{entry.id} ({entry.task.scale}, {size}): {words.lead(found, entry.metric, row.ours)}"


def rank_words(rank: Rank) -> str:
    """A rank with those that are better, or why there is none."""
    if rank.place is None:
        return f"not ranked ({rank.unranked})"
    better = f", behind {', '.join(rank.beaten_by)}" if rank.beaten_by else ", nobody is significantly better"
    return f"rank {rank.place}{better}"


def area_words(area: Area | None) -> str:
    """An area with its interval."""
    if area is None or area.estimate.mean is None:
        return words.NOTHING
    return f"{words.number(area.estimate.mean)} {words.interval(area.estimate.interval)}"


def _task_json(task: TaskComparison) -> dict[str, Any]:
    return {
        "task": task.spec.id,
        "version": task.spec.version,
        "hash": task.spec.hash,
        "scale": task.spec.scale,
        "method": {**task.method.model_dump(mode="json"), "hash": task.method.hash},
        "metric": task.spec.metric.model_dump(mode="json"),
        "reference": None if task.reference is None else task.reference.model_dump(mode="json"),
        "area": None if task.area is None else dataclasses.asdict(task.area),
        "rank": dataclasses.asdict(task.rank),
        "against": [dataclasses.asdict(against) for against in task.against],
        "not_comparable": [dataclasses.asdict(apart) for apart in task.apart],
    }


def _name(task: TaskComparison) -> str:
    return f"{task.spec.id} {task.spec.scale}, {task.method.name}"


def _said(run: str, task: TaskComparison) -> list[str]:
    if not task.against:
        return [f"{run}: {_name(task)}: nothing to compare it with" + (":" if task.apart else " on the board")]
    area = "" if task.transferred else f"area {area_words(task.area)}, "
    place = f"{_name(task)}: {area}{rank_words(task.rank)}."
    return [f"{run}: {place}", *(words.sentence(_against(task, against)) for against in task.against)]


def _against(task: TaskComparison, against: Against) -> str:
    return f"against {against.entry}: {words.lead(against.verdict, task.spec.metric, RUN)}"


def _sheets(comparison: Comparison) -> list[_Sheet]:
    return [sheet for task in comparison.tasks for sheet in _of_task(comparison.run, task)]


def _of_task(run: str, task: TaskComparison) -> list[_Sheet]:
    name = _name(task)
    if not task.against and not task.apart:
        return [_Sheet(f"{run}: {name}", ("entry", "run"), (("none on the board", words.NOTHING),))]
    sheets = []
    if task.against:
        own = (RUN, words.NOTHING, area_words(task.area), _place(task.rank))
        rows = (own, *((a.entry, a.verdict.verdict, area_words(a.area), _place(a.rank)) for a in task.against))
        sheets.append(_Sheet(f"{run}: {name}", ("entry", "run", "area", "rank"), rows))
        sheets += [_detail(name, against) for against in task.against]
    if task.apart:
        apart = tuple((a.entry, a.reason) for a in task.apart)
        sheets.append(_Sheet(f"{name}: not comparable", ("entry", "why"), apart))
    return sheets


def _place(rank: Rank) -> str:
    return "not ranked" if rank.place is None else str(rank.place)


def _how(against: Against) -> str:
    if against.pairs:
        return f"paired by replicate ({len(against.pairs)})"
    mine, theirs = (f"{r[0]} to {r[-1]}" for r in against.replicates)
    return f"unpaired (Welch), the dense runs are not the same bits: {mine} of the run, {theirs} of the entry"


def _detail(name: str, against: Against) -> _Sheet:
    more = "replicates" if against.pairs else "replicates of each"
    rows = tuple(
        (
            words.percent(v.density),
            words.number(v.difference, signed=True),
            words.interval(v.ci95, signed=True),
            words.probability(v.p_adjusted),
            v.verdict,
            v.reason or ("" if v.replicates_needed is None else f"about {v.replicates_needed} {more} would decide"),
        )
        for v in against.verdicts
    )
    columns = ("density", f"{RUN} − entry", "95 % interval", "p (Holm)", "run", "why")
    return _Sheet(f"{name} against {against.entry}, density by density, {_how(against)}", columns, rows)


def _markdown(sheet: _Sheet) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(_escaped, cells))} |"

    rule = f"|{'---|' * len(sheet.columns)}"
    return "\n".join([f"**{_escaped(sheet.title)}**", "", line(sheet.columns), rule, *map(line, sheet.rows), ""])


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: a run's folder may have any name."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|\[\]!~#@])", r"\\\1", flat)
