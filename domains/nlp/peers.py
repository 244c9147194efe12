"""Other ways to train and search the same networks on the same batches: what our speed is measured by."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from domains.nlp import fairseq_backend as backend
from domains.nlp.learner import LanguageModelLearner, LanguageModelSettings, TranslationLearner
from domains.nlp.models.lstm import LSTMLanguageModel, State
from suite.experiment.learner import Span, Split
from suite.experiment.optimizers import Optimizer
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec, Training


class Fairseq:
    """The fairseq backend on a native learner's batches, from its weights; its own loop is not part of it."""

    def __init__(
        self, native: LanguageModelLearner | TranslationLearner, spec: TaskSpec, streams: Streams, span: Span,
        runtime: Runtime,
    ) -> None:  # fmt: skip
        language = isinstance(native, LanguageModelLearner)
        backed = backend.FairseqLanguageModelLearner if language else backend.FairseqTranslationLearner
        name = "lstm_lm" if language else "transformer_wmt_en_de"
        kept = {key: value for key, value in spec.model.items() if key not in ("name", "init", "first_place")}
        theirs = spec.model_copy(update={"model": {**kept, "name": name}})
        self.name = f"fairseq: {name}"
        self._native, self._learner = native, backed(theirs, streams, span, runtime)
        backend.take_native(self._learner.model, native.model)

    def advance(self, steps: int) -> None:
        """Take so many updates."""
        self._learner.advance(self._learner.step + steps)

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Scores on a split with the native learner's weights."""
        backend.take_native(self._learner.model, self._native.model)
        return self._learner.evaluate(split)


class PlainLoop:
    """`torch.nn.LSTM` in a loop as one writes it, with torch's optimizer of the task, from a learner's weights."""

    name = "torch.nn.LSTM in a plain loop"

    def __init__(self, own: LSTMLanguageModel, text: Tensor, training: Training) -> None:
        self._embedding = nn.Embedding(own.embedding.num_embeddings, own.embedding.embedding_dim)
        self._embedding.load_state_dict(own.embedding.state_dict())
        sizes = own.lstm.input_size, own.lstm.hidden_size, own.lstm.num_layers
        self._lstm = nn.LSTM(*sizes, dropout=own.lstm.dropout)
        self._lstm.load_state_dict(own.lstm.state_dict())
        self._output: nn.Linear | None = None
        parts: list[nn.Module] = [self._embedding, self._lstm]
        if own.decoder is not None:
            self._output = nn.Linear(own.decoder.in_features, own.decoder.out_features)
            self._output.load_state_dict(own.decoder.state_dict())
            parts.append(self._output)
        self._dropout = own.dropout.p
        self._parameters = [parameter for part in parts for parameter in part.parameters()]
        self._optimizer = Optimizer.of(training.optimizer).build(self._parameters)
        settings = LanguageModelSettings.read(training.settings, "training.settings")
        columns, self._length, self._clip = training.batch, settings.bptt, settings.clip
        rows = len(text) // columns
        self._text = text[: rows * columns].view(columns, rows).T.contiguous()
        self._place, self._state = 0, cast(State | None, None)

    def advance(self, steps: int) -> None:
        """Take so many updates."""
        for _ in range(steps):
            if self._place + self._length >= len(self._text):
                self._place, self._state = 0, None
            window = self._text[self._place : self._place + self._length + 1]
            self._place += self._length
            self._optimizer.zero_grad()
            read = F.dropout(self._embedding(window[:-1]), self._dropout)
            hidden, state = self._lstm(read, self._state)
            self._state = state[0].detach(), state[1].detach()
            hidden = F.dropout(hidden, self._dropout)
            scores = F.linear(hidden, self._embedding.weight) if self._output is None else self._output(hidden)
            loss = F.cross_entropy(scores.flatten(0, 1), window[1:].flatten())
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            if self._clip:
                nn.utils.clip_grad_norm_(self._parameters, self._clip)
            self._optimizer.step()
