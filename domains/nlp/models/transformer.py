"""Encoder-decoder Transformer (Vaswani et al. 2017) in plain torch, with the dimensions, names and start of fairseq.

The start is that of P2's time (fairseq up to 0.9): Xavier, biases of zero, but those of queries, keys and values, which
are torch's. Since 0.10 fairseq leaves fully connected layers to torch's own start.

One tensor per projection, so that a mask meets q, k and v apart; where `shared` is true, one embedding serves source,
target and softmax (P2, after Ott et al. 2018). Attention is written out: it is fast at short lengths and can be
differentiated twice.
"""

import math
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from domains.nlp.data import EOS, PAD
from domains.nlp.models import Translator
from suite.experiment.errors import Diverged

KeyValue = tuple[Tensor, Tensor]
Memory = tuple[list[KeyValue], Tensor]
"""Keys and values that each decoder layer reads of the source, and the source's padding mask."""
Size = Annotated[int, Field(ge=1)]


class EncoderDecoder(Translator):
    """The settings of `Transformer`."""

    name: ClassVar[str] = "transformer"

    width: Size = Field(description="width of the states, even, a multiple of `heads`")
    heads: Size = Field(description="attention heads of each layer")
    inner: Size = Field(description="units of the fully connected sublayers")
    encoder_layers: Size = Field(description="layers of the encoder")
    decoder_layers: Size = Field(description="layers of the decoder")
    dropout: Annotated[float, Field(ge=0, le=1)] = Field(description="probability, on embeddings and sublayers")
    attention_dropout: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="probability, on the weights of attention"
    )
    normalize_before: bool = Field(description="normalise before each sublayer (Xiong et al. 2020), else after it")
    shared: bool = Field(description="source, target and softmax layer share one embedding")
    first_place: Annotated[int, Field(ge=0)] = Field(
        default=0, description="place of a sentence's first token; fairseq counts from the padding's id + 1"
    )

    @model_validator(mode="after")
    def _width_of_heads(self) -> Self:
        check_heads(self.width, self.heads)
        return self

    def build(self, types: int) -> "Transformer":
        """The network with its first weights."""
        layers = self.encoder_layers, self.decoder_layers
        sizes = self.width, self.heads, self.inner
        return Transformer(
            types, *sizes, *layers, self.dropout, self.normalize_before, self.shared, self.first_place,
            self.attention_dropout,
        )  # fmt: skip


def check_heads(width: int, heads: int) -> None:
    """Raise ValueError for a width that heads cannot share, or that sinusoids cannot fill."""
    if width % heads or width % 2 or width < 4:
        raise ValueError(f"width = {width}: a multiple of heads = {heads} that is even and 4 or more is needed")


class Attention(nn.Module):
    """Multi-head attention: states [batch, length, width]; keys, values [batch, heads, length, width / heads]."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.out_proj = nn.Linear(width, width)
        for layer in (self.q_proj, self.k_proj, self.v_proj):
            nn.init.xavier_uniform_(layer.weight, gain=1 / math.sqrt(2))  # as if the three were one matrix
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, states: Tensor) -> KeyValue:
        """Keys and values of states."""
        return self._split(self.k_proj(states)), self._split(self.v_proj(states))

    def forward(self, queries: Tensor, memory: KeyValue, hidden: Tensor | None) -> Tensor:
        """Attend to a memory; `hidden` (bool, broadcast to [batch, heads, queries, keys]) marks what is not seen."""
        keys, values = memory
        q = self._split(self.q_proj(queries)) / math.sqrt(keys.shape[-1])
        scores = q @ keys.transpose(-1, -2)
        if hidden is not None:
            scores = scores.masked_fill(hidden, -torch.inf)
        weights = F.dropout(scores.softmax(-1), self.dropout, self.training)
        mixed: Tensor = self.out_proj((weights @ values).transpose(1, 2).flatten(2))
        return mixed

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, x.shape[-1] // self.heads).transpose(1, 2)


class Feedforward(nn.Module):
    """fc1, ReLU, fc2 live directly in a layer, under fairseq's names; this class holds what both layer kinds share."""

    def __init__(self, width: int, inner: int, dropout: float, normalize_before: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.before = normalize_before

    def entry(self, x: Tensor, norm: nn.LayerNorm) -> Tensor:
        """What a sublayer reads."""
        return norm(x) if self.before else x

    def leave(self, x: Tensor, change: Tensor, norm: nn.LayerNorm) -> Tensor:
        """What a sublayer hands on: residual plus its change."""
        x = x + self.dropout(change)
        return x if self.before else norm(x)

    def feed(self, x: Tensor) -> Tensor:
        """The feed-forward sublayer."""
        change = self.fc2(F.relu(self.fc1(self.entry(x, self.final_layer_norm))))
        return self.leave(x, change, self.final_layer_norm)


class EncoderLayer(Feedforward):
    """Self-attention, feed-forward."""

    def __init__(
        self, width: int, heads: int, inner: int, dropout: float, normalize_before: bool, attention_dropout: float
    ) -> None:  # fmt: skip
        super().__init__(width, inner, dropout, normalize_before)
        self.self_attn, self.self_attn_layer_norm = Attention(width, heads, attention_dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """States and padding mask -> states."""
        y = self.entry(x, self.self_attn_layer_norm)
        return self.feed(
            self.leave(x, self.self_attn(y, self.self_attn.project(y), padding), self.self_attn_layer_norm)
        )


class DecoderLayer(Feedforward):
    """Causal self-attention, attention to the encoder, feed-forward."""

    def __init__(
        self, width: int, heads: int, inner: int, dropout: float, normalize_before: bool, attention_dropout: float
    ) -> None:  # fmt: skip
        super().__init__(width, inner, dropout, normalize_before)
        self.self_attn, self.self_attn_layer_norm = Attention(width, heads, attention_dropout), nn.LayerNorm(width)
        self.encoder_attn, self.encoder_attn_layer_norm = (
            Attention(width, heads, attention_dropout),
            nn.LayerNorm(width),
        )

    def forward(self, x: Tensor, future: Tensor, memory: KeyValue, padding: Tensor) -> Tensor:
        """States of a whole target [batch, length, width] -> states; `future` marks what a place does not see."""
        y = self.entry(x, self.self_attn_layer_norm)
        x = self.leave(x, self.self_attn(y, self.self_attn.project(y), future), self.self_attn_layer_norm)
        return self._read(x, memory, padding)

    def grow(self, x: Tensor, past: KeyValue | None, memory: KeyValue, padding: Tensor) -> tuple[Tensor, KeyValue]:
        """States of one place in each of a sentence's hypotheses [batch, beams, width] -> states, and what is known.

        Keys and values of the places before (`past`) and of this one are those of [batch x beams] rows. To the encoder
        the hypotheses are queries side by side, so that what they read of the source is held once.
        """
        y = self.entry(x, self.self_attn_layer_norm)
        rows = y.flatten(0, 1)[:, None]
        known = self.self_attn.project(rows)
        if past is not None:
            known = torch.cat([past[0], known[0]], 2), torch.cat([past[1], known[1]], 2)
        x = self.leave(x, self.self_attn(rows, known, None).view_as(x), self.self_attn_layer_norm)
        return self._read(x, memory, padding), known

    def _read(self, x: Tensor, memory: KeyValue, padding: Tensor) -> Tensor:
        y = self.entry(x, self.encoder_attn_layer_norm)
        x = self.leave(x, self.encoder_attn(y, memory, padding), self.encoder_attn_layer_norm)
        return self.feed(x)


class Stack(nn.Module):
    """Embedding with sinusoidal positions and layers: the encoder, or the decoder (that may share its embedding)."""

    def __init__(
        self, embed_tokens: nn.Embedding | None, layers: list[nn.Module], width: int, dropout: float, norm: bool,
        first_place: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self._first_place = first_place
        self.embed_tokens, self.layers, self.dropout = embed_tokens, nn.ModuleList(layers), nn.Dropout(dropout)
        self.layer_norm = nn.LayerNorm(width) if norm else nn.Identity()

    def embed(self, tokens: Tensor, weight: Tensor, first: int = 0) -> Tensor:
        """Embedded tokens [batch, length] whose first is the sentence's token number `first`, counted from 0."""
        first += self._first_place
        places = positions(first, first + tokens.shape[1], weight.shape[1]).to(weight)
        embedded: Tensor = self.dropout(F.embedding(tokens, weight, PAD) * math.sqrt(weight.shape[1]) + places)
        return embedded


class Transformer(nn.Module):
    """Scores target tokens given source tokens; every sequence ends with `EOS` and is padded with `PAD`."""

    def __init__(
        self, types: int, width: int, heads: int, inner: int, encoder_layers: int, decoder_layers: int, dropout: float,
        normalize_before: bool, shared: bool, first_place: int = 0, attention_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = (width, heads, inner, dropout, normalize_before, attention_dropout)
        encoder: list[nn.Module] = [EncoderLayer(*shape) for _ in range(encoder_layers)]
        decoder: list[nn.Module] = [DecoderLayer(*shape) for _ in range(decoder_layers)]
        # A shared embedding is registered once, with the encoder: a mask and a state dict meet it under one name.
        rest = (width, dropout, normalize_before, first_place)
        self.encoder = Stack(_embedding(types, width), encoder, *rest)
        self.decoder = Stack(None if shared else _embedding(types, width), decoder, *rest)
        self.output_projection = None if shared else nn.Linear(width, types, bias=False)
        if self.output_projection is not None:
            nn.init.normal_(self.output_projection.weight, std=width**-0.5)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Teacher forcing: source [batch, length] and target [batch, length'] -> scores [batch, length', types]."""
        memory, padding = self.encode(source)
        shifted = torch.cat([torch.full_like(target[:, :1], EOS), target[:, :-1]], 1)
        length = target.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=target.device).triu(1)
        x = self.decoder.embed(shifted, self._target_table())
        for layer, keys in zip(self.decoder.layers, memory, strict=True):
            x = layer(x, future, keys, padding)
        return self._scores(x)

    def encode(self, source: Tensor) -> Memory:
        """What the decoder reads of a source [batch, length]."""
        padding = (source == PAD)[:, None, None, :]
        x = self.encoder.embed(source, self._source_table())
        for layer in self.encoder.layers:
            x = layer(x, padding)
        x = self.encoder.layer_norm(x)
        readers = [layer.encoder_attn for layer in self.decoder.layers if isinstance(layer, DecoderLayer)]
        return [attention.project(x) for attention in readers], padding

    @torch.no_grad()
    def greedy(self, source: Tensor, longest: int) -> Tensor:
        """The likeliest token at each place, [batch, at most `longest`]; keys and values of earlier places are kept.

        What follows a sentence's first `EOS` is undefined. Stops when every sentence has ended. Raises Diverged where
        scores are not finite.
        """
        read = self.encode(source)
        past: list[KeyValue | None] = [None] * len(self.decoder.layers)
        found = torch.full((len(source), 1), EOS, device=source.device)
        ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        for place in range(longest):
            scores = self.step(found[:, -1:], place, past, read)
            check_finite(scores.amax(-1))
            token = scores.argmax(-1)
            found = torch.cat([found, token], 1)
            ended |= token[:, 0] == EOS
            if ended.all():
                break
        return found[:, 1:]

    def step(self, tokens: Tensor, place: int, past: list[KeyValue | None], read: Memory) -> Tensor:
        """Scores [batch, beams, types] of a place, given the tokens [batch, beams] of the place before it.

        Each layer's `past` is brought up to date.
        """
        memory, padding = read
        embedded = self.decoder.embed(tokens.flatten()[:, None], self._target_table(), place)
        x = embedded.view(*tokens.shape, -1)
        for i, (layer, keys) in enumerate(zip(self.decoder.layers, memory, strict=True)):
            assert isinstance(layer, DecoderLayer)
            x, past[i] = layer.grow(x, past[i], keys, padding)
        return self._scores(x)

    def _scores(self, x: Tensor) -> Tensor:
        x = self.decoder.layer_norm(x)
        head = self._source_table() if self.output_projection is None else self.output_projection.weight
        return F.linear(x, head)

    def _source_table(self) -> Tensor:
        assert self.encoder.embed_tokens is not None
        return self.encoder.embed_tokens.weight

    def _target_table(self) -> Tensor:
        own = self.decoder.embed_tokens
        return self._source_table() if own is None else own.weight


def check_finite(best: Tensor) -> None:
    """Raise Diverged where a place's best score is not finite: finite weights may be too large for finite scores."""
    if not bool(best.isfinite().all()):
        raise Diverged("the scores of a translation are not finite")


def positions(first: int, last: int, width: int) -> Tensor:
    """Sinusoids of places `first` to `last` - 1, [places, width]: sines, then cosines (fairseq's order), in float32."""
    half = width // 2
    rates = torch.exp(torch.arange(half) * -(math.log(10_000) / (half - 1)))
    angles = torch.arange(first, last)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def _embedding(types: int, width: int) -> nn.Embedding:
    embedding = nn.Embedding(types, width, PAD)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    with torch.no_grad():
        embedding.weight[PAD] = 0
    return embedding
