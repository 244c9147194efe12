"""The sentence pairs `fairseq-binaries`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from domains.nlp.data import EOS, SPLITS, UNKNOWN, Pairs, Sentences, fingerprint, joined
from domains.nlp.datasets import PairDataset
from suite.experiment.datafiles import PLACE
from suite.experiment.errors import RunError
from suite.experiment.learner import Split

AHEAD = 1
"""Ids that fairseq's dictionary has before ours: it begins `<s> <pad> </s> <unk>`, and no sentence has `<s>`."""
FILES: dict[Split, str] = {"train": "train", "validation": "valid", "test": "test"}
Language = Annotated[str, Field(pattern=r"^\w+$")]


class FairseqBinaries(PairDataset):
    """Sentence pairs as `fairseq-preprocess --joined-dictionary` leaves them; reading them needs the extra `fairseq`.

    Their pieces are `@@ ` pieces (subword-nmt) or sentencepiece's. BLEU compares with the joined pieces of the targets,
    as `fairseq-generate` does, since the binaries have no other text; a target's `<unk>` equals none of a translation.
    """

    name: ClassVar[str] = "fairseq-binaries"

    folder: Annotated[str, Field(min_length=1)] = Field(description="folder of the binaries, below that of datasets")
    source: Language = Field(description="language that is translated, as in the files' names")
    target: Language = Field(description="language that it is translated to")
    train: Annotated[int, Field(ge=1)] = Field(description="training pairs that there are")

    @property
    def examples(self) -> int:
        """Training pairs."""
        return self.train

    def load(self, root: Path | None) -> Pairs:
        """The pairs by splits.

        Raises RunError for files that are missing, empty sentences, sentences without an end, sides of unequal length,
        and another number of training pairs.
        """
        from domains.nlp.fairseq_backend import read_binaries

        if root is None:
            raise RunError(f"{self.name} are in no package: {PLACE}")
        folder = root / self.folder
        symbols, sides = read_binaries(folder, (self.source, self.target))
        source, target = (
            {split: _sentences(*sides[FILES[split]][side], f"{FILES[split]} in {folder}") for split in SPLITS}
            for side in (0, 1)
        )
        for split in SPLITS:
            if len(source[split]) != len(target[split]):
                raise RunError(
                    f"{FILES[split]} in {folder} has {len(source[split])} sentences on one side and "
                    f"{len(target[split])} on the other: preprocess it again"
                )
        if len(source["train"]) != self.train:
            raise RunError(f"data.settings.train = {self.train}, but {folder} has {len(source['train'])} pairs: say so")
        text = torch.tensor(list("\n".join(symbols).encode()))
        parts = (
            (f"{name}/{split}", side[split].ids)
            for name, side in (("source", source), ("target", target))
            for split in SPLITS
        )
        found = fingerprint([("dictionary", text), *parts])
        known = symbols[AHEAD:]
        escaped = _Pieces([f"<{symbol}>" if i == UNKNOWN else symbol for i, symbol in enumerate(known)])
        references: dict[Split, tuple[str, ...]] = {
            split: tuple(joined(escaped, ids) for ids in target[split]) for split in ("validation", "test")
        }
        return Pairs(source, target, references, _Pieces(known), len(known), found)


def _sentences(ids: Tensor, lengths: Tensor, origin: str) -> Sentences:
    starts = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    ours = (ids - AHEAD).int()
    if int(lengths.min()) < 2:
        raise RunError(
            f"{origin}: sentence {int(lengths.argmin())} is empty: leave such pairs out and preprocess again"
        )
    if int(ours.min()) < EOS or not bool((ours[starts[1:] - 1] == EOS).all()):
        raise RunError(f"{origin}: a sentence does not end with </s>, or has <s> or <pad> in it: preprocess it again")
    return Sentences(ours, starts)


@dataclass(frozen=True)
class _Pieces:
    """The pieces of a dictionary of fairseq's, written so that joined ones are words between `▁`."""

    symbols: list[str]

    @cached_property
    def _of_sentencepiece(self) -> bool:
        return any(symbol.startswith("▁") for symbol in self.symbols)

    def id_to_token(self, id: int) -> str | None:
        """The piece of one of our ids."""
        if not 0 <= id < len(self.symbols):
            return None
        piece = self.symbols[id]
        if self._of_sentencepiece:
            return piece
        return piece.removesuffix("@@") if piece.endswith("@@") else f"{piece}▁"
