"""Text in parquet files, as datasets of the Hugging Face hub have it: a column of lines, or of pairs of sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from domains.nlp.data import SPLITS
from suite.experiment.datafiles import PLACE, Files, parquet_folder, parquet_names, parquet_parts, reading
from suite.experiment.errors import RunError
from suite.experiment.learner import Split

Hub = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None
HUB: Final = "id of a dataset of the Hugging Face hub, read where the folder of datasets has none of this one"
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Column:
    """A column of `<folder>/**/<split>[-N-of-N].parquet` below the folder of datasets, or of the same files on the hub.

    `below` is where the hub's dataset has these files.
    """

    folder: str
    name: str
    hub: str | None = None
    below: str = ""

    def files(self, root: Path | None) -> Files:
        """The folder that holds the files; raises RunError that says what to do when there is none."""
        return Files(parquet_folder(root, self.folder, "train", self.hub, self.below))

    def read(self, files: Files) -> dict[Split, list[Any]]:
        """The column by splits; raises RunError that names a file which is missing, damaged or not UTF-8."""
        return {split: self._split(files, split) for split in SPLITS}

    def _split(self, files: Files, split: Split) -> list[Any]:
        places = parquet_parts(files.root, split)
        if not places:
            raise RunError(f"{self.folder}: there is no {parquet_names(split)} in {files.root}: {PLACE}")
        return [value for place in places for value in self._file(place)]

    def digests(self, files: Files) -> list[str]:
        """SHA-256 of the content of each file, split after split."""
        found = []
        for split in SPLITS:
            for place in parquet_parts(files.root, split):
                with reading(place), place.open("rb") as file:
                    found.append(f"{split} {file_digest(file, 'sha256').hexdigest()}")
        return found

    def _file(self, place: Path) -> list[Any]:
        import datasets
        from pyarrow.parquet import read_metadata

        found: list[Any] = []
        with reading(place):
            if not read_metadata(place).num_rows:
                return found  # `datasets` refuses a file without rows
            rows = datasets.load_dataset("parquet", data_files=[str(place)], split="train", streaming=True)
            if self.name not in (rows.column_names or ()):
                raise ValueError(f"no column {self.name}")
            for batch in rows.select_columns([self.name]).iter(ROWS_AT_ONCE):
                found += batch[self.name]
        return found


def words(lines: list[Any], origin: str) -> list[list[str]]:
    """The words of each line, an empty line among them; raises RunError for a line that is no text, or no word at all.

    `origin` says in an error what is read.
    """
    for number, line in enumerate(lines):
        if not isinstance(line, str):
            raise RunError(
                f"{origin}: row {number} holds no text but {line!r}: remove the row, or fetch the file again"
            )
    found = [line.split() for line in lines]
    if not any(found):
        raise RunError(f"{origin}: there is not one word in {len(lines)} rows: fetch it again")
    return found


def sides(pair: Any, languages: tuple[str, str]) -> tuple[str, str]:
    """Both sides of a pair, `{"de": …, "en": …}`, on one line each; one that is missing or no text is empty."""
    if not isinstance(pair, Mapping):
        return "", ""
    source, target = (pair.get(language) for language in languages)
    return _line(source), _line(target)


def _line(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
