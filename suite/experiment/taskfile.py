"""A task is a TOML file: common tables, `[scales.<scale>]` merged over them, defaults of method and run.

Top-level tables are common to all scales; `[method]` and `[run]` are the task's defaults for `Method` and `RunOptions`.
`extends = ["…toml", …]` names files beside this one that it is merged over, in their order: other tasks, or fragments
that are no task by themselves and lie in `fragments/`, where no tasks are looked for. `[variants.<name>]` makes a task
of its own of each such table, which is merged over the file and may extend others too; see `suite.experiment.tables`.
Numbers of steps may be given in epochs (`training.epochs`, `training.schedule.warmup_epochs` and `milestones_epochs`,
`method.rewind_epoch`), and `prunable` and `output_layer` take patterns; what they are resolved to when the task is
chosen is what is hashed.
"""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest, refusal
from suite.experiment.method import Method
from suite.experiment.options import Carry, RunOptions
from suite.experiment.tables import EPOCHS_FOR, changed, dotted, extended, merged, refuse_two_units, variants
from suite.experiment.task import CHANGED, Scale, TaskSpec

Fragments = Callable[[str], str]
"""The text of a file that `extends` names; raises UsageError when there is none."""

METHOD_KEYS = (*Method.model_fields, EPOCHS_FOR["rewind_step"])
"""What `--set` takes as a method's own: its fields, and its rewind step in epochs."""

SET = "--set"
"""The origin of a task that a command line changed."""

MOST_SHOWN, LONGEST_SHOWN = 2, 20
"""Changed settings that a title names, and characters of a value in it."""

Checked = TypeVar("Checked", bound=BaseModel)


@dataclass(frozen=True)
class Task:
    """A task at one scale with its defaults, and the digest of the code that a plugin brought (empty if built in).

    Of a transfer it is the target, and its tickets come from `source`.
    """

    spec: TaskSpec
    method: Method
    options: RunOptions
    code: str = ""
    source: "Source | None" = None

    @property
    def trained_by(self) -> str:
        """Reference of the learner, or of the cohort where the options ask for one."""
        return (self.spec.cohort if self.options.exec == "cohort" else None) or self.spec.learner

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it another task than others of a run: its hash, its method's, and those of its source."""
        source = self.source
        found = () if source is None else (source.task.spec.hash, source.task.method.hash, source.carry)
        return (self.spec.hash, self.method.hash, *found)


@dataclass(frozen=True)
class Source:
    """The task whose tickets are transferred, and what of them is carried to the target.

    `covered` are the target's prunable tensors that the ticket's mask covers; empty until a plan is made.
    """

    task: Task
    carry: Carry
    covered: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskFile:
    """A parsed task: the common tables, the scales, and where it came from."""

    origin: str
    common: dict[str, Any]
    scales: dict[str, dict[str, Any]]
    code: str = ""

    @property
    def id(self) -> str:
        """The task's id."""
        return str(self.common.get("id", ""))

    @property
    def title(self) -> str:
        """The task in a few words; empty where only its scales have one."""
        return str(self.common.get("title", ""))

    @property
    def usual_scale(self) -> str:
        """The scale that is meant where none is named: `lite`, or the first."""
        return "lite" if "lite" in self.scales else next(iter(self.scales))

    def at(self, scale: str, changes: Mapping[str, Any] | None = None) -> Task:
        """The task at a scale, with settings changed by dotted key (`training.total_steps`, or a method's field).

        Raises UsageError for a scale the task has not, a field that is misspelt, a value out of range, and whatever the
        components that the task names refuse.
        """
        from suite.experiment.resolve import resolve

        table, method, options = self._tables(scale, changes or {})
        with _prefixed(f"{self.id} {scale}"):
            found = resolve(table, method, self._spec, tuple(changes or ()))
        code = " ".join(dict.fromkeys(filter(None, (self.code, *found.code))))
        return Task(found.spec, self._method(found.method), self._options(options), code)

    def check(self) -> None:
        """Raise UsageError for what is wrong with the task at any scale, as far as that shows without its learner."""
        for scale in self.scales:
            table, method, options = self._tables(scale, {})
            draft(table, self._spec)
            self._method({key: value for key, value in method.items() if key not in EPOCHS_FOR.values()})
            self._options(options)

    def keys(self, scale: str) -> list[str]:
        """What `--set` accepts: the method's fields and the task's own numbers, by dotted key."""
        from suite.experiment.resolve import known_settings

        table, _, _ = self._tables(scale, {})
        own = dotted({key: table[key] for key in ("data", "model", "training", "metric") if key in table})
        return list(dict.fromkeys((*METHOD_KEYS, *own, "training.epochs", *known_settings(draft(table, self._spec)))))

    def _tables(self, scale: str, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The tables of task, method and run at a scale, changes put in."""
        if scale not in self.scales:
            raise UsageError(f"{self.id} has no scale {scale!r}: one of {', '.join(self.scales)}")
        table = merged(self.common, self._table(f"scales.{scale}", self.scales[scale]))
        method, options = (self._table(name, table.pop(name, {})) for name in ("method", "run"))
        table["scale"] = scale
        method = merged(method, {key: value for key, value in changes.items() if key in METHOD_KEYS})
        own = {key: value for key, value in changes.items() if key not in METHOD_KEYS}
        for key, value in own.items():
            table = changed(table, key, value)
        if own:
            table["version"] = f"{str(table.get('version')).removesuffix(CHANGED)}{CHANGED}"
            table["title"] = f"{table.get('title')}, with {_shortly(own)}"
        training = table.get("training")
        schedule = training.get("schedule") if isinstance(training, dict) else None
        with _prefixed(self.origin):
            for where, part in (("training", training), ("training.schedule", schedule), ("method", method)):
                refuse_two_units(part if isinstance(part, dict) else {}, where)
        return table, method, options

    def _spec(self, table: Mapping[str, Any]) -> TaskSpec:
        return self._checked(TaskSpec, table, "")

    def _method(self, table: Mapping[str, Any]) -> Method:
        return self._checked(Method, table, "" if self.origin == SET else "method")

    def _options(self, table: Mapping[str, Any]) -> RunOptions:
        return self._checked(RunOptions, table, "run")

    def _checked(self, model: type[Checked], table: Mapping[str, Any], where: str) -> Checked:
        with _prefixed(self.origin):
            try:
                return model(**table)
            except ValidationError as error:
                raise refusal(error, model, table, where) from error

    def _table(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise UsageError(f"{self.origin}: {name} = {value!r}: a table is needed")
        return value


def _shortly(changes: Mapping[str, Any]) -> str:
    """What a command line changed, as a title has room for it."""
    texts = [f"{key} = {_short(value)}" for key, value in changes.items()]
    return ", ".join(texts[:MOST_SHOWN]) + (f" and {len(texts) - MOST_SHOWN} more" if texts[MOST_SHOWN:] else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_SHOWN else "…"


def draft(table: Mapping[str, Any], spec: Callable[[Mapping[str, Any]], TaskSpec]) -> TaskSpec:
    """A task whose epochs are not resolved yet: good for naming its learner and components, not for its hash."""
    training = table.get("training")
    if isinstance(training, Mapping) and "epochs" in training and "total_steps" not in training:
        plain = {key: value for key, value in training.items() if key != "epochs"}
        return spec({**table, "training": {**plain, "total_steps": 1}})
    return spec(table)


def read_tasks(text: str, origin: str, code: str = "", fragments: Fragments | None = None) -> list[TaskFile]:
    """Parse a task file, a task for each of its variants, and check each at every scale.

    Raises UsageError naming the file, the field and the remedy.
    """

    def fragment(name: str) -> dict[str, Any]:
        if fragments is None:
            raise UsageError(f"extends names {name!r}, but this task is no file that another lies beside")
        return _parsed(fragments(name), name)

    found = []
    for table in variants(extended(_parsed(text, origin), fragment, origin), origin):
        scales = table.pop("scales", {})
        if not isinstance(scales, dict) or not scales:
            raise UsageError(f"{origin} has no [scales.<name>] table: give one of paper, lite, quick, smoke")
        order = [*get_args(Scale), *scales]
        task = TaskFile(origin, table, {name: scales[name] for name in sorted(scales, key=order.index)}, code)
        task.check()
        found.append(task)
    return found


def read_task(text: str, origin: str, code: str = "") -> TaskFile:
    """Parse a text that holds one task; see `read_tasks`."""
    (task,) = read_tasks(text, origin, code)
    return task


def nearest_key(key: str, known: Iterable[str]) -> UsageError:
    """The error for a `--set` key that does not exist."""
    known = list(known)
    return UsageError(f"unknown --set key {key!r}{nearest(key, known)}: one of {', '.join(known)}")


def _parsed(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{origin} is no TOML: it is nested too deeply") from error
    except ValueError as error:  # besides TOML's own error, that of a number of too many digits
        raise UsageError(f"{origin} is no TOML: {error}") from error


@contextmanager
def _prefixed(origin: str) -> Iterator[None]:
    """Says of an error where it is."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from error
