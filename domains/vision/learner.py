"""Image classification as a learner."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from domains.vision.batches import Batches, Reading
from domains.vision.datasets import Dataset
from domains.vision.made_up import MadeUp
from domains.vision.models import Model
from suite.experiment.learner import Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchProbe, BatchSettings, SupervisedLearner, check_batch, evaluating
from suite.experiment.task import TaskSpec


class VisionSettings(BatchSettings):
    """What the learner reads of `training.settings`; each of them can change the last bits of a number."""

    channels_last: bool = Field(
        default=False, description="channels lie next to each other in memory: convolutions on many machines are faster"
    )
    autocast: Literal["bfloat16"] | None = Field(
        default=None,
        description="compute convolutions and products in that type (torch.autocast), with weights, optimizer state, "
        "batch norm's statistics and the loss in float32; unset: all in float32",
    )


class VisionLearner(SupervisedLearner):
    """Trains a classifier by cross-entropy; see `suite.experiment.learner.Learner`."""

    components = replace(SupervisedLearner.components, data=Dataset, model=Model, settings=VisionSettings)
    draws = False  # batches follow the data stream; what is left is dropout, which a model has or has not

    @classmethod
    def parameter_shapes(cls, spec: TaskSpec) -> dict[str, tuple[int, ...]]:
        """The network's parameters, without its data and its weights."""
        with torch.device("meta"):
            return {name: tuple(parameter.shape) for name, parameter in _network(spec).named_parameters()}

    @classmethod
    def check_spec(cls, spec: TaskSpec) -> None:
        """Raise UsageError for a batch larger than the training set."""
        check_batch(spec.training.batch, Dataset.of_data(spec.data.name, spec.data.settings).examples)

    @classmethod
    def stand_in(cls, spec: TaskSpec, runtime: Runtime) -> "VisionLearner":
        """The learner on random images of the task's size and classes, whose data need not be there."""
        dataset = Dataset.of_data(spec.data.name, spec.data.settings)
        batches = MadeUp(dataset.shape, dataset.classes, spec.training.batch, runtime)
        return cls(spec, Streams(spec.hash, 0), Span(0, spec.training.total_steps), runtime, batches)

    def __init__(
        self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime, batches: Batches | None = None
    ) -> None:
        settings = VisionSettings.read(spec.training.settings, "training.settings")
        self._autocast = None if settings.autocast is None else torch.bfloat16
        self._layout = torch.channels_last if settings.channels_last else torch.preserve_format
        if batches is None:
            dataset = Dataset.of_data(spec.data.name, spec.data.settings)
            batches = dataset.batches(spec.data, Reading(spec.training.batch, span.last, streams, runtime))
        self._batches = batches
        super().__init__(spec, streams, span, runtime, lambda: _network(spec).to(memory_format=self._layout))

    def loss(self, step: int) -> Tensor:
        """Mean cross-entropy on the batch of a step."""
        images, labels = self._batches.of_step(step)
        return F.cross_entropy(self._logits(images), labels)

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Accuracy and mean cross-entropy on a split."""
        with evaluating(self.model):
            parts = [(self._logits(images), labels) for images, labels in self._batches.of_split(split)]
        logits, labels = (torch.cat(each) for each in zip(*parts, strict=True))
        return {
            "accuracy": float((logits.argmax(1) == labels).double().mean()),
            "loss": float(F.cross_entropy(logits, labels)),
        }

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """The first `n` training batches of the replicate; flow is that of one all-ones image."""

        def probe(images: Tensor, labels: Tensor) -> BatchProbe:
            def ones() -> Tensor:  # in the precision that the weights have by then
                return torch.ones_like(images[:1], dtype=next(self.model.parameters()).dtype)

            return BatchProbe(
                self.model, lambda: F.cross_entropy(self._logits(images), labels), lambda: self.model(ones())
            )

        return [probe(*self._batches.of_step(step)) for step in range(n)]

    def recalibrate(self, n: int) -> None:
        """Batch-norm statistics from the first `n` training batches; nothing for a model without batch norm."""
        layers = self.model.modules()
        norms = [layer for layer in layers if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
        with torch.no_grad():
            for step in range(n if norms else 0):
                self._logits(self._batches.of_step(step)[0])
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _logits(self, images: Tensor) -> Tensor:
        """The model's outputs (float32) on images as it sees them."""
        with self._precision():
            logits: Tensor = self.model(images.to(memory_format=self._layout))
        return logits if self._autocast is None else logits.float()

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self._autocast is None else torch.autocast(self.device.type, self._autocast)


def _network(spec: TaskSpec) -> nn.Module:
    dataset = Dataset.of_data(spec.data.name, spec.data.settings)
    return Model.of(spec.model).build(dataset.shape, dataset.classes)
