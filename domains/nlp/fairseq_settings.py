"""What a task may say of fairseq's models and optimizer, in this suite's words; fairseq itself is not imported."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from domains.nlp.models.transformer import EncoderDecoder, check_heads
from suite.experiment.component import Component
from suite.experiment.optimizers import Fraction, NotNegative

Size = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Shapes = dict[str, tuple[int, ...]]


class FairseqModel(Component):
    """An architecture that is registered with fairseq under the component's name."""

    table: ClassVar[str] = "model"

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The settings by the names of fairseq's arguments."""

    @abstractmethod
    def shapes(self, types: int) -> Shapes:
        """The model's parameters for a number of types, a shared one under its first name."""


class FairseqTranslator(FairseqModel):
    """An architecture of fairseq that scores a translation's tokens."""


class TransformerWmtEnDe(FairseqTranslator):
    """Transformer Base (Vaswani et al. 2017), which Ott et al. 2018 and P2 train."""

    name: ClassVar[str] = "transformer_wmt_en_de"

    width: Size = Field(default=512, description="width of the states, even, a multiple of `heads`")
    heads: Size = Field(default=8, description="attention heads of each layer")
    inner: Size = Field(default=2048, description="units of the fully connected sublayers")
    encoder_layers: Size = Field(default=6, description="layers of the encoder")
    decoder_layers: Size = Field(default=6, description="layers of the decoder")
    dropout: Probability = Field(default=0.1, description="probability, on embeddings and sublayers")
    attention_dropout: Probability = Field(default=0.0, description="probability, on the weights of attention")
    normalize_before: bool = Field(default=False, description="normalise before each sublayer, else after it")
    shared: bool = Field(default=False, description="source, target and softmax layer share one embedding")

    @model_validator(mode="after")
    def _width_of_heads(self) -> Self:
        check_heads(self.width, self.heads)
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings by the names of fairseq's arguments."""
        found = {"dropout": self.dropout, "attention_dropout": self.attention_dropout}
        for side, layers in (("encoder", self.encoder_layers), ("decoder", self.decoder_layers)):
            found |= {
                f"{side}_embed_dim": self.width,
                f"{side}_ffn_embed_dim": self.inner,
                f"{side}_attention_heads": self.heads,
                f"{side}_layers": layers,
                f"{side}_normalize_before": self.normalize_before,
            }
        return {**found, "share_all_embeddings": self.shared}

    def shapes(self, types: int) -> Shapes:
        """The parameters of the native Transformer, whose names are fairseq's but for the softmax layer's."""
        own = self.model_dump(exclude={"attention_dropout"})
        native = EncoderDecoder(**own).build(types)
        return {fairseq_name(name): tuple(each.shape) for name, each in native.named_parameters()}


class TransformerWmtEnDeBig(TransformerWmtEnDe):
    """Transformer Big (Vaswani et al. 2017), which Ott et al. 2018 and P2 train."""

    name: ClassVar[str] = "transformer_wmt_en_de_big"

    width: Size = Field(default=1024, description="width of the states, even, a multiple of `heads`")
    heads: Size = Field(default=16, description="attention heads of each layer")
    inner: Size = Field(default=4096, description="units of the fully connected sublayers")
    dropout: Probability = Field(default=0.3, description="probability, on embeddings and sublayers")
    attention_dropout: Probability = Field(default=0.1, description="probability, on the weights of attention")


class FairseqLanguageModel(FairseqModel):
    """An architecture of fairseq that scores the next token."""


class LstmLm(FairseqLanguageModel):
    """fairseq's LSTM language model; its vocabulary has one more type, for padding, which no text here has."""

    name: ClassVar[str] = "lstm_lm"

    embedding: Size = Field(default=512, description="width of the embedding")
    hidden: Size = Field(default=512, description="units of each layer")
    layers: Size = Field(default=1, description="stacked layers")
    dropout: Probability = Field(
        default=0.1, description="probability between layers and, as one number in fairseq, before the softmax layer"
    )
    dropout_outside: Probability | None = Field(
        default=None, description="probability on the embedding; unset: `dropout`"
    )
    tied: bool = Field(default=False, description="the embedding is the softmax layer's weight")
    init: Annotated[float, Field(ge=0.1, le=0.1)] = Field(
        default=0.1, description="first weights are uniform in ± this, which is fixed in fairseq"
    )

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        if self.tied and self.embedding != self.hidden:
            raise ValueError(f"tied = true with embedding = {self.embedding}, hidden = {self.hidden}: make them equal")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings by the names of fairseq's arguments."""
        return {
            "decoder_embed_dim": self.embedding,
            "decoder_hidden_size": self.hidden,
            "decoder_out_embed_dim": self.hidden,
            "decoder_layers": self.layers,
            "decoder_dropout_in": self.dropout if self.dropout_outside is None else self.dropout_outside,
            "decoder_dropout_out": self.dropout,
            "share_decoder_input_output_embed": self.tied,
        }

    def shapes(self, types: int) -> Shapes:
        """The parameters for a text of so many types."""
        rows, gates = types + 1, 4 * self.hidden
        found: Shapes = {"decoder.embed_tokens.weight": (rows, self.embedding)}
        for layer in range(self.layers):
            inputs = self.hidden if layer else self.embedding
            weights = {"weight_ih": (gates, inputs), "weight_hh": (gates, self.hidden)}
            for name, shape in {**weights, "bias_ih": (gates,), "bias_hh": (gates,)}.items():
                found[f"decoder.layers.{layer}.{name}"] = shape
        if not self.tied:
            found |= {"decoder.fc_out.weight": (rows, self.hidden), "decoder.fc_out.bias": (rows,)}
        return found


class FairseqOptimizer(Component):
    """An optimizer that is registered with fairseq under the component's name."""

    table: ClassVar[str] = "training.optimizer"

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The settings by the names of fairseq's arguments."""


class FairseqAdam(FairseqOptimizer):
    """fairseq's Adam; `weight_decay` is taken from the weights themselves, as in AdamW.

    `eps` is added before the bias of the second moment is corrected (Kingma and Ba 2015, the end of section 2), where
    torch adds it afterwards: in early steps a large one counts for less than in the native learners.
    """

    name: ClassVar[str] = "adam"

    lr: NotNegative = Field(default=1e-3, description="base learning rate; the schedule's factor is on it")
    betas: tuple[Fraction, Fraction] = Field(default=(0.9, 0.999), description="decay of the two moments")
    eps: NotNegative = Field(default=1e-8, description="added to the root of the second moment")
    weight_decay: NotNegative = Field(default=0.0, description="factor of the weights' own share in each update")

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings by the names of fairseq's arguments."""
        return {
            "lr": [self.lr], "adam_betas": str(self.betas), "adam_eps": self.eps, "weight_decay": self.weight_decay
        }  # fmt: skip


def fairseq_name(name: str) -> str:
    """What fairseq calls a parameter of the native Transformer or LSTM."""
    if name.startswith("output_projection."):
        return f"decoder.{name}"
    if name.startswith("lstm."):
        kind, _, layer = name.removeprefix("lstm.").rpartition("_l")
        return f"decoder.layers.{layer}.{kind}"
    return LSTM_NAMES.get(name, name)


LSTM_NAMES = {
    "embedding.weight": "decoder.embed_tokens.weight",
    "decoder.weight": "decoder.fc_out.weight",
    "decoder.bias": "decoder.fc_out.bias",
}
