"""What the page shows of stability: a section for every task and method whose tickets were tested."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from suite.experiment.barrier import POINTS
from suite.results.stability import THRESHOLD, Stability, stabilities
from suite.results.stability_plots import barrier_figure, path_figure, sweep_figure
from suite.results.stability_words import sentences
from suite.results.view import RunView

Shown = Callable[[Figure, str, str, str], Markup]
"""(figure, name of its files, title, description) -> the picture in the page; writes its files."""


def stability_sections(run: RunView, shown: Shown, most_columns: int) -> list[dict[str, Any]]:
    """Everything the template shows of each; writes its figures."""
    found = stabilities(run)
    return [_section(each, f"stability-{number}", shown, most_columns) for number, each in enumerate(found, 1)]


def _section(found: Stability, slug: str, shown: Shown, most_columns: int) -> dict[str, Any]:
    said, title = sentences(found), found.spec.title
    swept = len(found.rewind_steps) > 1 and any(level > 0 for level in found.levels)
    return {
        "found": found,
        "slug": slug,
        "threshold": f"{THRESHOLD:g}",
        "points": POINTS,
        "sentences": said,
        "few": len(found.replicates) <= most_columns,
        "trained": _training_barriers(found),
        "barriers": shown(barrier_figure(found), slug, f"{title}: barrier against density", " ".join(said)),
        "paths": shown(
            path_figure(found),
            f"{slug}-paths",
            f"{title}: error along the paths",
            "One panel for each rewind step, one line for each replicate, coloured by density.",
        ),
        "sweep": shown(
            sweep_figure(found),
            f"{slug}-sweep",
            f"{title}: {found.spec.metric.name} against the rewind step",
            "One panel for each density; the tables of the sections below give every number.",
        )
        if swept
        else None,
    }


def _training_barriers(found: Stability) -> list[float | None] | None:
    """The mean barrier in training error of each test, in percentage points; None where none was measured."""
    each = [[p.training_barrier for p in test.paths if p.training_barrier is not None] for test in found.tested]
    return [100 * fmean(barriers) if barriers else None for barriers in each] if any(each) else None
