"""Learning-rate schedules as functions of the step, so that a run rewound to step k finds its rate without history."""

import math
from collections.abc import Callable

from suite.experiment.learner import Span
from suite.experiment.settings import Reader
from suite.experiment.task import Settings

Factor = Callable[[int], float]

SHAPES = ("constant", "cosine", "linear", "step", "inverse-sqrt")


def learning_rate(settings: Settings, span: Span, total_steps: int) -> Factor:
    """Factor on the base learning rate at each step of a span.

    `settings["name"]`: `constant`; `cosine` (to 0 at `total_steps`, linear `warmup`); `linear` (the same, straight);
    `step` (times `gamma` at each of `milestones`); `inverse-sqrt` (linear `warmup`, then 1 / sqrt(step / warmup),
    Vaswani et al. 2017, section 5.3). `warmup` and `milestones` are in steps. Raises UsageError for another name, and
    for a setting that the schedule has not.
    """
    read = Reader("training.schedule", settings)
    name = read.word("name", SHAPES)
    warmup = read.number("warmup", 0, least=0)
    milestones = read.wholes("milestones", least=0) if name == "step" else []
    gamma = read.number("gamma", 0.1) if name == "step" else 1.0
    read.close()

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
        return warm(step) * float(gamma) ** sum(step >= m for m in milestones)

    def inverse_sqrt(step: int) -> float:
        return warm(step) * math.sqrt(max(1, warmup) / max(step + 1, warmup, 1))

    shape = dict(zip(SHAPES, (constant, cosine, linear, steps, inverse_sqrt), strict=True))[name]
    return lambda step: shape(step - span.shift)
