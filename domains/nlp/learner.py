"""One training run of a language task: an LSTM language model, or a Transformer that translates."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Final, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from domains.nlp import data
from domains.nlp.averaging import CheckpointAverage
from domains.nlp.batches import TokenBatches
from domains.nlp.beam import Beam
from domains.nlp.datasets import PairDataset, TextDataset, corpus, pairs
from domains.nlp.loss import smoothed_cross_entropy
from domains.nlp.models import LanguageModel, Translator
from domains.nlp.models.lstm import LSTMLanguageModel, State, native_lstm
from domains.nlp.models.transformer import Transformer
from domains.nlp.scores import Tokens, signatures, text_scores
from suite.experiment.errors import Diverged, UsageError
from suite.experiment.learner import Peer, Snapshot, Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.supervised import BatchProbe, BatchSettings, Order, SupervisedLearner, check_batch, evaluating
from suite.experiment.task import TaskSpec

IGNORED: Final = -100
"""Target of a place behind the end of the text: no token, no loss."""

SENTENCES_AT_ONCE: Final = 128
"""Sentences of like length that are translated together."""


class LanguageModelSettings(BatchSettings):
    """`training.settings` of a language model."""

    bptt: Annotated[int, Field(ge=1)] = Field(description="tokens of every column in a step, and of its gradient's way")
    evaluation_columns: Annotated[int, Field(ge=1)] = Field(description="columns in which a split is read side by side")


class TranslationSettings(BatchSettings):
    """`training.settings` of a translation."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of the target's probability spread evenly over all other types, as fairseq spreads it"
    )
    longest: Annotated[int, Field(ge=1)] = Field(description="tokens of a translation at most")
    max_tokens: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="tokens of a batch on its longer side, padding counted, for at most `batch` pairs of like length; "
        "0: `batch` pairs of any length",
    )
    accumulate: Annotated[int, Field(ge=1)] = Field(
        default=1, description="batches whose gradients make a step; needs max_tokens"
    )
    average: Annotated[int, Field(ge=1)] = Field(
        default=1, description="checkpoints whose mean is the result of the run; 1: its last weights"
    )
    average_every: Annotated[int, Field(ge=1)] = Field(default=1, description="steps between two of them")
    beam: Annotated[int, Field(ge=0)] = Field(
        default=0, description="hypotheses of a sentence in beam search; 0: the likeliest token at each place"
    )
    length_penalty: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="power of the length by which a hypothesis's log probability is divided"
    )
    bleu: Tokens = Field(default="char", description="what BLEU counts: characters, or sacrebleu's 13a")

    @model_validator(mode="after")
    def _parts_are_cut_by_tokens(self) -> Self:
        if self.accumulate > 1 and not self.max_tokens:
            raise ValueError(f"accumulate = {self.accumulate} without max_tokens: give it, or a larger training.batch")
        return self


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
        self._runtime, self._text = runtime, corpus(spec.data, runtime.data)
        settings = LanguageModelSettings.read(spec.training.settings, "training.settings")
        self._length, self._evaluation_columns = settings.bptt, settings.evaluation_columns
        super().__init__(spec, streams, span, runtime, self.network)
        self._columns = spec.training.batch
        self._epoch_steps = data.windows(len(self._text.tokens["train"]), self._columns, self._length)
        if self._epoch_steps < 1:
            raise UsageError(f"batch = {self._columns} columns of bptt = {self._length} exceed the text: lower one")
        self._state: State | None = None
        self._epoch: tuple[int, Tensor] | None = None

    def network(self) -> nn.Module:
        """The task's network with its first weights."""
        return LanguageModel.of(self._spec.model).build(self._text.size)

    def scores(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Scores [time, batch, types] of what follows inputs [time, batch], and the hidden state after them."""
        scores, state = self.model(inputs, state)
        return scores, state

    def mean_loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean negative log-likelihood of targets [time, batch], in nats."""
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())

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
        scores, (hidden, cell) = self.scores(inputs, self._state)
        self._state = hidden.detach(), cell.detach()
        return self.mean_loss(scores, targets)

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
                scores, state = self.scores(inputs[part], state)
                total += F.cross_entropy(
                    scores.flatten(0, 1), targets[part].flatten(), reduction="sum", ignore_index=IGNORED
                ).item()
        mean = float(total) / len(tokens)
        return {"log_perplexity": mean, "perplexity": math.exp(min(mean, 700.0))}

    def notes(self) -> Mapping[str, str]:
        """How the text was read."""
        return self._text.notes

    def tokens(self, first: int, last: int) -> int:
        """Tokens that are predicted in steps `first` to `last` - 1."""
        return (last - first) * self._columns * self._length

    def peers(self) -> Sequence[Peer]:
        """The same network in a plain loop, and fairseq's where fairseq is installed."""
        from domains.nlp.peers import Fairseq, PlainLoop

        peers: list[Peer] = [PlainLoop(self.model, self._text.tokens["train"], self._spec.training)]
        with suppress(ModuleNotFoundError):
            peers.append(Fairseq(self, self._spec, self._streams, self._span, self._runtime))
        return peers

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """`n` windows of text, by a data stream that no epoch uses; the hidden state starts from zeros."""
        text, generator = self._text.tokens["train"], self.generator(-1)

        def probe() -> BatchProbe:
            starts = torch.randint(len(text) - self._length, (self._columns,), generator=generator)
            window = text[starts + torch.arange(self._length + 1)[:, None]].to(self.device)

            def scores() -> Tensor:
                with native_lstm():
                    return self.scores(window[:-1], None)[0]

            return BatchProbe(self.model, lambda: self.mean_loss(scores(), window[1:]), scores)

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

    Of batches of equally many pairs, those that do not fill the last one of an epoch are left out of it.
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
        if not TranslationSettings.read(spec.training.settings, "training.settings").max_tokens:
            check_batch(spec.training.batch, PairDataset.of_data(spec.data.name, spec.data.settings).examples)

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        self._runtime, self._pairs = runtime, pairs(spec.data, runtime.data)
        self._settings = TranslationSettings.read(spec.training.settings, "training.settings")
        super().__init__(spec, streams, span, runtime, self.network)
        self._smoothing = self._settings.label_smoothing * self._pairs.size / (self._pairs.size - 1)
        self._average = CheckpointAverage(self.model, self._settings.average, self._settings.average_every, span)
        self._rows_of = self._batches()

    def network(self) -> nn.Module:
        """The task's network with its first weights."""
        return Translator.of(self._spec.model).build(self._pairs.size)

    def scores(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores [pairs, length, types] of each target token, those before it given."""
        scores: Tensor = self.model(source, target)
        return scores

    def _batches(self) -> Callable[[int], list[Tensor]]:
        """The function that gives the row numbers of each batch of a step."""
        source, target, most = self._pairs.source["train"], self._pairs.target["train"], self._spec.training.batch
        if self._settings.max_tokens:
            by_tokens = TokenBatches(
                source.lengths, target.lengths, self._settings.max_tokens, most, self._settings.accumulate,
                self.generator,
            )  # fmt: skip
            return by_tokens.rows
        order = Order(len(source), most, self.generator)
        return lambda step: [order.rows(step)]

    def batches(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """Source and target [pairs, length] of each batch of a step: by the data stream and the step alone."""
        return [self._padded(rows) for rows in self._rows_of(step)]

    def _padded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        both = self._pairs.source["train"], self._pairs.target["train"]
        source, target = (side.padded(rows).to(self.device) for side in both)
        return source, target

    def mean_loss(self, source: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of a batch's target tokens, in nats, labels smoothed."""
        scores, places = self.scores(source, target).flatten(0, 1), target.flatten()
        if not self._smoothing:
            return F.cross_entropy(scores, places, ignore_index=data.PAD)
        # Spread over all types, the target among them: `_smoothing` is larger than the task's by as much.
        return smoothed_cross_entropy(scores, places, self._smoothing, data.PAD)

    def loss(self, step: int) -> Tensor:
        """Mean cross-entropy of the step's target tokens, in nats, labels smoothed.

        Of several batches all but the last have their gradients taken here, so that one of them is in memory at a time.
        """
        batches = self.batches(step)
        if len(batches) == 1:
            return self.mean_loss(*batches[0])
        counts = [int((target != data.PAD).sum()) for _, target in batches]
        done = torch.zeros((), device=self.device)
        for (source, target), count in zip(batches, counts, strict=True):
            part = self.mean_loss(source, target) * (count / sum(counts))
            if target is not batches[-1][1]:
                part.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                done += part.detach()
        return part + done

    def stepped(self) -> None:
        """Add the weights to the mean of checkpoints, and take it for the weights after the last step."""
        self._average.after(self.step)

    def snapshot(self) -> Snapshot:
        """Model, optimizer, trace, step and the sums of checkpoints."""
        taken = super().snapshot()
        taken.tensors.update(self._average.tensors())
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed learner."""
        super().restore(snapshot)
        self._average.restore(snapshot.tensors)

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Exact match (fraction), corpus BLEU and chrF (0 to 100) of translations; `notes` say how BLEU counts.

        No numbers where the network's scores are not finite.
        """
        try:
            hypotheses = self.translate(split)
        except Diverged:
            return dict.fromkeys(("exact_match", "bleu", "chrf"), math.nan)
        references = self._pairs.references.get(split) or [self._pairs.text(ids) for ids in self._pairs.target[split]]
        right = sum(h == r for h, r in zip(hypotheses, references, strict=True))
        return {
            "exact_match": right / len(references),
            **text_scores(hypotheses, references, self._settings.bleu),
        }

    def notes(self) -> Mapping[str, str]:
        """sacrebleu's signatures, and how the pairs were read."""
        return {**signatures(self._settings.bleu), **self._pairs.notes}

    def tokens(self, first: int, last: int) -> int:
        """Target tokens, `EOS` counted, of steps `first` to `last` - 1."""
        lengths = self._pairs.target["train"].lengths
        return sum(int(lengths[rows].sum()) for step in range(first, last) for rows in self._rows_of(step))

    def peers(self) -> Sequence[Peer]:
        """fairseq's Transformer."""
        from domains.nlp.peers import Fairseq

        return [Fairseq(self, self._spec, self._streams, self._span, self._runtime)]

    def translate(self, split: Split) -> list[str]:
        """Translations of a split's sources, at most `longest` tokens each, greedy ones or by beam search."""
        sources = self._pairs.source[split]
        with evaluating(self.model):
            if self._settings.beam:
                found = self._searched(sources)
            else:
                found = self.model.greedy(sources.padded().to(self.device), self._settings.longest).tolist()
        return [self._pairs.text(ids) for ids in found]

    def search(self, source: Tensor) -> list[list[int]]:
        """The best translation of each source [sentences, length] by beam search, without its `EOS`."""
        beam = Beam(self._settings.beam, self._settings.length_penalty, self._settings.longest)
        return beam.search(self.model, source)

    def _searched(self, sources: data.Sentences) -> list[list[int]]:
        """Translations by beam search, of sentences of like length at a time."""
        found: list[list[int]] = [[] for _ in range(len(sources))]
        for rows in torch.split(sources.lengths.argsort(stable=True), SENTENCES_AT_ONCE):
            translations = self.search(sources.padded(rows).to(self.device))
            for row, ids in zip(rows.tolist(), translations, strict=True):
                found[row] = ids
        return found

    def probes(self, n: int) -> Sequence[BatchProbe]:
        """`n` batches of pairs, by a data stream that no epoch uses."""
        generator, count = self.generator(-1), len(self._pairs.source["train"])

        def probe(number: int) -> BatchProbe:
            if self._settings.max_tokens:
                rows = self._rows_of(-1 - number)[0]  # of the epochs before the first
            else:
                rows = torch.randperm(count, generator=generator)[: self._spec.training.batch]
            source, target = self._padded(rows)
            return BatchProbe(self.model, lambda: self.mean_loss(source, target), lambda: self.scores(source, target))

        return [probe(number) for number in range(n)]


def _shapes(model: LanguageModel | Translator) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(each.shape) for name, each in model.build(len(data.SPECIAL)).named_parameters()}
