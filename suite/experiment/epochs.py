"""Numbers of epochs in a task's tables, and the steps that they stand for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

from suite.experiment.component import Components, Epochs
from suite.experiment.errors import UsageError
from suite.experiment.loading import installed
from suite.experiment.tables import EPOCHS_FOR
from suite.experiment.task import TaskSpec


@dataclass(frozen=True)
class Epoch:
    """One pass over the training data of a task."""

    kinds: Components
    spec: TaskSpec

    @cached_property
    def steps(self) -> int:
        """Its steps, counted when first asked for; UsageError for data that are not read in passes."""
        spec, kinds = self.spec, self.kinds
        data = kinds.data.of_data(spec.data.name, spec.data.settings) if kinds.data else None
        settings = kinds.settings.read(spec.training.settings, "training.settings") if kinds.settings else None
        if not isinstance(data, Epochs):
            raise UsageError(f"data {spec.data.name} have no epochs here: give total_steps, rewind_step, … in steps")
        with installed(spec):
            steps = data.epoch_steps(spec.training.batch, settings)
        if steps < 1:
            raise UsageError(f"training.batch = {spec.training.batch} exceeds the training data: lower it")
        return steps


def in_steps(table: Mapping[str, Any], epoch: Callable[[], int]) -> dict[str, Any]:
    """A table with every number of epochs replaced by the nearest number of steps, `epoch` giving the steps of one."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        steps = _steps_name(key)
        found[steps or key] = _times(value, epoch(), key) if steps else value
    return found


def _steps_name(key: str) -> str | None:
    """What a number in epochs is called in steps; None for any other key."""
    for steps, epochs in EPOCHS_FOR.items():
        if key == epochs:
            return steps
    return key.removesuffix("_epochs") if key.endswith("_epochs") else None


def _times(value: Any, epoch: int, key: str) -> Any:
    if isinstance(value, list):
        return [_times(each, epoch, key) for each in value]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise UsageError(f"{key} = {value!r}: a number of at least 0 is needed")
    return int(value * epoch + 0.5)
