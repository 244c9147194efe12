"""LSTM language model: embedding, stacked LSTM, softmax layer (after Zaremba et al. 2014, arXiv 1409.2329)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from suite.experiment.errors import UsageError
from suite.experiment.settings import Reader
from suite.experiment.task import Settings

State = tuple[Tensor, Tensor]


class LSTMLanguageModel(nn.Module):
    """Scores the next token at every position.

    `tied` uses the embedding as softmax weight (Press and Wolf 2017); there is one tensor then, under the embedding's
    name, so a mask meets it once. Dropout is on the embedding, between layers and before the softmax layer.
    """

    def __init__(
        self, types: int, embedding: int, hidden: int, layers: int, dropout: float, tied: bool, init: float
    ) -> None:
        super().__init__()
        if tied and embedding != hidden:
            raise UsageError(f"tied = true with embedding = {embedding}, hidden = {hidden}: make them equal")
        self.embedding = nn.Embedding(types, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.decoder = None if tied else nn.Linear(hidden, types)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init, init)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Tokens [time, batch] -> scores [time, batch, types] and the hidden state to carry on (zeros if None)."""
        outputs, state = self.lstm(self.dropout(self.embedding(tokens)), state)
        outputs = self.dropout(outputs)
        return F.linear(outputs, self.embedding.weight) if self.decoder is None else self.decoder(outputs), state


def build_lstm(settings: Settings, types: int) -> LSTMLanguageModel:
    """The model of a task's `[model]` table; weights are drawn from torch's default generator."""
    read = Reader("model", settings)
    embedding, hidden, layers = (read.whole(key) for key in ("embedding", "hidden", "layers"))
    dropout, init = read.number("dropout", least=0, most=1), read.number("init", least=0)
    tied = read.flag("tied")
    read.close()
    return LSTMLanguageModel(types, embedding, hidden, layers, dropout, tied, init)


@contextmanager
def native_lstm() -> Iterator[None]:
    """Context in which nn.LSTM is built of plain operations, which can be differentiated twice (oneDNN's cannot)."""
    before = torch.backends.mkldnn.set_flags(_enabled=False)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=before[0])  # type: ignore[no-untyped-call]
