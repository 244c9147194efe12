"""What language learners read: running text, or sentence pairs, cut into byte-pair pieces."""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from suite.experiment.learner import Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD: Final = 0
EOS: Final = 1
UNKNOWN: Final = 2
SPECIAL: Final = ["<pad>", "<eos>", "<unk>"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")


@dataclass(frozen=True)
class Corpus:
    """Running text: token ids of each split (int64, one dimension), every verse closed by `EOS`; `size` types."""

    tokens: dict[Split, Tensor]
    verses: dict[Split, frozenset[int]]
    size: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the splits' token ids."""
        return _fingerprint((split, self.tokens[split].tolist()) for split in SPLITS)


@dataclass(frozen=True)
class Pairs:
    """Sentence pairs of each split: source and target ids, padded with `PAD` behind the closing `EOS`; `size` types."""

    numbers: dict[Split, tuple[int, ...]]
    source: dict[Split, Tensor]
    target: dict[Split, Tensor]
    references: dict[Split, tuple[str, ...]]
    tokenizer: "Tokenizer"
    size: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the splits' numbers and token ids."""
        return _fingerprint(
            (
                split,
                [*self.numbers[split], *self.source[split].flatten().tolist(), *self.target[split].flatten().tolist()],
            )
            for split in SPLITS
        )

    def text(self, ids: Iterable[int]) -> str:
        """The words of token ids, up to the first `EOS`."""
        pieces: list[str] = []
        for token in ids:
            if token == EOS:
                break
            pieces.append(str(self.tokenizer.id_to_token(token)))
        return "".join(pieces).replace("▁", " ").strip()


def byte_pairs(lines: Iterable[str], size: int) -> "Tokenizer":
    """Byte-pair encoding (Sennrich et al. 2016) of at most `size` types; spaces belong to the following piece."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    # The library's threads would take the cores of the cells that run beside this one.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def encoded(tokenizer: "Tokenizer", lines: Iterable[str]) -> list[list[int]]:
    """Token ids of each line. Pieces never cross a space, so each distinct word is cut once: four times as fast."""
    words: dict[str, list[int]] = {}

    def ids(word: str) -> list[int]:
        if word not in words:
            words[word] = tokenizer.encode(word).ids
        return words[word]

    return [[token for word in line.split() for token in ids(word)] for line in lines]


def padded(tokenizer: "Tokenizer", lines: list[str]) -> Tensor:
    """Token ids of each line with its `EOS`, [lines, longest], padded with `PAD`."""
    rows = [[*ids, EOS] for ids in encoded(tokenizer, lines)]
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def windows(tokens: int, columns: int, length: int) -> int:
    """How often `length` tokens and their successors can be read from every one of `columns` columns of a text."""
    return (tokens // columns - 1) // length


def _fingerprint(parts: Iterable[tuple[str, list[int]]]) -> str:
    digest = sha256()
    for name, ids in parts:
        digest.update(f"{name}/{len(ids)}/".encode() + struct.pack(f"<{len(ids)}q", *ids))
    return digest.hexdigest()
