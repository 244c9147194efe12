"""Figures of stability: barriers against density, the sweep over rewind steps, and errors along the paths."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.experiment.barrier import POINTS
from suite.results import words
from suite.results.curve import CurvePoint, curves_of
from suite.results.plots import WIDTH, density_axis, sequence, spread
from suite.results.stability import THRESHOLD, Stability, StabilityTest
from suite.results.theme import FAINT, INK, Style, drawing, style

MARKS: Final = ("o", "s", "^", "D", "v", "P")
DASHES: Final = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (7, 2)))
MOST_PANELS: Final = 6


def barrier_figure(found: Stability) -> Figure:
    """Barrier against density, sparser to the right: a line of means for each rewind step, a dot a replicate."""
    steps = found.rewind_steps
    with drawing():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes: Axes = figure.add_subplot()
        handles = []
        for i, (step, look) in enumerate(zip(steps, _looks(len(steps)), strict=True)):
            tests, dodge = found.at(step), 1 + 0.02 * (i - (len(steps) - 1) / 2)
            for test in tests:
                dots = [value for value in test.barriers if value is not None]
                axes.plot(
                    [test.density * dodge] * len(dots), dots, look.marker, color=look.colour, ms=3, alpha=0.6, mew=0
                )
            drawn = [(test.density * dodge, test.estimate.mean) for test in tests if test.estimate.mean is not None]
            x, y = zip(*drawn, strict=True) if drawn else ((), ())
            (line,) = axes.plot(x, y, color=look.colour, linestyle=look.dash, linewidth=1.6)
            line.set(marker=look.marker, markersize=4.6, markeredgewidth=0, label=f"k = {step}")
            handles.append(line)
        limit = axes.axhline(THRESHOLD, color=INK, linestyle=(0, (2, 2)), linewidth=1, label=f"{THRESHOLD:g} points")
        density_axis(axes, [test.density for test in found.tested] or [1.0])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("barrier (points of validation error)")
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(handles=[*handles, limit], loc="outside upper left", ncols=4, frameon=False, handlelength=2.4)
    return figure


def sweep_figure(found: Stability) -> Figure:
    """Test metric against rewind step, a panel for each density: winning, the other arms that are there, and dense."""
    curves = [curves_of(view) for view in found.views]
    levels = spread([level for level in found.levels if level > 0], MOST_PANELS)
    arms = tuple(dict.fromkeys(arm for each in curves for arm in each.arms))
    metric = found.spec.metric
    with drawing():
        figure, panels = _panels(len(levels), sharey=True)
        for panel, level in zip(panels, levels, strict=False):
            for arm in arms:
                look = style(arm, arms.index(arm))
                points = [(i, point) for i, each in enumerate(curves) if (point := each.point(arm, level)) is not None]
                _sweep_line(panel, points, look)
            dense = [each.dense.mean for each in curves if each.dense.mean is not None]
            if dense:
                panel.axhline(dense[0], color=INK, linestyle=(0, (2, 2)), linewidth=1)
            panel.set_title(words.percent(_density(found.tested, level)), loc="left")
            panel.set_xticks(range(len(curves)), [str(each.method.rewind_step) for each in curves])
            panel.set_xlim(-0.4, len(curves) - 0.6)
            panel.grid(axis="y", color=FAINT, linewidth=0.6)
        figure.supxlabel("rewind step k (equally spaced)", fontsize=9.5)
        figure.supylabel(f"{metric.name} ({metric.unit})" if metric.unit else metric.name, fontsize=9.5)
        handles = [_key(arm, style(arm, i)) for i, arm in enumerate(arms)]
        handles.append(Line2D([], [], color=INK, linestyle=(0, (2, 2)), linewidth=1, label="dense"))
        figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, handlelength=2.4)
    return figure


def _key(arm: str, look: Style) -> Line2D:
    handle = Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=arm)
    handle.set(linestyle=look.dash)
    return handle


def _sweep_line(panel: Axes, points: Sequence[tuple[int, CurvePoint]], look: Style) -> None:
    for i, point in points:
        dots = [value for value in point.values if value is not None]
        panel.plot([i] * len(dots), dots, look.marker, color=look.colour, ms=2.6, alpha=0.6, mew=0)
    means = [(i, point.mean) for i, point in points if point.mean is not None]
    x, y = zip(*means, strict=True) if means else ((), ())
    panel.plot(x, y, color=look.colour, linestyle=look.dash, marker=look.marker, ms=4, mew=0, linewidth=1.6)


def path_figure(found: Stability) -> Figure:
    """Validation error along the paths, a panel for each rewind step: one line a replicate, coloured by density."""
    steps = spread(found.rewind_steps, MOST_PANELS)
    levels = spread(found.levels)
    colours = dict(zip(levels, sequence(len(levels)), strict=True))
    along = [point / (POINTS - 1) for point in range(POINTS)]
    with drawing():
        figure, panels = _panels(len(steps), sharey=True)
        for panel, step in zip(panels, steps, strict=False):
            for test in found.at(step):
                for path in test.paths if test.level in colours else ():
                    if not path.diverged:
                        errors = [100 * error for error in path.validation_errors]
                        panel.plot(along, errors, color=colours[test.level], linewidth=1.1, alpha=0.9)
            panel.set_title(f"k = {step}", loc="left")
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            panel.grid(axis="y", color=FAINT, linewidth=0.6)
        figure.supxlabel("place on the line from child 0 to child 1", fontsize=9.5)
        figure.supylabel("validation error (%)", fontsize=9.5)
        lines = [Line2D([], [], color=colours[n], label=words.percent(_density(found.tested, n))) for n in levels]
        figure.legend(
            handles=lines, loc="outside upper left", ncols=3, frameon=False, title="density", alignment="left"
        )
    return figure


def _panels(number: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, two or three beside each other; a panel that is too many is not shown."""
    columns = max(1, min(3, number))
    rows = -(-number // columns) or 1
    figure = Figure(figsize=(WIDTH, 1.1 + 1.9 * rows), layout="constrained")
    panels: list[Axes] = list(figure.subplots(rows, columns, sharex=True, sharey=sharey, squeeze=False).flat)
    for panel in panels[number:]:
        panel.set_visible(False)
    return figure, panels


def _looks(number: int) -> list[Style]:
    """A colour, mark and dash for each rewind step, early to late; after six, marks and dashes come again."""
    return [Style(colour, MARKS[i % len(MARKS)], DASHES[i % len(DASHES)]) for i, colour in enumerate(sequence(number))]


def _density(tested: Sequence[StabilityTest], level: int) -> float:
    return next(test.density for test in tested if test.level == level)
