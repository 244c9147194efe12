"""Components: the datasets, models, optimizers and schedules that a task names, each with its own settings.

A kind of component is a class that derives from `Component` directly; a component is a class that derives from a kind,
declares its settings as fields, and has a `name`. A kind that stands in a package's `__init__.py` finds the components
in that package's modules by itself, so that adding one is one class in one file there. A third party's component
is known as soon as its module is imported: by `--plugin FILE`, or by an entry point of the group `lottery.components`.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import ConfigDict, ValidationError

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest, refusal
from suite.experiment.frozen import LARGEST, Frozen


class Settings(Frozen):
    """Base of the settings that a class declares: fields with descriptions and bounds; nested tables are models too.

    Nothing is converted from one kind to another (`"8"` is no number, `true` is no 1), but 8.0 is a whole number and a
    list is a tuple.
    """

    model_config = ConfigDict(strict=True)

    @classmethod
    def read(cls, table: Mapping[str, object], where: str, beside: tuple[str, ...] = ()) -> Self:
        """The settings in a table named `where`; raises UsageError that names the setting and what is needed.

        `beside` are other entries that the table may have, which the caller has taken out.
        """
        try:
            return cls.model_validate_json(json.dumps(_whole(table)))
        except ValidationError as error:
            raise refusal(error, cls, table, where, beside) from error


class Component(Settings):
    """Base of every kind of component; an instance holds the settings that a task gives.

    `table` is the part of a task that a kind reads, and `default` the component of a table that names none.
    """

    name: ClassVar[str]
    table: ClassVar[str]
    default: ClassVar[str | None] = None
    _registered: ClassVar[dict[str, type["Component"]]]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if Component in cls.__bases__:
            cls._registered = {}
        if "name" not in cls.__dict__:
            return
        present = cls._registered.get(cls.name)
        if present is not None and not _replaces(cls, present):
            raise UsageError(f"{cls.table}: {cls.name!r} of {cls.__module__} exists already in {present.__module__}")
        cls._registered[cls.name] = cls

    @classmethod
    def names(cls) -> list[str]:
        """The names of all components of this kind, sorted."""
        home = sys.modules[cls._kind().__module__]
        for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
            importlib.import_module(f"{home.__name__}.{module.name}")
        return sorted(name for name, known in cls._registered.items() if issubclass(known, cls))

    @classmethod
    def named(cls, name: object, where: str) -> type[Self]:
        """The component of a name that stands at `where`; raises UsageError with those there are."""
        names = cls.names()
        if not isinstance(name, str) or name not in names:
            near = nearest(name, names) if isinstance(name, str) else ""
            raise UsageError(f"{where} = {name!r}{near}: one of {', '.join(names)}")
        return cls._registered[name]  # type: ignore[return-value]  # `names` has seen to it

    @classmethod
    def of(cls, table: Mapping[str, object]) -> Self:
        """The component that a table names, with the table's other entries as its settings.

        Raises UsageError for another name and for whatever its settings refuse.
        """
        settings = dict(table)
        name = settings.pop("name", cls.default)
        if name is None:
            raise UsageError(f"{cls.table}.name is missing: one of {', '.join(cls.names())}")
        return cls.named(name, f"{cls.table}.name").read(settings, cls.table, ("name",))

    @classmethod
    def of_data(cls, name: str, settings: Mapping[str, object]) -> Self:
        """The component of a task's `[data]`: its name, or its name, a hyphen and a label (`kjv-ruth` is a `kjv`)."""
        names = cls.names()
        stems = [known for known in names if name == known or name.startswith(f"{known}-")]
        return cls.named(max(stems, key=len, default=name), "data.name").read(settings, "data.settings")

    @classmethod
    def _kind(cls) -> type["Component"]:
        return next(base for base in cls.__mro__ if Component in base.__bases__)


@dataclass(frozen=True)
class Components:
    """Who reads the tables of a task: the kinds of its data, model, optimizer and schedule, and its own settings.

    A learner class names them in an attribute `components`; a table whose reader is None is not checked.
    """

    data: type[Component] | None = None
    model: type[Component] | None = None
    optimizer: type[Component] | None = None
    schedule: type[Component] | None = None
    settings: type[Settings] | None = None


@runtime_checkable
class Epochs(Protocol):
    """Data that are read in passes, so that a task may count in epochs."""

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training examples at a batch size and a learner's settings."""


def _replaces(new: type[Component], present: type[Component]) -> bool:
    """Whether a class is the same one defined again: a module that was reloaded, or another edition of a plugin."""
    plugin = "lottery_plugin_"
    return new.__module__ == present.__module__ or (
        new.__module__.startswith(plugin) and present.__module__.startswith(plugin)
    )


def _whole(value: Any) -> Any:
    """A table in which 8.0 is 8: whole numbers are told from others by their value, unless they are too large for it.

    Pydantic 2.10 takes no int far above `LARGEST` for a float.
    """
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST else value
