"""Figures of a matrix of transfers: its curves as small multiples, and the gain over random tickets as a heat map."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from suite.results import words
from suite.results.curve import TaskCurves
from suite.results.theme import FAINT, INK, MUTED, drawing, style
from suite.results.transfer import Matrix, Pair
from suite.results.transfer_words import gain

ARMS: Final = ("winning", "random")


def matrix_figure(matrix: Matrix) -> Figure:
    """Metric against density, a row a target and a column a source: winning, the target's random tickets, dense.

    Rows share their vertical range. A target's own tickets stand on a shaded ground.
    """
    targets, sources, names = matrix.targets, matrix.sources, matrix.names
    with drawing():
        figure = Figure(figsize=(max(4.9, 0.7 + 1.45 * len(sources)), 0.9 + 1.2 * len(targets)), layout="constrained")
        grid = figure.subplots(len(targets), len(sources), sharex=True, sharey="row", squeeze=False)
        for row, target in enumerate(targets):
            for column, source in enumerate(sources):
                axes: Axes = grid[row, column]
                pair = matrix.pairs.get((target, source))
                _panel(axes, matrix, pair)
                if row == 0:
                    axes.set_title(names[source], fontsize=8)
                if column == 0:
                    axes.set_ylabel(names[target], fontsize=8)
        figure.supxlabel("density: weights remaining (%, log scale)", fontsize=8.5)
        handles = [Line2D([], [], color=style(arm).colour, label=arm, markersize=4) for arm in ARMS]
        for arm, handle in zip(ARMS, handles, strict=True):
            handle.set(linestyle=style(arm).dash, marker=style(arm).marker)
        handles.append(Line2D([], [], color=INK, linestyle=(0, (2, 2)), linewidth=1, label="dense"))
        figure.legend(
            handles=handles, loc="outside upper left", ncols=3, frameon=False, title="columns: tickets of",
            alignment="left",
        )  # fmt: skip
    return figure


def _panel(axes: Axes, matrix: Matrix, pair: Pair | None) -> None:
    densities = [matrix.density(level) for level in matrix.levels if matrix.density(level) > 0] or [1.0]
    axes.set_xscale("log")
    axes.set_xlim(max(densities) * 1.25, min(densities) / 1.25)
    axes.xaxis.set_major_locator(FixedLocator([matrix.density(level) for level in matrix.chosen]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda density, _: words.percent(density).removesuffix(" %")))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelsize=7)
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    if pair is None:
        return
    if pair.own:
        axes.set_facecolor((0.5, 0.5, 0.5, 0.12))
    curves = pair.judgement.curves
    for arm in ARMS:
        _line(axes, curves, arm)
    if curves.dense.mean is not None:
        axes.axhline(curves.dense.mean, color=INK, linestyle=(0, (2, 2)), linewidth=0.9)


def _line(axes: Axes, curves: TaskCurves, arm: str) -> None:
    look = style(arm)
    points = [point for point in curves.arms.get(arm, ()) if point.level > 0 and point.mean is not None]
    for point in points:
        dots = [value for value in point.values if value is not None]
        axes.plot([point.density] * len(dots), dots, look.marker, color=look.colour, ms=2.4, alpha=0.6, mew=0)
    means = [point.mean for point in points if point.mean is not None]
    axes.plot([p.density for p in points], means, color=look.colour, linestyle=look.dash, linewidth=1.3, label=arm)


def gain_figure(matrix: Matrix) -> Figure:
    """Winning minus random at the chosen densities: rows are targets, columns sources, numbers in the metric's unit.

    Colours are shares of what the target's dense network gains over chance, so that targets compare. A number is
    followed by the mark of its verdict.
    """
    levels, names = matrix.chosen, matrix.names
    targets, sources = matrix.targets, matrix.sources
    shares = {level: _shares(matrix, level) for level in levels}
    reach = max((float(np.nanmax(np.abs(t))) for t in shares.values() if np.isfinite(t).any()), default=0.0) or 1.0
    norm = TwoSlopeNorm(0.0, -reach, reach)
    with drawing():
        column = max(0.72, 0.06 * max(map(len, names.values())))  # inches: names of 8 points stand side by side
        width, height = 1.9 + column * len(sources), 0.9 + (0.5 + 0.34 * len(targets)) * len(levels)
        figure = Figure(figsize=(max(4.9, width), height), layout="constrained")
        grid = figure.subplots(len(levels), 1, sharex=True, squeeze=False)
        for axes, level in zip(grid[:, 0], levels, strict=True):
            mesh = axes.pcolormesh(shares[level], cmap="PuOr_r", norm=norm, edgecolors=MUTED, linewidth=0.3)
            axes.invert_yaxis()
            axes.set_title(f"at {words.percent(matrix.density(level))}", loc="left", fontsize=8.5)
            axes.set_yticks([i + 0.5 for i in range(len(targets))], [names[target] for target in targets], fontsize=8)
            axes.set_xticks([i + 0.5 for i in range(len(sources))], [names[source] for source in sources], fontsize=8)
            axes.tick_params(length=0)
            for (row, place), share in np.ndenumerate(shares[level]):
                pair = matrix.pairs.get((targets[row], sources[place]))
                verdict = None if pair is None else pair.gains.get(level)
                if verdict is None or verdict.difference is None:
                    continue
                ink = "white" if abs(share) > 0.7 * reach else "black"
                axes.text(place + 0.5, row + 0.5, gain(verdict), ha="center", va="center", color=ink, fontsize=7)
        bar = figure.colorbar(mesh, ax=grid[:, 0], pad=0.02, aspect=22)
        bar.set_label("gain / (dense − chance)", fontsize=8)
        bar.outline.set_visible(False)
        figure.supxlabel("tickets of", fontsize=8.5)
    return figure


def _shares(matrix: Matrix, level: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Gains [targets, sources] at a level as shares of dense - chance; no number where there is none."""
    table = np.full((len(matrix.targets), len(matrix.sources)), np.nan)
    for (target, source), pair in matrix.pairs.items():
        verdict, curves = pair.gains.get(level), pair.judgement.curves
        dense, chance = curves.dense.mean, curves.spec.metric.chance
        if verdict is not None and verdict.difference is not None and dense is not None and dense != chance:
            place = matrix.targets.index(target), matrix.sources.index(source)
            table[place] = verdict.difference / abs(dense - chance)
    return table
