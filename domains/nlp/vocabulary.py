"""A vocabulary of words, by how often they occur."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import torch
from torch import Tensor

from domains.nlp.data import EOS

UNKNOWN_WORD: Final = "<unk>"
END: Final = "<eos>"


class Vocabulary:
    """The most frequent words of a text, `types` at most with `<unk>` and `<eos>`.

    Of equally frequent ones those come first that are first by code points.
    Ids rise as counts fall: `<unk>` is 0 and `<eos>` 1, the most frequent word 2. A text may have `<unk>` for words of
    its own, as WikiText-2 has; they are the same type.
    """

    def __init__(self, lines: Iterable[Sequence[str]], types: int) -> None:
        special = [UNKNOWN_WORD, END]
        assert special.index(END) == EOS
        self.counts: Counter[str] = Counter()
        for line in lines:
            self.counts.update(line)
        words = sorted((word for word in self.counts if word not in special), key=lambda w: (-self.counts[w], w))
        self.words = [*special, *words[: max(0, types - len(special))]]
        self._ids = {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, lines: Iterable[Sequence[str]]) -> Tensor:
        """Lines as one stream of ids (int64), `<eos>` behind each."""
        known, unknown = self._ids, self._ids[UNKNOWN_WORD]
        stream: list[int] = []
        for line in lines:
            stream += [known.get(word, unknown) for word in line]
            stream.append(EOS)
        return torch.tensor(stream)

    def unknown(self, ids: Tensor) -> float:
        """Share of `<unk>` among ids."""
        return float((ids == self._ids[UNKNOWN_WORD]).double().mean())
