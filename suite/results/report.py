"""The report of a run: one self-contained HTML page with its plots beside it, and the same as JSON."""

import base64
import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from suite.experiment.result import CellResult, total_flops
from suite.files import replace_file
from suite.printing import count, jsonable
from suite.results import transfer_words, words
from suite.results.curve import CurvePoint, Place, TaskCurves, curves_of
from suite.results.field import Field, field_of
from suite.results.judge import Judgement, judge
from suite.results.layers import empty, ladder
from suite.results.paper import matrices_of, paper_json, papers
from suite.results.plots import BAND_FROM, curve_figure, layer_figure, profile_figure, trace_figure, trace_keys
from suite.results.stability import stabilities
from suite.results.stability_page import stability_sections
from suite.results.stability_words import as_json as stability_json
from suite.results.theme import css_colours, inline, png, style, svg
from suite.results.transfer_report import matrix_json, matrix_section
from suite.results.view import Episode, RunView, TaskView

MOST_COLUMNS: Final = 50
"""A table has a column for each of so many replicates; the values of more are in the CSV file."""


def write_report(run: RunView, folder: Path) -> Path:
    """Write `report.html`, each task's figures as PNG and SVG and its cells as CSV beside it; returns the page's path.

    `folder` is made if need be. Every file is replaced whole, so that a reader never sees half a page. Raises OSError
    when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    slugs = _slugs(run)
    sections = [_section(view, slug, folder) for view, slug in zip(run.tasks, slugs, strict=True)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("suite.results"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(most=MOST_COLUMNS, band_from=BAND_FROM)
    tested = stability_sections(run, partial(_shown, folder), MOST_COLUMNS)
    tasks = [(section["view"], section["judgement"]) for section in sections]
    transfers = [
        matrix_section(matrix, f"transfer-{i}", partial(_shown, folder)) for i, matrix in enumerate(matrices_of(tasks))
    ]
    environment.globals.update(
        words=words, transfer=transfer_words, style=style, light=css_colours(dark=False), dark=css_colours(dark=True)
    )
    arms = tuple(dict.fromkeys(arm for section in sections for arm in ("dense", *section["curves"].arms)))
    page = environment.get_template("report.html.j2").render(
        run=run,
        sections=sections,
        transfers=transfers,
        arms=arms,
        stabilities=tested,
        papers=papers(tasks, slugs),
    )
    return replace_file(folder / "report.html", page.encode())


def as_json(run: RunView) -> dict[str, Any]:
    """What `lottery report RUN --json` prints: finite numbers or null, and no more than the report says."""
    tasks = [(view, judge(curves_of(view))) for view in run.tasks]
    tested = [stability_json(found) for found in stabilities(run)]
    transfers = [matrix_json(matrix) for matrix in matrices_of(tasks)]
    reproduced = [paper_json(paper) for paper in papers(tasks, _slugs(run))]
    return {
        "schema": 1,
        "tasks": [_task_json(view, judgement) for view, judgement in tasks],
        **({"stability": tested} if tested else {}),
        **({"transfers": transfers} if transfers else {}),
        **({"papers": reproduced} if reproduced else {}),
    }


def _task_json(view: TaskView, judgement: Judgement) -> dict[str, Any]:
    curves, spec = judgement.curves, view.spec
    arms = curves.arms or {"dense": (curves.dense,)}
    found: dict[str, Any] = jsonable(
        {
            "task": spec.id,
            "version": spec.version,
            "hash": spec.hash,
            "scale": spec.scale,
            "method": {**view.method.model_dump(mode="json"), "hash": view.method.hash},
            "metric": spec.metric.model_dump(mode="json"),
            "replicates": view.replicates,
            "arms": {arm: [_point_json(point) for point in points] for arm, points in arms.items()},
            "primary": [
                {
                    "comparison": f"winning - {v.against}",
                    "against": v.against,
                    "densities": v.densities,
                    "at_sparsest": {"winning": v.ours, v.against: v.theirs},
                    "n": v.n,
                    "difference": v.difference,
                    "ci95": v.ci95,
                    "p": v.p,
                    "verdict": v.verdict,
                    "reason": v.reason,
                    "replicates_needed": v.replicates_needed,
                }
                for v in judgement.primary
            ],
            "verdicts": [
                {
                    "comparison": f"winning - {v.against}",
                    "against": v.against,
                    "level": v.level,
                    "density": v.density,
                    "n": v.n,
                    "difference": v.difference,
                    "ci95": v.ci95,
                    "p": v.p,
                    "p_adjusted": v.p_adjusted,
                    "verdict": v.verdict,
                    "reason": v.reason,
                    "replicates_needed": v.replicates_needed,
                }
                for v in judgement.verdicts
            ],
            "critical_density": judgement.critical_density,
            "area": {
                arm: {"values": a.values, "mean": a.estimate.mean, "sd": a.estimate.sd, "ci95": a.estimate.interval}
                for arm, a in judgement.area.items()
            },
            "empty_layers": [asdict(each) for each in empty(view.cells)],
            "missing": [_place_json(place) for place in curves.missing],
            "diverged": [_place_json(place) for place in curves.diverged],
            "out_of_bounds": [
                _place_json((cell.arm, cell.level, cell.replicate))
                for cell in view.cells
                if not view.spec.metric.admits(cell.value)
            ],
            "missing_masks": [asdict(each) for each in view.missing_masks],
            "scores": view.scores,
        }
    )
    if view.source is not None:
        found["source"] = {
            "task": view.source.spec.id, "version": view.source.spec.version, "hash": view.source.spec.hash,
            "carry": view.source.carry, "covered": list(view.source.covered),
        }  # fmt: skip
    field = field_of(curves)
    return found if field is None else found | {"field": jsonable(_field_json(field))}


def _field_json(field: Field) -> dict[str, Any]:
    return {
        "densities": field.densities,
        "thresholds": field.thresholds,
        "arms": {
            arm: {"runs": own.runs, "iqm": own.iqm, "improvement": own.improvement, "profile": own.profile}
            for arm, own in field.arms.items()
        },
    }


def _point_json(point: CurvePoint) -> dict[str, Any]:
    row: dict[str, Any] = {
        "level": point.level,
        "density": point.density,
        "values": point.values,
        "mean": point.mean,
        "sd": point.sd,
        "ci95": point.ci95,
    }
    # RL from ten replicates.
    return row if point.iqm is None else row | {"iqm": point.iqm, "iqm_ci95": point.iqm_ci95}


def _place_json(place: Place) -> dict[str, Any]:
    return dict(zip(("arm", "level", "replicate"), place, strict=True))


def _section(view: TaskView, slug: str, folder: Path) -> dict[str, Any]:
    """Everything the template shows of one task; writes its figures."""
    curves = curves_of(view)
    judgement = judge(curves)
    chain, field = ladder(view), field_of(curves)
    replace_file(folder / f"{slug}.csv", _csv(view.cells).encode())
    title = view.spec.title if view.source is None else f"{view.spec.title}, tickets of {view.source.spec.title}"
    shown = partial(_shown, folder)
    metric = curves.spec.metric.name
    findings = words.findings(judgement)
    keys = trace_keys(view.cells, metric) if view.source is None else ()  # a matrix has many pairs: a page is read
    panels = [arm for arm in curves.arms if any(cell.arm == arm for cell in view.cells)] or ["dense"]
    traced = {key: [cell for cell in view.cells if any(key in entry for entry in cell.trace)] for key in keys}
    return {
        "view": view,
        "spec": view.spec,
        "slug": slug,
        "title": title,
        "curves": curves,
        "judgement": judgement,
        "progress": _progress(curves, view),
        "findings": findings,
        "file": f"{slug}.csv",
        "picture": shown(
            curve_figure(curves),
            slug,
            f"{title}: {metric} against density",
            " ".join([*findings, "The tables below give every number."]),
        ),
        "field": field,
        "profile": None
        if field is None
        else shown(
            profile_figure(field, curves),
            f"{slug}-profile",
            f"{title}: performance profiles",
            "One falling line an arm: the share of its runs that are better than a score.",
        ),
        "layers": None
        if len(chain) < 2 or view.source is not None
        else shown(
            layer_figure([(cell.level, cell.density, cell.layers) for cell in chain]),
            f"{slug}-layers",
            f"{view.spec.title}: density of every layer at every level",
            f"Heat map of the winning ticket of replicate {chain[0].replicate}; the table below gives every number.",
        ),
        "ladder": chain,
        "empty": empty(view.cells),
        "outside": words.outside(view.spec.metric, (cell.value for cell in view.cells)),
        "traces": [
            (
                key,
                shown(
                    trace_figure(traced[key], panels, key),
                    f"{slug}-trace-{i}",
                    f"{view.spec.title}: {key} in training",
                    f"One panel for each of {', '.join(panels)}; lines coloured by density, one per replicate.",
                ),
            )
            for i, key in enumerate(keys)
        ],
        "episodes": [(each, _gif(each, slug, folder)) for each in view.episodes],
        "cost": _cost(view.cells),
        "provenance": _provenance(view),
    }


def _shown(folder: Path, figure: Figure, name: str, title: str, description: str) -> Markup:
    """A figure in the page, its files written beside it."""
    text = svg(figure)
    replace_file(folder / f"{name}.svg", text.encode())
    replace_file(folder / f"{name}.png", png(figure))
    return Markup(inline(text, name, title, description))


def _gif(episode: Episode, slug: str, folder: Path) -> str:
    """An episode as an address in the page, its file written beside it."""
    replace_file(folder / f"{slug}-{episode.arm}.gif", episode.gif)
    return f"data:image/gif;base64,{base64.b64encode(episode.gif).decode()}"


def _csv(cells: Iterable[CellResult]) -> str:
    """Every cell with its score (empty: diverged), its key and its other test scores, one a line."""
    found, text = list(cells), io.StringIO()
    further = sorted({name for cell in found for name in cell.test if name != cell.metric})
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("arm", "level", "replicate", "density", "value", "diverged", "key", *further))
    for cell in found:
        value, *others = ("" if score is None else repr(score) for score in (cell.value, *map(cell.test.get, further)))
        place = cell.arm, cell.level, cell.replicate, repr(cell.density)
        rows.writerow((*place, value, cell.diverged, cell.key, *others))
    return text.getvalue()


def _cost(cells: Iterable[CellResult]) -> list[dict[str, Any]]:
    """Per arm and in total: cells, seconds, FLOPs, and the largest memory of a cell."""
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(cell.arm, []).append(cell)
    groups = dict(sorted(groups.items(), key=lambda item: item[0] != "dense"))
    groups["all"] = [cell for group in groups.values() for cell in group]
    return [
        {
            "arm": arm,
            "cells": len(group),
            "wall": sum(cell.spent.wall_seconds for cell in group),
            "cpu": sum(cell.spent.cpu_seconds for cell in group),
            "dense": total_flops(group, "flops_dense"),
            "sparse": total_flops(group, "flops_sparse"),
            "memory": max((cell.spent.peak_memory for cell in group), default=0),
        }
        for arm, group in groups.items()
    ]


def _provenance(view: TaskView) -> list[tuple[str, str]]:
    """(label, value) pairs; where cells differ, every value is given."""

    def every(of: Callable[[CellResult], object]) -> str:
        return "; ".join(dict.fromkeys(str(of(cell)) for cell in view.cells)) or words.NOTHING

    def revision(cell: CellResult) -> str:
        source = cell.provenance
        return f"{source.git_revision or 'not from a git checkout'}{' + uncommitted changes' if source.dirty else ''}"

    def listed(pairs: dict[str, Any]) -> str:
        return ", ".join(f"{key} {value}" for key, value in pairs.items())

    dates = sorted(cell.provenance.date for cell in view.cells)
    return [
        ("task", f"{view.spec.id} {view.spec.version}, scale {view.spec.scale}"),
        ("task hash", view.spec.hash),
        ("method", f"{view.method.name}: {listed(view.method.model_dump(mode='json', exclude={'name'}))}"),
        ("method hash", view.method.hash),
        ("suite", every(lambda cell: cell.provenance.suite_version)),
        ("git revision", every(revision)),
        ("data", f"{view.spec.data.name}, SHA-256 {every(lambda cell: cell.provenance.data_fingerprint)}"),
        ("versions", every(lambda cell: listed(cell.provenance.versions))),
        ("hardware", every(lambda cell: listed(cell.provenance.hardware))),
        ("device", every(lambda cell: f"{cell.provenance.device}, {count(cell.provenance.threads, 'thread')}")),
        ("execution", every(lambda cell: cell.provenance.execution)),
        ("how scores are taken", every(lambda cell: listed(cell.notes) or words.NOTHING)),
        ("dates", " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else words.NOTHING),
    ]


def _slugs(run: RunView) -> list[str]:
    """A file name per task, which is also the prefix of its ids; a task that comes twice is numbered."""
    seen: dict[str, int] = {}
    slugs = []
    for view in run.tasks:
        tickets = "" if view.source is None else f"-from-{view.source.spec.id}"
        slug = f"{view.spec.id}{tickets}".replace("/", "-")
        seen[slug] = seen.get(slug, 0) + 1
        slugs.append(slug if seen[slug] == 1 else f"{slug}-{seen[slug]}")
    return slugs


def _progress(curves: TaskCurves, view: TaskView) -> str:
    """`12 of 14 cells finished, 1 diverged`."""
    tail = f", {len(curves.diverged)} diverged" if curves.diverged else ""
    return f"{len(view.cells)} of {count(view.expected, 'cell')} finished{tail}"
