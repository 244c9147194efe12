"""The sentence pairs `number-words-en-de`."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from domains.nlp.data import SPLITS, Pairs, Sentences, fingerprint
from domains.nlp.datasets import PairDataset
from domains.nlp.subwords import byte_pairs, encoded
from suite.experiment.errors import UsageError
from suite.experiment.learner import Split

Size = Annotated[int, Field(ge=1)]


class NumberWords(PairDataset):
    """Numbers in English and in German words, written by the package num2words; no download."""

    name: ClassVar[str] = "number-words-en-de"

    train: Size = Field(description="training pairs")
    validation: Size = Field(description="pairs of the validation set")
    test: Size = Field(description="pairs of the test set")
    limit: Annotated[int, Field(ge=1)] = Field(description="numbers lie in 0 ... limit - 1")
    vocabulary: Annotated[int, Field(ge=1)] = Field(description="byte-pair types, joined over both languages")
    draw: Annotated[int, Field(ge=0)] = Field(description="which sample of numbers")

    @property
    def examples(self) -> int:
        """Training pairs."""
        return self.train

    def numbers(self) -> dict[Split, tuple[int, ...]]:
        """The numbers of each split; none is in two."""
        sizes: dict[Split, int] = {"train": self.train, "validation": self.validation, "test": self.test}
        drawn = draw(self.draw, self.limit, sum(sizes.values()))
        numbers: dict[Split, tuple[int, ...]] = {}
        for split in SPLITS:
            numbers[split], drawn = drawn[: sizes[split]], drawn[sizes[split] :]
        return numbers

    def load(self, root: Path | None) -> Pairs:
        """The pairs by splits."""
        from num2words import num2words

        numbers = self.numbers()
        english = {split: [str(num2words(n, lang="en")) for n in numbers[split]] for split in SPLITS}
        german = {split: [str(num2words(n, lang="de")) for n in numbers[split]] for split in SPLITS}
        tokenizer = byte_pairs([*english["train"], *german["train"]], self.vocabulary)
        source, target = (
            {split: Sentences.of(encoded(tokenizer, lines[split])) for split in SPLITS} for lines in (english, german)
        )
        told = (
            (
                split,
                torch.cat(
                    [torch.tensor(numbers[split]), *(side[split].padded().flatten() for side in (source, target))]
                ),
            )
            for split in SPLITS
        )
        references = {split: tuple(german[split]) for split in SPLITS}
        return Pairs(source, target, references, tokenizer, tokenizer.get_vocab_size(), fingerprint(told))


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
