"""Sentence pairs in parquet files, cut into byte-pair pieces that both languages share."""

import json
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from domains.nlp.data import SPLITS, UNKNOWN, Pairs, Sentences, fingerprint
from domains.nlp.datasets import PairDataset
from domains.nlp.kept_pairs import keep_pairs, kept_pairs
from domains.nlp.parquet import HUB, Column, Hub, sides
from domains.nlp.subwords import byte_pairs, encoded
from suite.experiment.datafiles import Files, cache
from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import digest
from suite.experiment.learner import Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Size = Annotated[int, Field(ge=1)]
Line = tuple[str, str]
CUT = 2
"""Raised when this module cuts equal files otherwise, or what is kept of them has another form."""


class PairFiles(PairDataset):
    """English sentences and their German translations, column `translation` of parquet files as the hub's wmt14 has it.

    Training pairs that cannot be used are left out and counted by reason in every result's notes; a validation or test
    pair that cannot be used is an error, since a score over the rest would be another one.
    """

    folder: ClassVar[str]
    below: ClassVar[str] = ""
    languages: ClassVar[tuple[str, str]] = ("en", "de")
    published: ClassVar[dict[Split, int]]
    """Pairs of each split as published."""

    vocabulary: Annotated[int, Field(ge=4)] = Field(
        description="byte-pair types at most, joined over both languages, trained on the training pairs that are read"
    )
    train: Size | None = Field(default=None, description="first training pairs that are read; unset: all")
    longest: Size | None = Field(
        default=None,
        description="a training pair with more tokens on a side, `<eos>` not counted, is left out; unset: none",
    )
    ratio: Annotated[float, Field(ge=1)] | None = Field(
        default=None, description="so is one with more than this many times the tokens of the other side; unset: none"
    )
    hub: Hub = Field(default=None, description=HUB)

    @property
    def examples(self) -> int:
        """Training pairs that are read, known without reading them."""
        return self.train or self.published["train"]

    def load(self, root: Path | None) -> Pairs:
        """The pairs by splits.

        Raises RunError for files that are missing, damaged, or without a pair that can be used, for a validation or
        test pair with an empty side, and for other numbers of pairs than published; UsageError for more than there are.
        """
        column = Column(self.folder, "translation", self.hub, self.below)
        files = column.files(root)
        place = cache() / "pairs" / f"{self._cutting(column.digests(files))}.safetensors"
        found = kept_pairs(place)
        if found is None:
            found = self._made(column, files)
            keep_pairs(found, place)
        return found

    def _cutting(self, content: list[str]) -> str:
        """SHA-256 of all that decides how pairs are cut: the files, the settings, and the library that does it."""
        import tokenizers

        settings = self.model_dump(mode="json", exclude={"hub"})
        return digest([CUT, self.name, content, settings, tokenizers.__version__])

    def _made(self, column: Column, files: Files) -> Pairs:
        rows = column.read(files)
        self._check_sizes({split: len(rows[split]) for split in SPLITS}, files)
        rows["train"] = rows["train"][: self.examples]
        lines, left_out = self._lines(rows, files)
        tokenizer = byte_pairs((side for pair in lines["train"] for side in pair), self.vocabulary)
        cut = {split: list(self._cut(tokenizer, lines[split])) for split in SPLITS}
        usable = [pair for pair in cut["train"] if self._fits(pair, left_out)]
        if not usable:
            raise RunError(f"{self.name}: no training pair in {files.root} can be used ({_told(left_out)})")
        cut["train"] = usable
        source, target = ({split: Sentences.of(pair[i] for pair in cut[split]) for split in SPLITS} for i in (0, 1))
        references: dict[Split, tuple[str, ...]] = {
            split: tuple(target for _, target in lines[split]) for split in ("validation", "test")
        }
        found = _fingerprint(source, target, references, tokenizer)
        unknown: Counter[str] = Counter({split: _unknown(source[split]) + _unknown(target[split]) for split in SPLITS})
        told = f"{len(usable)} training pairs; left out: {_told(left_out)}"
        notes = {"data": told + (f"; <unk>: {_told(unknown)}" if unknown.total() else ""), "data content": found}
        size = tokenizer.get_vocab_size()
        return Pairs(source, target, references, tokenizer, size, self.declared or found, notes)

    @property
    def declared(self) -> str | None:
        """Fingerprint of pairs that were not to be had when their task was defined; None: that of their content."""
        return None

    def _check_sizes(self, there: dict[Split, int], files: Files) -> None:
        if self.train is None:
            wrong = next((split for split in SPLITS if there[split] != self.published[split]), None)
            if wrong:
                raise RunError(
                    f"{self.name} has {there[wrong]} pairs in {wrong} of {files.root}, not the published "
                    f"{self.published[wrong]}: fetch it again, or say data.settings.train"
                )
        elif self.train > there["train"]:
            raise UsageError(
                f"data.settings.train = {self.train}: {self.name} has {there['train']} training pairs in {files.root}: "
                "lower it"
            )

    def _lines(self, rows: dict[Split, list[Any]], files: Files) -> tuple[dict[Split, list[Line]], Counter[str]]:
        """Both sides of every pair by splits, and how many training pairs were left out for a side that is empty."""
        lines: dict[Split, list[Line]] = {}
        left_out: Counter[str] = Counter()
        for split in SPLITS:
            read = [sides(pair, self.languages) for pair in rows[split]]
            empty = [number for number, pair in enumerate(read) if not all(pair)]
            if split == "train":
                left_out["a side empty or missing"] += len(empty)
            elif empty:
                raise RunError(
                    f"{self.name}: {split} of {files.root} has an empty side in row {empty[0]} "
                    f"({len(empty)} such in all): remove it, or fetch the file again"
                )
            lines[split] = [pair for pair in read if all(pair)]
            if not lines[split]:
                raise RunError(
                    f"{self.name}: {split} of {files.root} has no pair with text on both sides: fetch it again"
                )
        return lines, left_out

    @staticmethod
    def _cut(tokenizer: "Tokenizer", lines: list[Line]) -> Iterator[tuple[list[int], list[int]]]:
        return zip(*(encoded(tokenizer, (pair[i] for pair in lines)) for i in (0, 1)), strict=True)

    def _fits(self, pair: tuple[list[int], list[int]], left_out: Counter[str]) -> bool:
        short, long = sorted(len(side) for side in pair)
        if self.longest and long > self.longest:
            left_out[f"longer than {self.longest} tokens"] += 1
            return False
        if self.ratio and long > self.ratio * short:
            left_out[f"one side more than {self.ratio:g} times as long"] += 1
            return False
        return True


def _told(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} ({why})" for why, count in left_out.items() if count) or "none"


def _unknown(sentences: Sentences) -> int:
    return int((sentences.ids == UNKNOWN).sum())


def _fingerprint(
    source: dict[Split, Sentences], target: dict[Split, Sentences], references: dict[Split, tuple[str, ...]],
    tokenizer: "Tokenizer",
) -> str:  # fmt: skip
    """SHA-256 of the token ids of all splits, of the texts to compare with, and of the tokenizer."""
    sides = (("source", source), ("target", target))
    ids = fingerprint(
        (f"{name}/{split}/{part}", tensor)
        for name, side in sides
        for split in SPLITS
        for part, tensor in (("ids", side[split].ids), ("starts", side[split].starts))
    )
    texts = sha256(json.dumps(references, sort_keys=True).encode()).hexdigest()
    return digest([ids, texts, sha256(tokenizer.to_str().encode()).hexdigest()])
