"""Image classification as a learner: batches sliced from tensors in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from domains.vision.datasets import Dataset, load
from domains.vision.models import Model
from suite.experiment.learner import Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchProbe, Order, SupervisedLearner, check_batch, evaluating
from suite.experiment.task import TaskSpec

EVALUATION_BATCH = 1000


class VisionLearner(SupervisedLearner):
    """Trains a classifier by cross-entropy; see `suite.experiment.learner.Learner`."""

    components = replace(SupervisedLearner.components, data=Dataset, model=Model)
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
        splits = load(spec.data, runtime.data)
        super().__init__(spec, streams, span, runtime, lambda: _network(spec))
        self._splits = {name: split.to(runtime.device) for name, split in splits.items()}
        self._order = Order(len(self._splits["train"].labels), spec.training.batch, self.generator)

    def loss(self, step: int) -> Tensor:
        """Mean cross-entropy on the batch of a step."""
        images, labels = self._batch(step)
        return F.cross_entropy(self.model(images), labels)

    @torch.no_grad()
    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Accuracy and mean cross-entropy on a split."""
        part = self._splits[split]
        with evaluating(self.model):
            logits = torch.cat([self.model(images) for images in torch.split(part.images, EVALUATION_BATCH)])
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
                self.model, lambda: F.cross_entropy(self.model(images), labels), lambda: self.model(ones())
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
                self.model(self._batch(step)[0])
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        rows = self._order.rows(step).to(self.device)
        train = self._splits["train"]
        return train.images.index_select(0, rows), train.labels.index_select(0, rows)


def _network(spec: TaskSpec) -> nn.Module:
    dataset = Dataset.of_data(spec.data.name, spec.data.settings)
    return Model.of(spec.model).build(dataset.shape, dataset.classes)
