"""Learning-rate schedules as functions of the step, so that a run rewound to step k finds its rate without history."""

import math
from collections.abc import Callable, Mapping

from suite.experiment.task import Number, Span, UsageError

Factor = Callable[[int], float]


def learning_rate(settings: Mapping[str, Number | list[Number]], span: Span, total_steps: int) -> Factor:
    """Factor on the base learning rate at each step of a span.

    `settings["name"]`: `constant`; `cosine` (to 0 at `total_steps`, linear `warmup`); `linear` (the same, straight);
    `step` (times `gamma` at each of `milestones`); `inverse-sqrt` (linear `warmup`, then 1 / sqrt(step / warmup),
    Vaswani et al. 2017, section 5.3). `warmup` and `milestones` are in steps. Raises UsageError for another name.
    """
    name = settings.get("name")
    warmup = _number(settings, "warmup", 0)

    def warm(step: int) -> float:
        return min(1.0, (step + 1) / warmup) if warmup else 1.0

    def progress(step: int) -> float:
        return min(1.0, max(0, step - warmup) / max(1, total_steps - warmup))

    def constant(step: int) -> float:
        return warm(step)

    def cosine(step: int) -> float:
        return warm(step) * 0.5 * (1 + math.cos(math.pi * progress(step)))

    def linear(step: int) -> float:
        return warm(step) * (1 - progress(step))

    def steps(step: int) -> float:
        milestones = settings["milestones"]
        assert isinstance(milestones, list)
        return warm(step) * float(_number(settings, "gamma", 0.1)) ** sum(step >= int(m) for m in milestones)

    def inverse_sqrt(step: int) -> float:
        return warm(step) * math.sqrt(max(1, warmup) / max(step + 1, warmup, 1))

    shapes: dict[str, Factor] = {
        "constant": constant, "cosine": cosine, "linear": linear, "step": steps, "inverse-sqrt": inverse_sqrt,
    }  # fmt: skip
    if name not in shapes:
        raise UsageError(f"unknown schedule {name!r}: one of {', '.join(shapes)}")
    shape = shapes[str(name)]
    return lambda step: shape(step - span.shift)


def _number(settings: Mapping[str, Number | list[Number]], key: str, default: float) -> float:
    value = settings.get(key, default)
    if isinstance(value, str | list):
        raise UsageError(f"schedule setting {key} = {value!r}: a number is needed")
    return value
