"""A paper's figures beside what a run has of them: what the paper showed, on which data, and what came out here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from suite.experiment.collection import Collection, Figure, Panel, collections
from suite.results import transfer_words, words
from suite.results.curve import TaskCurves
from suite.results.judge import Judgement
from suite.results.transfer import Matrix, matrices, rank_sources
from suite.results.view import TaskView

Judged = tuple[TaskView, Judgement]
"""A task of a run and what its curves say."""

USUAL: Final = ("imp",)
"""Methods of a panel that names none."""

MOST_NAMED: Final = 12
"""So many tasks or transfers that were not run are named in a sentence; of more their number is told."""

Placed = tuple[Judged, str]
"""A task of a run, and where it is in the page."""


@dataclass(frozen=True)
class Seen:
    """What a run has of a panel: the tasks that stand for it here, where they are in the page, and what they say."""

    title: str
    anchor: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Reproduced:
    """A figure of the paper, and what a run has of it; nothing where none of its panels was run.

    `missing` says in sentences what of its panels has no results in the run; `asked`: whether any of it was asked for.
    """

    figure: Figure
    seen: tuple[Seen, ...]
    missing: tuple[str, ...]
    asked: bool


@dataclass(frozen=True)
class Paper:
    """The figures of a collection beside a run; one of them at least is in it."""

    collection: Collection
    figures: tuple[Reproduced, ...]

    @property
    def shown(self) -> tuple[Reproduced, ...]:
        """The figures that the run has something of."""
        return tuple(each for each in self.figures if each.seen)

    @property
    def absent(self) -> tuple[str, ...]:
        """The names of the others."""
        return tuple(each.figure.name for each in self.figures if not each.seen)

    @property
    def asked(self) -> bool:
        """Whether the run was asked for something of every figure, as it is by the collection's own name."""
        return all(each.asked for each in self.figures)


def papers(tasks: Sequence[Judged], slugs: Sequence[str]) -> list[Paper]:
    """Every collection of figures that a run has something of; `slugs` are the places of its tasks in the page."""
    found = []
    for collection in collections().values():
        figures = tuple(_reproduced(figure, list(zip(tasks, slugs, strict=True))) for figure in collection.figures)
        if any(each.seen for each in figures):
            found.append(Paper(collection, figures))
    return found


def matrices_of(tasks: Sequence[Judged]) -> list[Matrix]:
    """The transfers of a run; of one that is no whole matrix, such as a paper's figures, a matrix for each panel."""
    found: list[Matrix] = []
    for matrix in matrices(tasks):
        if len(matrix.pairs) == len(matrix.sources) * len(matrix.targets):
            found.append(matrix)
            continue
        left = [(pair.view, pair.judgement) for pair in matrix.pairs.values()]
        panels = [panel for each in collections().values() for panel in _transfers(each, matrix.scale)]
        parts = [part for panel in panels if _carried(part := [j for j in left if _stands_for(panel, j[0])])]
        rest = [judged for judged in left if not any(judged in part for part in parts)]
        found += [each for part in (*parts, rest) for each in matrices(part)]
    return found


def _transfers(collection: Collection, scale: str) -> list[Panel]:
    return [panel for panel in collection.panels(scale) if panel.sources]


def _carried(tasks: Sequence[Judged]) -> bool:
    """Whether any ticket is carried from one task to another."""
    return any(view.source is not None and view.source.spec != view.spec for view, _ in tasks)


def _stands_for(panel: Panel, view: TaskView) -> bool:
    """Whether a task of a run is one of a panel's."""
    source = view.source
    if source is None:
        return view.spec.id in panel.tasks and view.method.name in (panel.methods or USUAL)
    named = view.spec.id in panel.targets and source.spec.id in panel.sources and source.carry == panel.carry
    return named and source.method.name in (panel.methods or USUAL)


def _reproduced(figure: Figure, tasks: Sequence[Placed]) -> Reproduced:
    """What is there of a figure at every scale of a run; a task without a finished cell has no results."""
    seen: list[Seen] = []
    missing: list[str] = []
    asked = False
    for scale in dict.fromkeys(view.spec.scale for (view, _), _ in tasks):
        here = [placed for placed in tasks if placed[0][0].spec.scale == scale]
        panels = figure.at(scale)
        wanted = [placed for placed in here if any(_stands_for(panel, placed[0][0]) for panel in panels)]
        asked |= bool(wanted)
        there = [placed for placed in wanted if placed[0][0].cells]
        found = [each for panel in panels for each in _seen(panel, [p for p in there if _stands_for(panel, p[0][0])])]
        if found:
            missing += _not_run(panels, [view for (view, _), _ in there], scale)
        seen += found
    return Reproduced(figure, tuple(seen), tuple(missing), asked)


def _seen(panel: Panel, tasks: Sequence[Placed]) -> Iterable[Seen]:
    """What the tasks of a run that stand for a panel say."""
    if panel.sources:
        return _matrix(tasks)
    return _methods(tasks, panel) if len(panel.methods) > 1 else map(_curve, tasks)


def _not_run(panels: Iterable[Panel], there: Sequence[TaskView], scale: str) -> Iterator[str]:
    """`not run here at lite: rl/acrobot, rl/lunarlander`, a sentence for tasks and one for transfers."""
    own, moved = dict[str, bool](), dict[str, bool]()
    for panel in panels:
        views = [view for view in there if _stands_for(panel, view)]
        for source, target in product(panel.sources, panel.targets):
            found = any(v.spec.id == target and v.source is not None and v.source.spec.id == source for v in views)
            moved[f"{source} to {target}"] = found
        for task, method in product(panel.tasks, panel.methods or USUAL):
            found = any(view.spec.id == task and view.method.name == method for view in views)
            own[f"{task} by {method}" if len(panel.methods) > 1 else task] = found
    for what, wanted in (("tasks", own), ("transfers", moved)):
        missing = [name for name, found in wanted.items() if not found]
        if missing:
            many = f"{len(missing)} of {len(wanted)} {what}"
            named = ", ".join(missing) if len(missing) <= MOST_NAMED else many
            yield words.sentence(f"not run here at {scale}: {named}")


def _on(view: TaskView, what: str = "") -> str:
    """A task with the scale and the data that it is of."""
    return f"{view.spec.title}{what} ({view.spec.scale}, data {view.spec.data.name})"


def _curve(placed: Placed) -> Seen:
    (view, judgement), slug = placed
    by = "" if view.method.name in USUAL else f" by {view.method.name}"
    return Seen(_on(view, by), slug, tuple(words.findings(judgement)))


def _matrix(tasks: Sequence[Placed]) -> Iterable[Seen]:
    """A matrix of tickets that are carried over; none of tickets on their own tasks alone."""
    if _carried([judged for judged, _ in tasks]):
        for matrix in matrices([judged for judged, _ in tasks]):
            yield Seen(transfer_words.title(matrix), tasks[0][1], tuple(transfer_words.findings(matrix)))


def _methods(tasks: Sequence[Placed], panel: Panel) -> Iterable[Seen]:
    """Of a task under several methods: how their tickets compare, and how each stands against the panel's own arms."""
    by_task: dict[str, dict[str, Placed]] = {}
    for placed in tasks:
        by_task.setdefault(placed[0][0].spec.id, {})[placed[0][0].method.name] = placed
    for found in by_task.values():
        (view, _), anchor = next(iter(found.values()))
        controls = [words.sentence(text) for (own, each), _ in found.values() for text in _controls(own, each, panel)]
        compared = _compared({method: judgement.curves for method, ((_, judgement), _) in found.items()}, panel)
        yield Seen(_on(view, ", methods compared"), anchor, (compared, *controls))


def _compared(curves: dict[str, TaskCurves], panel: Panel) -> str:
    if len(curves) < 2:
        absent = " and ".join(method for method in panel.methods if method not in curves)
        return f"Tickets of {next(iter(curves))} alone: without {absent} there is nothing to compare them with."
    said = [
        f"tickets of {rank.source} against those of {duel.against}: {words.number(duel.difference.value, True)} "
        f"{words.interval(duel.difference.interval)}, "
        f"{transfer_words.undecided(duel.verdict, duel.replicates_needed)}"
        for rank in rank_sources(curves)[:1]
        for duel in rank.duels
    ]
    return words.sentence(f"over all densities {'; '.join(said)}")


def _controls(view: TaskView, judgement: Judgement, panel: Panel) -> Iterator[str]:
    """A method's winning tickets against the other arms that a panel names."""
    for verdict in judgement.primary:
        if verdict.against in panel.arms:
            yield f"by {view.method.name}, {words.lead(verdict, view.spec.metric)}"


def paper_lines(found: Paper) -> list[str]:
    """What the paper showed and what came out here, a line each, for the terminal."""
    lines = [f"{found.collection.title} ({found.collection.source})"]
    for each in found.shown:
        lines.append(f"{each.figure.name}. The paper, on {each.figure.data}: {each.figure.showed}")
        lines += [f"Here, {seen.title}: {' '.join(seen.sentences)}" for seen in each.seen]
        lines += each.missing
    if found.absent:
        lines.append(f"Not run here: {'; '.join(found.absent)}.")
    return lines


def paper_json(found: Paper) -> dict[str, Any]:
    """The same for programs."""
    return {
        "collection": found.collection.name,
        "source": found.collection.source,
        "figures": [
            {
                "name": each.figure.name,
                "showed": each.figure.showed,
                "data": each.figure.data,
                "seen": [{"on": seen.title, "says": list(seen.sentences)} for seen in each.seen],
                "missing": list(each.missing),
            }
            for each in found.figures
        ],
    }
