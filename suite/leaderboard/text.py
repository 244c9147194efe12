"""A comparison for people and programs: tables for the terminal, Markdown, JSON."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from suite.leaderboard.compare import RUN, Against, Comparison, Ranking, TaskComparison
from suite.printing import jsonable
from suite.results import words
from suite.results.curve import statistic_of


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
    """The same tables as on the terminal, for a pull request's comment."""
    return "\n".join(map(_markdown, _sheets(comparison)))


def tables(comparison: Comparison) -> list[Table]:
    """Per task: how it stands against each entry, the ranks, and what is not comparable."""
    return [_table(sheet) for sheet in _sheets(comparison)]


def _task_json(task: TaskComparison) -> dict[str, Any]:
    return {
        "task": task.spec.id,
        "version": task.spec.version,
        "hash": task.spec.hash,
        "scale": task.spec.scale,
        "method": {**task.method.model_dump(mode="json"), "hash": task.method.hash},
        "metric": task.spec.metric.model_dump(mode="json"),
        "against": [dataclasses.asdict(against) for against in task.against],
        "rankings": [{**dataclasses.asdict(ranking), "rank": ranking.rank} for ranking in task.rankings],
        "area_densities": task.area_densities,
        "not_comparable": [dataclasses.asdict(apart) for apart in task.apart],
    }


def _sheets(comparison: Comparison) -> list[_Sheet]:
    return [sheet for task in comparison.tasks for sheet in _of_task(comparison.run, task)]


def _of_task(run: str, task: TaskComparison) -> list[_Sheet]:
    name = f"{task.spec.id} {task.spec.scale}, {task.method.name}"
    if not task.against and not task.apart:
        return [_Sheet(f"{run}: {name}", ("entry", "run beats it at"), (("none on the board", words.NOTHING),))]
    sheets = []
    if task.against:
        rows = tuple((a.entry, _how(a), words.tally(a.verdicts)) for a in task.against)
        sheets.append(_Sheet(f"{run}: {name}", ("entry", "difference", "run beats it at"), rows))
        sheets += [_detail(name, against) for against in task.against]
    if task.rankings:
        columns = ("at", "rank", "best first, ties in brackets", "unranked")
        sheets.append(_Sheet(f"{name}: ranks{_ranked_by(task)}", columns, _ranks(task)))
    if task.apart:
        apart = tuple((a.entry, a.reason) for a in task.apart)
        sheets.append(_Sheet(f"{name}: not comparable", ("entry", "why"), apart))
    return sheets


def _how(against: Against) -> str:
    if against.paired:
        return "paired by replicate"
    mine, theirs = (f"{r[0]} to {r[-1]}" for r in against.replicates)
    few = "fewer replicates, " if len(against.replicates[0]) < len(against.replicates[1]) else ""
    return f"{few}unpaired (Welch): {mine} of the run, {theirs} of the entry"


def _detail(name: str, against: Against) -> _Sheet:
    more = "replicates" if against.paired else "replicates of each"
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
    return _Sheet(f"{name} against {against.entry}, {_how(against)}", columns, rows)


def _ranked_by(task: TaskComparison) -> str:
    return ", by interquartile mean from ten replicates" if statistic_of(task.spec.metric) == "iqm" else ""


def _ranks(task: TaskComparison) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            "area" if ranking.density is None else words.percent(ranking.density),
            words.NOTHING if ranking.rank is None else f"{ranking.rank} of {sum(map(len, ranking.groups))}",
            ", ".join(_group(ranking, group) for group in ranking.groups),
            ", ".join(ranking.unranked),
        )
        for ranking in task.rankings
    )


def _group(ranking: Ranking, group: Sequence[str]) -> str:
    named = ", ".join(f"{name} {words.number(ranking.centres[name])}" for name in group)
    return f"({named})" if len(group) > 1 else named


def _table(sheet: _Sheet) -> Table:
    table = Table(title=Text(sheet.title), title_justify="left")
    for column in sheet.columns:
        table.add_column(column, overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(Text, row))  # Text: a bracket in a name is no markup
    return table


def _markdown(sheet: _Sheet) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(_escaped, cells))} |"

    rule = f"|{'---|' * len(sheet.columns)}"
    return "\n".join([f"**{_escaped(sheet.title)}**", "", line(sheet.columns), rule, *map(line, sheet.rows), ""])


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: a run's folder may have any name."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|\[\]!~#@])", r"\\\1", flat)
