"""Reads the free tables of a task: every setting is asked for by name and kind, and what nobody asks for is refused."""

from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeGuard

from suite.experiment.errors import UsageError
from suite.experiment.explain import nearest


class Reader:
    """One table of a task, such as `training.schedule`; `close` it when all that it may hold has been asked for.

    A setting without a default must be there. Every method raises UsageError that names the setting, what it is, and
    what is needed.
    """

    def __init__(self, where: str, table: Mapping[str, object]) -> None:
        self._where, self._table, self._known = where, table, dict[str, None]()

    def number(
        self, key: str, default: float | None = None, *, least: float | None = None, most: float | None = None
    ) -> float:
        """A number from `least` to `most`, whole or not."""
        value, needed = self._value(key, default), f"a number{_bounds(least, most)}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not _within(value, least, most):
            self._refuse(key, value, needed)
        return value

    def whole(self, key: str, *, least: int = 1) -> int:
        """A whole number of at least `least`; 8.0 is one."""
        value = self._value(key)
        if not _is_whole(value, least):
            self._refuse(key, value, f"a whole number{_bounds(least)}")
        return int(value)

    def wholes(self, key: str, *, least: int = 1, count: int | None = None) -> list[int]:
        """A list of whole numbers of at least `least`, `count` of them if it is given."""
        values = self._value(key)
        whole = [int(v) for v in values if _is_whole(v, least)] if isinstance(values, list | tuple) else None
        if whole is None or whole != list(values) or count not in (None, len(whole)):  # type: ignore[call-overload]
            self._refuse(key, values, f"a list of {'' if count is None else f'{count} '}whole numbers{_bounds(least)}")
        return whole

    def flag(self, key: str) -> bool:
        """A truth value."""
        value = self._value(key)
        if not isinstance(value, bool):
            self._refuse(key, value, "true or false")
        return value

    def word(self, key: str, known: Iterable[str]) -> str:
        """One of some names."""
        value, known = self._value(key), list(known)
        if value not in known:
            found = f" = {value!r}{nearest(str(value), known)}" if key in self._table else " is missing"
            raise UsageError(f"{self._where}.{key}{found}: one of {', '.join(known)}")
        return str(value)

    def close(self) -> None:
        """Refuse what nobody asked for, with the nearest that somebody did."""
        for key in self._table:
            if key not in self._known:
                known = f"one of {', '.join(self._known)}" if self._known else "there are none"
                raise UsageError(f"unknown setting {self._where}.{key}{nearest(key, self._known)}: {known}")

    def _value(self, key: str, default: object = None) -> object:
        self._known[key] = None
        return self._table.get(key, default)

    def _refuse(self, key: str, value: object, needed: str) -> NoReturn:
        found = f" = {value!r}" if key in self._table else " is missing"
        raise UsageError(f"{self._where}.{key}{found}: {needed} is needed")


def _is_whole(value: object, least: int) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value % 1 == 0 and value >= least


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _bounds(least: float | None, most: float | None = None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f" of at least {least}" if least is not None else "" if most is None else f" of at most {most}"
