"""What language learners read: running text, or sentence pairs, as token ids."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import takewhile
from typing import Final, Protocol, Self

import torch
from torch import Tensor

from suite.experiment.learner import Split

PAD: Final = 0
EOS: Final = 1
UNKNOWN: Final = 2
SPECIAL: Final = ["<pad>", "<eos>", "<unk>"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


@dataclass(frozen=True)
class Corpus:
    """Running text: token ids of each split (int64, one dimension), every line closed by `EOS`; `size` types.

    `notes` are what a result says of how the text was read.
    """

    tokens: dict[Split, Tensor]
    size: int
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the splits' token ids."""
        return fingerprint((split, self.tokens[split]) for split in SPLITS)


@dataclass(frozen=True)
class Sentences:
    """Token ids of sentences end to end (int32), each closed by `EOS`; sentence i begins at `starts[i]` (int64)."""

    ids: Tensor
    starts: Tensor

    def __iter__(self) -> Iterator[list[int]]:
        return (row.tolist() for row in self.ids.tensor_split(self.starts[1:-1]))

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Self:
        """The sentences of lists of ids, which have no `EOS` yet."""
        ids: list[int] = []
        starts = [0]
        for row in rows:
            ids += row
            ids.append(EOS)
            starts.append(len(ids))
        return cls(torch.tensor(ids, dtype=torch.int32), torch.tensor(starts))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Tensor:
        """Tokens of each sentence, its `EOS` counted."""
        return self.starts.diff()

    def padded(self, rows: Tensor | None = None) -> Tensor:
        """Sentences of some row numbers, or all: int64 [sentences, the longest's tokens], `PAD` behind each `EOS`."""
        rows = torch.arange(len(self)) if rows is None else rows
        starts = self.starts[rows][:, None]
        lengths = self.starts[rows + 1][:, None] - starts
        places = torch.arange(int(lengths.max()))
        ids = self.ids[(starts + places).clamp_(max=len(self.ids) - 1)].long()
        return ids.masked_fill_(places >= lengths, PAD)


class Pieces(Protocol):
    """What token ids stand for; a tokenizer of `tokenizers` is one."""

    def id_to_token(self, id: int) -> str | None:
        """The piece of an id, `▁` for the space between words; None for an id that has none."""


@dataclass(frozen=True)
class Pairs:
    """Sentence pairs of each split, the translations to compare with, and the pieces they are cut in; `size` types.

    `notes` are what a result says of how the pairs were read.
    """

    source: dict[Split, Sentences]
    target: dict[Split, Sentences]
    references: dict[Split, tuple[str, ...]]
    tokenizer: Pieces
    size: int
    fingerprint: str
    notes: Mapping[str, str] = field(default_factory=dict)

    def text(self, ids: Iterable[int]) -> str:
        """The words of token ids, up to the first `EOS`."""
        return joined(self.tokenizer, ids)


def joined(pieces: Pieces, ids: Iterable[int]) -> str:
    """The words that pieces make, up to the first `EOS`."""
    found = [str(pieces.id_to_token(token)) for token in takewhile(lambda token: token != EOS, ids)]
    return "".join(found).replace("▁", " ").strip()


def windows(tokens: int, columns: int, length: int) -> int:
    """How often `length` tokens and their successors can be read from every one of `columns` columns of a text."""
    return (tokens // columns - 1) // length


def fingerprint(parts: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of named lists of whole numbers."""
    digest = sha256()
    for name, ids in parts:
        digest.update(f"{name}/{len(ids)}/".encode() + ids.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
