"""Tasks on random images of any size and number of classes, which extend the fragments of the vision tasks."""

from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import torch

from domains.vision.data import Images, Splits
from domains.vision.learner import VisionLearner
from domains.vision.memory import InMemory
from suite.experiment.learner import Span
from suite.experiment.plugins import folder_of
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.taskfile import Task, read_tasks

TASKS = Path(str(files("domains.vision"))) / "tasks"
TOML = """
id = "vision/noise"
version = "1.0.0"
title = "Random images"
data = {name = "noise", fingerprint = "none", settings = {train = 8, validation = 8, test = 8, side = 32, labels = 10}}
metric = {name = "accuracy", unit = "fraction correct", higher_is_better = true, chance = 0.1, margin = 0.02}
cost = {seconds_per_step = 1e-3, flops_per_step = 1e3}
[scales.smoke]
"""
SHORT = """
[training]
total_steps = 10
batch = 4
schedule = {name = "constant"}
"""


class Noise(InMemory):
    """Random colour images with random labels."""

    name: ClassVar[str] = "noise"

    train: int
    validation: int
    test: int
    side: int
    labels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.side, self.side

    @property
    def classes(self) -> int:  # type: ignore[override]
        return self.labels

    @property
    def examples(self) -> int:
        return self.train

    def load(self, root: Path | None) -> tuple[Splits, str]:
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        generator = torch.Generator().manual_seed(0)
        return {name: self._drawn(size, generator) for name, size in sizes.items()}, "none"

    def _drawn(self, size: int, generator: torch.Generator) -> Images:
        images = torch.randn(size, *self.shape, generator=generator)
        return Images(images, torch.randint(self.classes, (size,), generator=generator))


def task(*fragments: str, **changes: Any) -> Task:
    """A task of some fragments, `short` being ten steps at a constant rate; `a__b` changes the setting `a.b`."""
    stored = folder_of(TASKS)

    def text_of(name: str) -> str:
        return SHORT if name == "fragments/short.toml" else stored(name)

    text = f"extends = {[f'fragments/{name}.toml' for name in fragments]}\n{TOML}"
    (found,) = read_tasks(text, "noise.toml", fragments=text_of)
    return found.at("smoke", {key.replace("__", "."): value for key, value in changes.items()})


def learner(made: Task, first: int = 0) -> VisionLearner:
    """The learner of a task."""
    spec = made.spec
    return VisionLearner(spec, Streams(spec.hash, 1000), Span(first, spec.training.total_steps), Runtime())
