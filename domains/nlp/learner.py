"""One training run of a language task: an LSTM language model, or a Transformer that translates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from domains.nlp import data
from domains.nlp.datasets import PairDataset, TextDataset, corpus, pairs
from domains.nlp.models import LanguageModel, Translator
from domains.nlp.models.lstm import LSTMLanguageModel, State, native_lstm
from domains.nlp.models.transformer import Transformer
from domains.nlp.scores import signatures, text_scores
from suite.experiment.errors import UsageError
from suite.experiment.learner import Snapshot, Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchProbe, BatchSettings, Order, SupervisedLearner, check_batch, evaluating
from suite.experiment.task import TaskSpec

IGNORED: Final = -100
"""Target of a place behind the end of the text: no token, no loss."""


class LanguageModelSettings(BatchSettings):
    """`training.settings` of a language model."""

    bptt: Annotated[int, Field(ge=1)] = Field(description="tokens of every column in a step, and of its gradient's way")
    evaluation_columns: Annotated[int, Field(ge=1)] = Field(description="columns in which a split is read side by side")


class TranslationSettings(BatchSettings):
    """`training.settings` of a translation."""

    label_smoothing: Annotated[float, Field(ge=0, le=1)] = Field(
        description="share of the target's probability spread over all types"
    )
    longest: Annotated[int, Field(ge=1)] = Field(description="tokens of a translation at most")


class LanguageModelLearner(SupervisedLearner):
    """LSTM language model by truncated backpropagation through time.

    An epoch rolls the text by a random offset and cuts it into `batch` columns; a step reads the next `bptt` tokens of
    every column and carries the hidden state on. The state starts from zeros at the first step of an epoch, and at
    `span.first`: a run that starts at step k has no earlier text to have read.
    """

    components = replace(
        SupervisedLearner.components, data=TextDataset, model=LanguageModel, settings=LanguageModelSettings
    )
    model: LSTMLanguageModel

    @classmethod
    def parameter_shapes(cls, spec: TaskSpec) -> dict[str, tuple[int, ...]]:
        """The network's parameters, without its text and its weights, as if there were special types alone."""
        return _shapes(LanguageModel.of(spec.model))

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        self._text = corpus(spec.data)
        settings = LanguageModelSettings.read(spec.training.settings, "training.settings")
        self._length, self._evaluation_columns = settings.bptt, settings.evaluation_columns
        super().__init__(spec, streams, span, runtime, lambda: LanguageModel.of(spec.model).build(self._text.size))
        self._columns = spec.training.batch
        self._epoch_steps = data.windows(len(self._text.tokens["train"]), self._columns, self._length)
        if self._epoch_steps < 1:
            raise UsageError(f"batch = {self._columns} columns of bptt = {self._length} exceed the text: lower one")
        self._state: State | None = None
        self._epoch: tuple[int, Tensor] | None = None

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets [bptt, batch] of a step: a function of the data stream and the step alone."""
        epoch, place = divmod(step, self._epoch_steps)
        if self._epoch is None or self._epoch[0] != epoch:
            text = self._text.tokens["train"]
            offset = int(torch.randint(len(text), (), generator=self.generator(epoch)))
            rows = len(text) // self._columns
            columns = text.roll(-offset)[: rows * self._columns].view(self._columns, rows).T.contiguous()
            self._epoch = epoch, columns.to(self.device)
        window = self._epoch[1][place * self._length : (place + 1) * self._length + 1]
        return window[:-1], window[1:]

    def loss(self, step: int) -> Tensor:
        """Mean negative log-likelihood of the step's tokens, in nats."""
        inputs, targets = self.batch(step)
        if step % self._epoch_steps == 0:
            self._state = None
        scores, (hidden, cell) = self.model(inputs, self._state)
        self._state = hidden.detach(), cell.detach()
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Mean negative log-likelihood of all of a split's tokens (nats per token), and its exponential.

        The split is read in `evaluation_columns` columns side by side, each from a hidden state of zeros.
        """
        tokens = self._text.tokens[split]
        columns = self._evaluation_columns
        rows = math.ceil(len(tokens) / columns)
        inputs, targets = torch.full((columns * rows,), data.EOS), torch.full((columns * rows,), IGNORED)
        inputs[1 : len(tokens)], targets[: len(tokens)] = tokens[:-1], tokens
        inputs, targets = inputs.view(columns, rows).T.to(self.device), targets.view(columns, rows).T.to(self.device)
        total, state = torch.zeros((), dtype=torch.float64), None
        with evaluating(self.model), torch.no_grad():
            for first in range(0, rows, self._length):
                part = slice(first, first + self._length)
                scores, state = self.model(inputs[part], state)
                total += F.cross_entropy(
                    scores.flatten(0, 1), targets[part].flatten(), reduction="sum", ignore_index=IGNORED
                ).item()
        mean = float(total) / len(tokens)
        return {"log_perplexity": mean, "perplexity": math.exp(min(mean, 700.0))}

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """`n` windows of text, by a data stream that no epoch uses; the hidden state starts from zeros."""
        text, generator = self._text.tokens["train"], self.generator(-1)

        def probe() -> BatchProbe:
            starts = torch.randint(len(text) - self._length, (self._columns,), generator=generator)
            window = text[starts + torch.arange(self._length + 1)[:, None]].to(self.device)

            def scores() -> Tensor:
                with native_lstm():
                    found: Tensor = self.model(window[:-1])[0]
                return found

            return BatchProbe(self.model, lambda: F.cross_entropy(scores().flatten(0, 1), window[1:].flatten()), scores)

        return [probe() for _ in range(n)]

    def snapshot(self) -> Snapshot:
        """Model, optimizer, trace, step and the carried hidden state."""
        taken = super().snapshot()
        if self._state is not None:
            taken.tensors["state.hidden"], taken.tensors["state.cell"] = (part.clone() for part in self._state)
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed learner."""
        super().restore(snapshot)
        held = snapshot.tensors
        self._state = None
        if "state.hidden" in held:
            self._state = held["state.hidden"].to(self.device, copy=True), held["state.cell"].to(self.device, copy=True)


class TranslationLearner(SupervisedLearner):
    """Transformer trained on sentence pairs with teacher forcing; an epoch is a new order of the pairs.

    Pairs that do not fill the last batch of an epoch are left out of it.
    """

    components = replace(SupervisedLearner.components, data=PairDataset, model=Translator, settings=TranslationSettings)
    model: Transformer

    @classmethod
    def parameter_shapes(cls, spec: TaskSpec) -> dict[str, tuple[int, ...]]:
        """The network's parameters, without its pairs and its weights, as if there were special types alone."""
        return _shapes(Translator.of(spec.model))

    @classmethod
    def check_spec(cls, spec: TaskSpec) -> None:
        """Raise UsageError for a batch larger than the training set."""
        check_batch(spec.training.batch, PairDataset.of_data(spec.data.name, spec.data.settings).train)

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        self._pairs, self._notes = pairs(spec.data), signatures()
        settings = TranslationSettings.read(spec.training.settings, "training.settings")
        self._smoothing, self._longest = settings.label_smoothing, settings.longest
        super().__init__(spec, streams, span, runtime, lambda: Translator.of(spec.model).build(self._pairs.size))
        self._order = Order(len(self._pairs.numbers["train"]), spec.training.batch, self.generator)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Source and target [batch, length] of a step: a function of the data stream and the step alone."""
        return self._rows(self._order.rows(step))

    def _rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        both = self._pairs.source["train"][rows], self._pairs.target["train"][rows]
        source, target = (ids[:, : int((ids != data.PAD).sum(1).max())].to(self.device) for ids in both)
        return source, target

    def _loss(self, source: Tensor, target: Tensor) -> Tensor:
        scores = self.model(source, target)
        return F.cross_entropy(
            scores.flatten(0, 1), target.flatten(), ignore_index=data.PAD, label_smoothing=self._smoothing
        )

    def loss(self, step: int) -> Tensor:
        """Mean cross-entropy of the step's target tokens, in nats, labels smoothed."""
        return self._loss(*self.batch(step))

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Exact match (fraction), corpus BLEU over characters and chrF (0 to 100) of greedy translations.

        A number word is one word, so word BLEU would be exact match over again: `notes` say how it is cut.
        """
        hypotheses = self.translate(split)
        references = self._pairs.references[split]
        right = sum(h == r for h, r in zip(hypotheses, references, strict=True))
        return {"exact_match": right / len(references), **text_scores(hypotheses, references)}

    def notes(self) -> Mapping[str, str]:
        """sacrebleu's signatures."""
        return self._notes

    def translate(self, split: Split) -> list[str]:
        """Greedy translations of a split's sources, at most `longest` tokens each."""
        source = self._pairs.source[split]
        with evaluating(self.model):
            ids = self.model.greedy(source.to(self.device), self._longest)
        return [self._pairs.text(row) for row in ids.tolist()]

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """`n` batches of pairs, by a data stream that no epoch uses."""
        generator = self.generator(-1)

        def probe() -> BatchProbe:
            everything = torch.randperm(len(self._pairs.numbers["train"]), generator=generator)
            source, target = self._rows(everything[: self._spec.training.batch])
            return BatchProbe(self.model, lambda: self._loss(source, target), lambda: self.model(source, target))

        return [probe() for _ in range(n)]


def _shapes(model: LanguageModel | Translator) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(each.shape) for name, each in model.build(len(data.SPECIAL)).named_parameters()}
