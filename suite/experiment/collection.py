"""Collections: several tasks, or a paper's figures, that run under one name."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from suite.experiment.domain import PACKAGE
from suite.experiment.frozen import Frozen
from suite.experiment.options import Carry


class Panel(Frozen):
    """A part of a figure: tasks by their own methods, or tickets of `sources` on `targets`.

    `methods` and `arms`: those that the figure is about, where they are not the task's own.
    """

    tasks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    carry: Carry = "both"
    methods: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()


class Figure(Frozen):
    """A figure of a paper: what it shows there, on which data, and the panels that stand for it here, by scale."""

    name: str
    title: str
    showed: str
    data: str
    panels: Annotated[Mapping[str, tuple[Panel, ...]], Field(min_length=1)]

    def at(self, scale: str) -> tuple[Panel, ...]:
        """The panels of a scale; a scale of none of its own, such as smoke, has those of the first."""
        return self.panels.get(scale, next(iter(self.panels.values())))


class Collection(Frozen):
    """Several tasks run together under one name, such as `quickstart`, or the figures of a paper."""

    name: str
    title: str
    scale: str
    tasks: tuple[str, ...] = ()
    source: str = ""
    figures: tuple[Figure, ...] = ()

    def panels(self, scale: str) -> Iterator[Panel]:
        """What is run at a scale, figure after figure."""
        if self.tasks:
            yield Panel(tasks=self.tasks)
        for figure in self.figures:
            yield from figure.at(scale)

    @property
    def named(self) -> tuple[str, ...]:
        """The tasks that take part at the collection's own scale, each once."""
        found = (name for panel in self.panels(self.scale) for name in (*panel.tasks, *panel.sources, *panel.targets))
        return tuple(dict.fromkeys(found))


@cache
def collections() -> dict[str, Collection]:
    """The collections that come with the suite, by name."""
    folder = files(PACKAGE).joinpath("collections")
    texts = [path.read_text("utf-8") for path in folder.iterdir() if path.name.endswith(".toml")]
    found = [Collection(**tomllib.loads(text)) for text in texts]
    return {collection.name: collection for collection in sorted(found, key=lambda collection: collection.name)}
