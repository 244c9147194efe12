"""Sentence pairs that were cut into pieces before, in the user's cache: cutting WMT14's takes minutes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from domains.nlp.data import SPLITS, Pairs, Sentences
from suite.experiment.datafiles import keep, kept
from suite.experiment.learner import Split

SIDES = ("source", "target")


@dataclass(frozen=True)
class ListedPieces:
    """The pieces of a tokenizer, by id."""

    pieces: list[str]

    def id_to_token(self, id: int) -> str | None:
        """The piece of an id; None for an id that has none."""
        return self.pieces[id] if 0 <= id < len(self.pieces) else None


def keep_pairs(pairs: Pairs, place: Path) -> None:
    """Keep pairs in a file; nowhere if the cache cannot be written."""
    said = {
        "references": pairs.references,
        "pieces": [pairs.tokenizer.id_to_token(token) for token in range(pairs.size)],
        "fingerprint": pairs.fingerprint,
        "notes": dict(pairs.notes),
    }
    tensors = {"said": torch.frombuffer(bytearray(json.dumps(said).encode()), dtype=torch.uint8)}
    for side, sentences in zip(SIDES, (pairs.source, pairs.target), strict=True):
        for split in SPLITS:
            tensors[f"{side}/{split}/ids"] = sentences[split].ids
            tensors[f"{side}/{split}/starts"] = sentences[split].starts
    keep(tensors, place)


def kept_pairs(place: Path) -> Pairs | None:
    """Pairs that were kept in a file; None if they were not, or not whole."""
    parts = [f"{side}/{split}/{part}" for side in SIDES for split in SPLITS for part in ("ids", "starts")]
    tensors = kept(place, ("said", *parts))
    if tensors is None:
        return None
    said: dict[str, Any] = json.loads(tensors["said"].numpy().tobytes())
    source, target = (_sentences(tensors, side) for side in SIDES)
    references = {split: tuple(texts) for split, texts in said["references"].items()}
    pieces = said["pieces"]
    return Pairs(source, target, references, ListedPieces(pieces), len(pieces), said["fingerprint"], said["notes"])


def _sentences(tensors: dict[str, Tensor], side: str) -> dict[Split, Sentences]:
    return {split: Sentences(tensors[f"{side}/{split}/ids"], tensors[f"{side}/{split}/starts"]) for split in SPLITS}
