"""A paper's figures beside what a run has of them: what the paper showed, on which data, and what came out here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Seen:
    """What a run has of a panel: the tasks that stand for it here, where they are in the page, and what they say."""

    title: str
    anchor: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Reproduced:
    """A figure of the paper, and what a run has of it; nothing where none of its panels was run."""

    figure: Figure
    seen: tuple[Seen, ...]


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


def papers(tasks: Sequence[Judged], slugs: Sequence[str]) -> list[Paper]:
    """Every collection of figures that a run has something of; `slugs` are the places of its tasks in the page."""
    found = []
    for collection in collections().values():
        figures = tuple(Reproduced(figure, tuple(_seen(figure, tasks, slugs))) for figure in collection.figures)
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


def _seen(figure: Figure, tasks: Sequence[Judged], slugs: Sequence[str]) -> Iterable[Seen]:
    for scale in dict.fromkeys(view.spec.scale for view, _ in tasks):
        for panel in figure.at(scale):
            places = [
                (judged, slug)
                for judged, slug in zip(tasks, slugs, strict=True)
                if judged[0].spec.scale == scale and _stands_for(panel, judged[0])
            ]
            if panel.sources:
                yield from _matrix(places)
            elif len(panel.methods) > 1:
                yield from _methods(places)
            else:
                yield from (_curve(judged, slug) for judged, slug in places)


def _curve(judged: Judged, slug: str) -> Seen:
    view, judgement = judged
    by = "" if view.method.name in USUAL else f" by {view.method.name}"
    return Seen(f"{view.spec.title}{by}", slug, tuple(words.findings(judgement)))


def _matrix(places: Sequence[tuple[Judged, str]]) -> Iterable[Seen]:
    """A matrix of tickets that are carried over; none of tickets on their own tasks alone."""
    if _carried([judged for judged, _ in places]):
        for matrix in matrices([judged for judged, _ in places]):
            yield Seen(transfer_words.title(matrix), places[0][1], tuple(transfer_words.findings(matrix)))


def _methods(places: Sequence[tuple[Judged, str]]) -> Iterable[Seen]:
    """Of a task under several methods: how their tickets compare."""
    by_task: dict[tuple[str, str], dict[str, TaskCurves]] = {}
    anchors: dict[str, str] = {}
    for (view, judgement), slug in places:
        anchor = anchors.setdefault(view.spec.id, slug)
        by_task.setdefault((view.spec.title, anchor), {})[view.method.name] = judgement.curves
    for (title, anchor), curves in by_task.items():
        ranks = rank_sources(curves)
        said = [
            f"tickets of {rank.source} against those of {duel.against}: {words.number(duel.difference.value, True)} "
            f"{words.interval(duel.difference.interval)}, "
            f"{transfer_words.undecided(duel.verdict, duel.replicates_needed)}"
            for rank in ranks[:1]
            for duel in rank.duels
        ]
        if said:
            about = words.sentence(f"over all densities {'; '.join(said)}")
            yield Seen(f"{title}, methods compared", anchor, (about,))


def paper_lines(found: Paper) -> list[str]:
    """What the paper showed and what came out here, a line each, for the terminal."""
    lines = [f"{found.collection.title} ({found.collection.source})"]
    for each in found.shown:
        lines.append(f"{each.figure.name}. The paper, on {each.figure.data}: {each.figure.showed}")
        lines += [f"Here, {seen.title}: {' '.join(seen.sentences)}" for seen in each.seen]
    if found.absent:
        lines.append(f"Nothing in this run of: {'; '.join(found.absent)}.")
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
            }
            for each in found.figures
        ],
    }
