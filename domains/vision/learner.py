"""Image classification as a learner: batches sliced from tensors in memory."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from domains.vision.datasets import Dataset, load
from domains.vision.models import Model
from suite.experiment.learner import Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchProbe, BatchSettings, Order, SupervisedLearner, check_batch, evaluating
from suite.experiment.task import TaskSpec

EVALUATION_BATCH = 1000
EVALUATION_PIXELS = 2_000_000
"""Most pixels of an evaluation's batch: 39 images of 224 x 224; a layer's 64 channels of them take half a gigabyte."""


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

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        settings = VisionSettings.read(spec.training.settings, "training.settings")
        self._autocast = None if settings.autocast is None else torch.bfloat16
        self._layout = torch.channels_last if settings.channels_last else torch.preserve_format
        splits = load(spec.data, runtime.data)
        super().__init__(spec, streams, span, runtime, lambda: _network(spec).to(memory_format=self._layout))
        self._inputs = Dataset.of_data(spec.data.name, spec.data.settings).inputs(self.device)
        self._splits = {name: split.to(runtime.device) for name, split in splits.items()}
        self._order = Order(len(self._splits["train"].labels), spec.training.batch, self.generator)

    def loss(self, step: int) -> Tensor:
        """Mean cross-entropy on the batch of a step."""
        images, labels = self._batch(step)
        return F.cross_entropy(self._logits(images), labels)

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Accuracy and mean cross-entropy on a split."""
        part = self._splits[split]
        with evaluating(self.model):
            batches = torch.split(part.images, _at_once(part.images))
            logits = torch.cat([self._logits(self._inputs.scaled(images)) for images in batches])
        return {
            "accuracy": float((logits.argmax(1) == part.labels).double().mean()),
            "loss": float(F.cross_entropy(logits, part.labels)),
        }

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """The first `n` training batches of the replicate; flow is that of one all-ones image."""

        def probe(images: Tensor, labels: Tensor) -> BatchProbe:
            def ones() -> Tensor:  # in the precision that the weights have by then
                return torch.ones_like(images[:1], dtype=next(self.model.parameters()).dtype)

            return BatchProbe(
                self.model, lambda: F.cross_entropy(self._logits(images), labels), lambda: self.model(ones())
            )

        return [probe(*self._batch(step)) for step in range(n)]

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
                self._logits(self._batch(step)[0])
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _logits(self, images: Tensor) -> Tensor:
        """The model's outputs (float32) on images as it sees them."""
        with self._precision():
            logits: Tensor = self.model(images.to(memory_format=self._layout))
        return logits if self._autocast is None else logits.float()

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self._autocast is None else torch.autocast(self.device.type, self._autocast)

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        rows = self._order.rows(step).to(self.device)
        train = self._splits["train"]
        images = train.images.index_select(0, rows)
        if self._inputs.draws:  # from the step alone; an epoch's order has a seed with one index, a step's has two
            images = self._inputs.augmented(images, self.generator(0, step))
        return self._inputs.scaled(images), train.labels.index_select(0, rows)


def _network(spec: TaskSpec) -> nn.Module:
    dataset = Dataset.of_data(spec.data.name, spec.data.settings)
    return Model.of(spec.model).build(dataset.shape, dataset.classes)


def _at_once(images: Tensor) -> int:
    """How many images [N, C, H, W] an evaluation takes at a time."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // images[0, 0].numel()))
