"""The text `wikitext2`."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from domains.nlp.data import SPLITS, Corpus
from domains.nlp.datasets import TextDataset
from domains.nlp.parquet import HUB, Column, Hub, words
from domains.nlp.vocabulary import Vocabulary
from suite.experiment.errors import RunError, UsageError

Size = Annotated[int, Field(ge=1)]


class WikiText2(TextDataset):
    """WikiText-2: articles of Wikipedia, cut into words (Merity et al. 2017, arXiv 1609.07843).

    Column `text` of parquet files in a folder `wikitext-2`, or in `wikitext-2-v1` of a dataset of the hub. As is usual,
    every line ends with `<eos>`, an empty one too: so the training text has 2,088,628 tokens of 33,278 types.
    """

    name: ClassVar[str] = "wikitext2"
    folder: ClassVar[str] = "wikitext-2"
    published_length: ClassVar[int] = 2_088_628

    types: Annotated[int, Field(ge=3)] = Field(
        description="types at most: `<unk>`, `<eos>` and the most frequent words of the training text that is read"
    )
    train_tokens: Size | None = Field(default=None, description="first tokens of the training text; unset: all")
    hub: Hub = Field(default=None, description=HUB)

    @property
    def training_length(self) -> int:
        """Tokens of the training text, known without reading it."""
        return self.train_tokens or self.published_length

    def load(self, root: Path | None) -> Corpus:
        """The text by splits.

        Raises RunError for files that are missing, damaged, without words, or not the published text in length, and
        UsageError for more tokens than there are.
        """
        column = Column(self.folder, "text", self.hub, "wikitext-2-v1")
        files = column.files(root)
        lines = {
            split: words(rows, f"{split} of {self.name} in {files.root}") for split, rows in column.read(files).items()
        }
        there = sum(len(line) + 1 for line in lines["train"])
        if self.train_tokens is None and there != self.published_length:
            raise RunError(
                f"{self.name} has {there} training tokens in {files.root}, not the published {self.published_length}: "
                "fetch it again, or say data.settings.train_tokens"
            )
        if self.training_length > there:
            raise UsageError(
                f"data.settings.train_tokens = {self.train_tokens}: {self.name} has {there} in {files.root}: lower it"
            )
        lines["train"] = _first(lines["train"], self.training_length)
        vocabulary = Vocabulary(lines["train"], self.types)
        tokens = {split: vocabulary.ids(lines[split]) for split in SPLITS}
        tokens["train"] = tokens["train"][: self.training_length]
        shares = ", ".join(f"{vocabulary.unknown(tokens[split]):.1%} of {split}" for split in SPLITS)
        empty = sum(not line for split in SPLITS for line in lines[split])
        notes = {
            "data": f"{len(vocabulary)} types; <unk> is {shares}; {empty} empty lines, each an <eos> of its own",
        }
        return Corpus(tokens, len(vocabulary), notes)


def _first(lines: list[list[str]], tokens: int) -> list[list[str]]:
    """The first words of lines, so many that with the ends of lines they are `tokens`, or one word less."""
    found: list[list[str]] = []
    for line in lines:
        if tokens < 1:
            break
        found.append(line[:tokens])
        tokens -= len(line) + 1
    return found
