"""LSTM language model: embedding, stacked LSTM, softmax layer (after Zaremba et al. 2014, arXiv 1409.2329)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from domains.nlp.models import LanguageModel

State = tuple[Tensor, Tensor]
Size = Annotated[int, Field(ge=1)]


class Lstm(LanguageModel):
    """The settings of `LSTMLanguageModel`."""

    name: ClassVar[str] = "lstm"

    embedding: Size = Field(description="width of the embedding")
    hidden: Size = Field(description="units of each layer")
    layers: Size = Field(description="stacked layers")
    dropout: Annotated[float, Field(ge=0, le=1)] = Field(
        description="probability between layers; on the embedding and before the softmax layer too, unless set apart"
    )
    tied: bool = Field(description="the embedding is the softmax layer's weight (Press and Wolf 2017)")
    init: Annotated[float, Field(ge=0)] = Field(description="first weights are uniform in ± this")
    dropout_outside: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="probability on the embedding and before the softmax layer; unset: `dropout`"
    )

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        if self.tied and self.embedding != self.hidden:
            raise ValueError(f"tied = true with embedding = {self.embedding}, hidden = {self.hidden}: make them equal")
        return self

    def build(self, types: int) -> "LSTMLanguageModel":
        """The network with its first weights."""
        sizes = self.embedding, self.hidden, self.layers
        return LSTMLanguageModel(types, *sizes, self.dropout, self.tied, self.init, self.dropout_outside)


class LSTMLanguageModel(nn.Module):
    """Scores the next token at every position.

    `tied` uses the embedding as softmax weight (Press and Wolf 2017); there is one tensor then, under the embedding's
    name, so a mask meets it once. Dropout is between layers, and as `dropout_outside` on the embedding and before the
    softmax layer (None: the same).
    """

    def __init__(
        self, types: int, embedding: int, hidden: int, layers: int, dropout: float, tied: bool, init: float,
        dropout_outside: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = nn.Embedding(types, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout if dropout_outside is None else dropout_outside)
        self.decoder = None if tied else nn.Linear(hidden, types)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init, init)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Tokens [time, batch] -> scores [time, batch, types] and the hidden state to carry on (zeros if None)."""
        outputs, state = self.lstm(self.dropout(self.embedding(tokens)), state)
        outputs = self.dropout(outputs)
        return F.linear(outputs, self.embedding.weight) if self.decoder is None else self.decoder(outputs), state


@contextmanager
def native_lstm() -> Iterator[None]:
    """Context in which nn.LSTM is built of plain operations, which can be differentiated twice (oneDNN's cannot)."""
    before = torch.backends.mkldnn.set_flags(_enabled=False)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=before[0])  # type: ignore[no-untyped-call]
