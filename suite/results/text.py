"""A run's findings as a table for the terminal."""

from rich.table import Table
from rich.text import Text

from suite.results import words
from suite.results.curve import curves_of
from suite.results.judge import judge
from suite.results.view import RunView, TaskView


def score_lines(run: RunView) -> list[str]:
    """One line per task: all test scores of its dense network, and of the simple models it is measured against."""
    return [
        f"{_name(view)}: " + "; ".join(f"{name} {words.scores(scores)}" for name, scores in view.scores.items())
        for view in run.tasks
    ]


def _name(view: TaskView) -> str:
    return f"{view.spec.id} {view.spec.scale} {view.method.name}"


def summary_table(run: RunView) -> Table:
    """One row per task: dense value, critical density, and where the winning ticket beats each other arm."""
    judgements = [judge(curves_of(view)) for view in run.tasks]
    rivals = list(dict.fromkeys(v.against for j in judgements for v in j.verdicts if v.against != "dense"))
    table = Table(title=Text(run.name), title_justify="left")
    for column in ("task", "cells", "dense", "critical density", *(f"winning beats {arm} at" for arm in rivals)):
        table.add_column(column, overflow="fold")
    for view, judgement in zip(run.tasks, judgements, strict=True):
        dense, metric = judgement.curves.dense, view.spec.metric
        row = [
            _name(view),
            f"{len(view.cells)}/{view.expected}",
            f"{words.number(dense.mean)} {metric.name}",
            words.percent(judgement.critical_density) if judgement.critical_density is not None else "none shown",
            *(words.tally(judgement.against(arm)) for arm in rivals),
        ]
        table.add_row(*map(Text, row))  # Text: a bracket in a name is no markup
    return table
