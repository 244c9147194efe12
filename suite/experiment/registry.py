"""Finds tasks: built in, from entry points, or in a file given on the command line."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from suite.experiment.collection import collections
from suite.experiment.domain import domains, extra_of
from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest
from suite.experiment.plugins import folder_of, load_entry_point, load_plugin
from suite.experiment.taskfile import Fragments, TaskFile, read_tasks


class Registry:
    """All tasks known here, by id; plugins are loaded when they are named."""

    def __init__(self, plugins: Iterable[Path] = ()) -> None:
        self._files: dict[str, TaskFile] = {}
        for domain in domains().values():
            self._add(_shipped(domain.tasks, domain.code))
        for point in entry_points(group="lottery.tasks"):
            text, origin, beside = _text_of(load_entry_point(point))
            code = f"{point.dist.name} {point.dist.version}" if point.dist else ""
            self._add(read_tasks(text, origin, code, beside))
        for plugin in plugins:
            self._add(load_plugin(plugin))

    def _add(self, tasks: Iterable[TaskFile]) -> None:
        for task in tasks:
            if task.id in self._files:
                raise UsageError(
                    f"task {task.id!r} of {task.origin} exists already in {self._files[task.id].origin}: give it an "
                    f'id of its own, such as id = "mine/{task.id.split("/")[-1]}"'
                )
            self._files[task.id] = task

    @property
    def ids(self) -> list[str]:
        """Ids of all tasks, sorted."""
        return sorted(self._files)

    @property
    def left_out(self) -> dict[tuple[str, str], list[str]]:
        """The tasks that cannot be run on this machine, by the library that is left out here and why it is."""
        found: dict[tuple[str, str], list[str]] = {}
        for task_id in self.ids:
            needed = extra_of(str(self._files[task_id].common.get("learner", "")))
            if needed is not None and needed[1].left_out:
                found.setdefault((needed[0], needed[1].left_out), []).append(task_id)
        return found

    def find(self, task_id: str) -> TaskFile:
        """The task file of an id; raises UsageError that names the nearest ids."""
        if task_id not in self._files:
            known = [*self._files, *collections()]
            raise UsageError(f"unknown task {task_id!r}{nearest(task_id, known)}; `lottery list` names all")
        return self._files[task_id]

    def one(self, name: str, scale: str | None) -> tuple[TaskFile, str]:
        """The task file of an id and its scale, by default the usual one; raises UsageError for a collection."""
        if name in collections():
            raise UsageError(f"{name} is a collection: name one of {', '.join(collections()[name].named)}")
        file = self.find(name)
        return file, scale or file.usual_scale


@cache
def _shipped(folder: Path, code: str) -> tuple[TaskFile, ...]:
    """The tasks of a domain's package; like its code they are read once in a process."""
    texts = ((path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.toml")))
    return tuple(task for name, text in texts for task in read_tasks(text, name, code, folder_of(folder)))


def _text_of(value: object) -> tuple[str, str, Fragments | None]:
    if isinstance(value, Path):
        return value.read_text("utf-8"), value.name, folder_of(value.parent)
    if isinstance(value, str):
        return value, "an entry point of lottery.tasks", None
    raise UsageError(f"entry point of lottery.tasks gives {type(value).__name__}: TOML text or a Path is needed")
