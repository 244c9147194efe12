"""A run's findings for the terminal: in sentences first, then a table of the detail."""

from collections.abc import Iterable

from rich.table import Table

from suite.printing import count, table, wrapped
from suite.results import transfer_words, words
from suite.results.curve import curves_of
from suite.results.judge import Judgement, judge
from suite.results.transfer import Matrix
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
        if view.missing_masks:
            lines.append(wrapped(words.masks_missing(view.missing_masks), width, "  "))
        if outside := words.outside(view.spec.metric, (cell.value for cell in view.cells)):
            lines.append(wrapped(outside, width, "  "))
        lines += [wrapped(line, width, "  ") for line in words.findings(judgement)]
    return lines


def score_lines(run: RunView) -> list[str]:
    """One line per task: all test scores of its dense network, and of the simple models it is measured against.

    Of transfers there is one a target, whose dense network is the same beside all sources.
    """
    lines = []
    for view in run.tasks:
        name = _name(view) if view.source is None else f"{view.spec.id} {view.spec.scale}"
        lines.append(f"{name}: " + "; ".join(f"{model} {words.scores(own)}" for model, own in view.scores.items()))
    return list(dict.fromkeys(lines))


def transfer_lines(matrix: Matrix, width: int) -> list[str]:
    """What a matrix of transfers is and says; wrapped between words."""
    done, planned = (
        sum(of(pair.view) for pair in matrix.pairs.values()) for of in (lambda v: len(v.cells), lambda v: v.expected)
    )
    head = f"{transfer_words.title(matrix)}: {done} of {planned} cells, those that pairs share counted in each"
    lines = [transfer_words.about(matrix), *transfer_words.findings(matrix)]
    return [wrapped(head, width), *(wrapped(line, width, "  ") for line in lines)]


def transfer_tables(matrix: Matrix) -> list[Table]:
    """A row per pair: rank, gain over random over all densities and at some; then the sources over all targets."""
    rows = []
    for (target, source), pair in matrix.pairs.items():
        rank = next(rank for rank in matrix.ranks[target] if rank.source == source)
        gains = [pair.gain, *(pair.gains.get(level) for level in matrix.chosen)]
        own = " (own)" if pair.own else ""
        rows.append(
            [matrix.names[target], f"{matrix.names[source]}{own}", str(rank.place or words.NOTHING)]
            + [transfer_words.gain(gain) for gain in gains]
        )
    heads = [words.percent(matrix.density(level)) for level in matrix.chosen]
    title = "Gain over random by density (* decided, = tied); rank among the sources by area"
    found = [table(title, ["target", "tickets of", "rank", "all", *heads], rows)]
    if matrix.overall.ranks and len(matrix.sources) > 1:
        ranks = [
            [matrix.names[r.source], str(r.place or words.NOTHING), words.number(r.area.mean)]
            for r in matrix.overall.ranks
        ]
        where = f"over {count(len(matrix.overall.targets), 'target')}, between chance (0) and dense (1)"
        found.append(table(f"sources {where}", ["tickets of", "rank", "mean score"], ranks))
    return found


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
