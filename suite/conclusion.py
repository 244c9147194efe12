"""What a command says at the end of a run: what came of it, its findings, and where its report is."""

from typing import TYPE_CHECKING

import typer

from suite.experiment.errors import RunError
from suite.printing import count, wrapped

if TYPE_CHECKING:
    from suite.experiment.runner import Outcome
    from suite.results.view import RunView
    from suite.run import Report


def conclude(outcome: "Outcome", report: "Report") -> None:
    """Say what a run came to; raises RunError when a cell failed."""
    typer.echo(f"{count(outcome.finished, 'cell')} run, {outcome.skipped} skipped", err=True)
    if outcome.lost:
        first = next(iter(outcome.lost.values()))
        typer.echo(
            f"no ticket for {count(len(outcome.lost), 'cell')}, the ladder diverged; the first: {first}", err=True
        )
    print_summary(report.view)
    typer.echo(f"report: {report.path}")
    refuse_failures(outcome)


def refuse_failures(outcome: "Outcome") -> None:
    """Raise RunError when a cell failed."""
    if outcome.failed or outcome.blocked:
        first = next(iter(outcome.failed.values()), next(iter(outcome.blocked.values()), ""))
        raise RunError(
            f"{count(len(outcome.failed), 'cell')} failed, {len(outcome.blocked)} could not start; the first: {first}"
        ) from next(iter(outcome.errors), None)


def print_summary(view: "RunView") -> None:
    """Print what a run says: the findings in sentences, then tables."""
    from rich.console import Console

    from suite.results.paper import matrices_of, paper_lines, papers
    from suite.results.stability_words import stability_lines
    from suite.results.text import finding_lines, judged, score_lines, summary_table, transfer_lines, transfer_tables

    found, console = judged(view), Console()
    for matrix in matrices_of(found):
        for line in transfer_lines(matrix, console.width):
            typer.echo(line)
        for one in transfer_tables(matrix):
            console.print(one)
    own = [each for each in found if each[0].source is None]
    for line in (*stability_lines(view, console.width), *finding_lines(own, console.width)):
        typer.echo(line)
    for paper in papers(found, [""] * len(found)):
        for line in paper_lines(paper) if paper.asked else ():
            typer.echo(wrapped(line, console.width))
    if own or not found:
        console.print(summary_table(view.name, own))
    for line in score_lines(view):
        typer.echo(line)
