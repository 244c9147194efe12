"""Figures: the curves, the densities per layer, and the training traces."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from suite.experiment.result import CellResult, Layer
from suite.results import words
from suite.results.curve import CurvePoint, TaskCurves
from suite.results.field import Field
from suite.results.theme import FAINT, INK, MUTED, SEQUENCE, drawing, style
from suite.results.view import MOST_TRACES

WIDTH: Final = 4.9
"""Inches: text of 9.5 pt can still be read when the figure is as wide as a phone."""
MOST_LEVELS: Final = len(SEQUENCE)
MOST_NUMBERS: Final = 110
"""Cells of a heat map with more than these carry no numbers: the table has them."""
BAND_FROM: Final = 4
"""An interval of fewer replicates is so wide that its band would hide the curves: their dots say more."""
MOST_DOTS: Final = 2000
"""More than so many dots of a figure are drawn as one picture: a page of a hundred thousand is not read."""


def curve_figure(curves: TaskCurves) -> Figure:
    """Metric against density, sparser to the right: every replicate's value, the means as a line, and an interval band.

    Below four replicates there is no band.
    """
    metric = curves.spec.metric
    with drawing():
        figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
        axes: Axes = figure.add_subplot()
        handles = _reference(axes, curves)
        names = list(curves.arms) or ["dense"]
        for i, arm in enumerate(names):
            handles.insert(i, _line(axes, curves, arm, dodge=1 + 0.012 * (i - (len(names) - 1) / 2)))
        density_axis(axes, [p.density for points in curves.arms.values() for p in points] or [1.0])
        axes.set_ylabel(f"{metric.name} ({metric.unit})" if metric.unit else metric.name)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        columns = 3 if len(handles) > 4 else len(handles)
        figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, handlelength=2.4)
    return figure


def _line(axes: Axes, curves: TaskCurves, arm: str, dodge: float) -> Line2D:
    """Draw one arm; its replicates are moved aside a little so that arms do not hide one another."""
    look = style(arm, list(curves.arms).index(arm) if arm in curves.arms else 0)
    points = [p for p in curves.arms.get(arm, (curves.dense,)) if p.mean is not None]
    many = sum(len(p.values) for ps in curves.arms.values() for p in ps) > MOST_DOTS
    x = [p.density for p in points]
    for p in points:
        dots = [value for value in p.values if value is not None]
        axes.plot(
            [p.density * dodge] * len(dots), dots, look.marker, color=look.colour, ms=2.6, alpha=0.6, mew=0,
            rasterized=many,
        )  # fmt: skip
    bounds = [(p.density, *p.ci95) for p in points if p.ci95 is not None and _known(p) >= BAND_FROM]
    if bounds:
        at, low, high = zip(*bounds, strict=True)
        axes.fill_between(at, low, high, color=look.colour, alpha=0.14, linewidth=0)
    for p in curves.arms.get(arm, ()):
        if p.diverged and p.level > 0:  # at the foot of the plot: it has no value
            axes.plot([p.density * dodge], [0.02], "x", color=look.colour, ms=6, transform=axes.get_xaxis_transform())
    handle = axes.plot(x, [p.mean for p in points if p.mean is not None], color=look.colour, linestyle=look.dash)[0]
    handle.set(marker=look.marker, markersize=4.2, linewidth=1.6, label=arm, markeredgewidth=0)
    return handle


def _known(point: CurvePoint) -> int:
    return sum(value is not None for value in point.values)


def _reference(axes: Axes, curves: TaskCurves) -> list[Line2D | Patch]:
    """The dense mean as a line, the margin around it as a band; and the data limits, so that bands do not set them."""
    metric, dense = curves.spec.metric, curves.dense.mean
    values = [v for points in curves.arms.values() for p in points for v in p.values if v is not None]
    values += [v for v in curves.dense.values if v is not None]
    if values:
        low, high = min(values), max(values)
        pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
        axes.set_ylim(low - pad, high + pad)
    if dense is None:
        return []
    handles: list[Line2D | Patch] = [axes.axhline(dense, color=INK, linestyle=(0, (2, 2)), linewidth=1, label="dense")]
    if metric.margin > 0:
        band = axes.axhspan(dense - metric.margin, dense + metric.margin, color=MUTED, alpha=0.16, linewidth=0)
        band.set_label(f"margin ±{words.number(metric.margin)}")
        handles.append(band)
    return handles


def density_axis(axes: Axes, densities: Sequence[float]) -> None:
    """Density along x on a log scale, sparser to the right, in percent."""
    shown = [density for density in densities if density > 0] or [1.0]  # nothing left has no place on a log axis
    low, high = min(shown), max(shown)
    axes.set_xscale("log")
    axes.set_xlim(high * 1.08, low / 1.08)
    ticks = [m * 10.0**e for e in range(-6, 1) for m in (1, 2, 5) if low / 1.09 <= m * 10.0**e <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks or [low]))
    axes.xaxis.set_minor_locator(FixedLocator(sorted(set(shown))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x * 100:.3g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _x, _pos: ""))
    axes.set_xlabel("density: weights remaining (%, log scale)")


def profile_figure(field: Field, curves: TaskCurves) -> Figure:
    """Share of an arm's runs, at all shared densities together, that are better than a score."""
    metric = curves.spec.metric
    with drawing():
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        axes: Axes = figure.add_subplot()
        for arm, own in field.arms.items():
            look = style(arm, list(curves.arms).index(arm))
            axes.plot(
                field.thresholds, own.profile, color=look.colour, linestyle=look.dash, linewidth=1.6, label=arm,
                drawstyle="steps-post",
            )  # fmt: skip
        axes.set_ylim(0, 1.02)
        if not metric.higher_is_better:
            axes.invert_xaxis()
        axes.set_xlabel(f"{metric.name} ({metric.unit})" if metric.unit else metric.name)
        axes.set_ylabel("share of runs that are better")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        figure.legend(loc="outside upper left", ncols=3, frameon=False, handlelength=2.4)
    return figure


def layer_figure(levels: Sequence[tuple[int, float, dict[str, Layer]]]) -> Figure:
    """Density of every prunable tensor (rows) at every level (columns) of one replicate; log colour scale."""
    names = list(levels[0][2])
    table = np.array([[layers[name].density for _, _, layers in levels] for name in names])
    lowest = max(1e-4, float(table[table > 0].min()) if (table > 0).any() else 1e-4)
    with drawing():
        figure = Figure(figsize=(WIDTH, 1.3 + 0.24 * max(3, len(names))), layout="constrained")
        axes: Axes = figure.add_subplot()
        norm = LogNorm(vmin=min(lowest, 0.999), vmax=1.0, clip=True)
        mesh = axes.pcolormesh(table, cmap="cividis", norm=norm, edgecolors=MUTED, linewidth=0.3)
        axes.invert_yaxis()
        step = max(1, -(-len(levels) // 9))
        shown = range(0, len(levels), step)
        axes.set_xticks([i + 0.5 for i in shown], [words.percent(levels[i][1]).removesuffix(" %") for i in shown])
        axes.set_yticks([i + 0.5 for i in range(len(names))], [_short(name) for name in names])
        axes.tick_params(length=0)
        axes.set_xlabel("density of the whole network (%)")
        if table.size <= MOST_NUMBERS and len(levels) <= 11:
            for (row, column), density in np.ndenumerate(table):
                ink = "white" if norm(density) < 0.5 else "black"
                text = f"{density * 100:.2g}" if density < 0.995 else "100"
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=ink, fontsize=7)
        bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=12)
        bar.ax.yaxis.set_major_locator(FixedLocator([d for d in (1, 0.3, 0.1, 0.03, 0.01, 0.001) if d >= lowest]))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda d, _: words.percent(d)))
        bar.outline.set_visible(False)
    return figure


def trace_figure(cells: Sequence[CellResult], arms: Sequence[str], key: str) -> Figure:
    """What training saw of one metric: a panel per arm, a thin line per replicate, coloured by density.

    At most six levels of an arm are drawn, spread evenly from dense to the sparsest, and of each the first ten
    replicates.
    """
    columns = min(2, len(arms))
    rows = -(-len(arms) // columns)
    levels = spread(sorted({cell.level for cell in cells}))
    colours = dict(zip(levels, sequence(len(levels)), strict=True))
    replicates = set(sorted({cell.replicate for cell in cells})[:MOST_TRACES])
    drawn = [cell for cell in cells if cell.level in colours and cell.replicate in replicates]
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.7 + 1.85 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        panels: list[Axes] = list(grid.flat)
        for panel, arm in zip(panels, arms, strict=False):
            for cell in drawn:
                if cell.arm == arm or cell.level == 0:
                    seen = [(t["step"], t[key]) for t in cell.trace if key in t and "step" in t]
                    panel.plot(*zip(*seen, strict=True), color=colours[cell.level], linewidth=0.9, alpha=0.9)
            panel.set_title(arm, loc="left")
            panel.grid(axis="y", color=FAINT, linewidth=0.6)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: words.scale(x, ("", "k", "M"))))
        for panel in panels[len(arms) :]:
            panel.set_visible(False)
        figure.supxlabel("step", fontsize=9.5)
        figure.supylabel(key, fontsize=9.5)
        density = {cell.level: cell.density for cell in cells}
        lines = [Line2D([], [], color=colours[n], label=words.percent(density[n])) for n in levels]
        figure.legend(
            handles=lines, loc="outside upper left", ncols=3, frameon=False, title="density", alignment="left"
        )
    return figure


def trace_keys(cells: Iterable[CellResult], metric: str, most: int = 2) -> tuple[str, ...]:
    """Which traced quantities to draw: the task's metric first, then those with `loss` in their name, then others."""
    seen = dict.fromkeys(key for cell in cells for entry in cell.trace for key in entry if key != "step")
    return tuple(sorted(seen, key=lambda key: (key != metric, "loss" not in key))[:most])


def spread(levels: Sequence[int], most: int = MOST_LEVELS) -> tuple[int, ...]:
    """At most `most` levels, first and last among them, spread evenly."""
    if len(levels) <= most:
        return tuple(levels)
    return tuple(levels[round(i * (len(levels) - 1) / (most - 1))] for i in range(most))


def sequence(n: int) -> list[str]:
    """`n` colours in an order that is seen."""
    return [SEQUENCE[round(i * (len(SEQUENCE) - 1) / max(1, n - 1))] for i in range(n)]


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else "…" + name[-(most - 1) :]
