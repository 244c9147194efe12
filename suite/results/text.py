"""A run's findings for the terminal: in sentences first, then a table of the detail."""

from collections.abc import Iterable

from rich.table import Table

from suite.printing import table, wrapped
from suite.results import words
from suite.results.curve import curves_of
from suite.results.judge import Judgement, judge
from suite.results.view import RunView, TaskView

Judged = tuple[TaskView, Judgement]
"""A task of a run and what its curves say."""


def judged(run: RunView) -> list[Judged]:
    """What every task of a run says."""
    return [(view, judge(curves_of(view))) for view in run.tasks]


def finding_lines(tasks: Iterable[Judged], width: int) -> list[str]:
    """Per task a heading and its findings, the verdict of every comparison first; wrapped between words."""
    lines: list[str] = []
    for view, judgement in tasks:
        lines.append(f"{_name(view)}: {len(view.cells)} of {view.expected} cells")
        lines += [wrapped(line, width, "  ") for line in words.findings(judgement)]
    return lines


def score_lines(run: RunView) -> list[str]:
    """One line per task: all test scores of its dense network, and of the simple models it is measured against."""
    return [
        f"{_name(view)}: " + "; ".join(f"{name} {words.scores(scores)}" for name, scores in view.scores.items())
        for view in run.tasks
    ]


def _name(view: TaskView) -> str:
    return f"{view.spec.id} {view.spec.scale} {view.method.name}"


def summary_table(title: str, tasks: Iterable[Judged]) -> Table:
    """One row per task and comparison: the verdict over all densities, and where the winning ticket wins by Holm's."""
    rows = [
        (view.spec.id, view.method.name, v.against, v.verdict, words.tally(judgement.against(v.against)))
        for view, judgement in tasks
        for v in judgement.primary
    ]
    shown = [0, 2, 3, 4] if len({row[1] for row in rows}) < 2 else [0, 1, 2, 3, 4]
    columns = ("task", "method", "winning against", "verdict", "by density it wins at")
    return table(title, [columns[i] for i in shown], [[row[i] for i in shown] for row in rows])
