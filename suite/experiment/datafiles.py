"""The files of a dataset: where they lie, their manifest, and what is said of a missing, damaged or foreign one.

For adapters whose data are files; what is costly to make of them is kept in the user's cache.
"""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

from filelock import FileLock

from suite.experiment.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

PLACE = "name the folder of datasets that holds it by --data DIR or LOTTERY_DATA"
SPOILT = "fetch it again, or remove it"


@dataclass(frozen=True)
class Files:
    """Files below the folder of datasets, read whole; `manifest` is the digest of each one read, by name, in hex.

    A file may be packed by gzip (`NAME.gz`): it is known by what it unpacks to, so that it does not matter which of
    both there is.
    """

    root: Path
    algorithm: Literal["md5", "sha256"] = "sha256"
    manifest: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Path | None:
        """Where a file is, unpacked or packed."""
        places = (self.root / name, self.root / f"{name}.gz")
        return next((place for place in places if place.is_file()), None)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those that are not there."""
        return [name for name in names if self.find(name) is None]

    def read(self, name: str) -> bytes:
        """What a file holds, unpacked; raises RunError for one that is not there, or not whole."""
        place = self.find(name)
        if place is None:
            raise RunError(f"{name} is not in {self.root}: {PLACE}")
        with reading(place):
            content = place.read_bytes()
            if place.suffix == ".gz" and not name.endswith(".gz"):
                content = gzip.decompress(content)
        self.manifest[name] = hashlib.new(self.algorithm, content, usedforsecurity=False).hexdigest()
        return content

    def compare(self, published: Mapping[str, str]) -> None:
        """Raise RunError that names the first file whose digest is not the published one."""
        for name, expected in published.items():
            self.read(name)
            found, algorithm = self.manifest[name], self.algorithm.upper()
            if found != expected:
                raise RunError(
                    f"{self.find(name)} is not the published file ({algorithm} {found}, published {expected}): {SPOILT}"
                )


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turns whatever goes wrong within into a RunError that names a file."""
    try:
        yield
    except RunError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RunError(f"{place} is truncated or damaged ({in_a_line(error)}): {SPOILT}") from error
    except Exception as error:  # readers of a format raise all kinds for a file that is not of it
        if isinstance(error, OSError) and error.errno is not None:
            raise RunError(f"{place} cannot be read: {error.strerror}") from error
        raise RunError(f"{place} is not what it should be ({in_a_line(error)}): {SPOILT}") from error


def cache() -> Path:
    """The suite's own folder in the user's cache: downloads go there where no folder of datasets is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lottery-suite"


def parquet_parts(folder: Path, part: str) -> list[Path]:
    """The parquet files of a part below a folder, as the hub names them (`train-00000-of-00001.parquet`), sorted.

    `test_2017.parquet` beside `test.parquet` is no part of it.
    """
    named = re.compile(rf"{re.escape(part)}(-\d+-of-\d+)?\.parquet")
    return sorted(place for place in folder.rglob("*.parquet") if named.fullmatch(place.name))


def parquet_names(part: str) -> str:
    """What the files of a part are called, for people."""
    return f"{part}.parquet or {part}-00000-of-….parquet"


def parquet_folder(root: Path | None, name: str, part: str, hub: str | None, below: str = "") -> Path:
    """The folder `name` of the folder of datasets, or what `below` holds of a dataset of the Hugging Face hub.

    The hub is asked where the folder has no parquet file of a part. Raises RunError that says where it was looked for
    and what to do.
    """
    folder = (cache() if root is None else root) / name
    if parquet_parts(folder, part):
        return folder
    if hub is None:
        raise RunError(
            f"{name}: there is no {parquet_names(part)} in {folder}: {PLACE}, or fetch those of a dataset of the "
            f"Hugging Face hub: hf download OWNER/NAME --repo-type dataset --local-dir {folder}"
        )
    from huggingface_hub import snapshot_download

    try:
        patterns = f"{below}/*.parquet" if below else "*.parquet"
        return Path(snapshot_download(hub, repo_type="dataset", allow_patterns=patterns)) / below
    except Exception as error:  # the hub's client raises all kinds
        raise RunError(
            f"{name}: it is not in {folder}, and the download of {hub} from the Hugging Face hub failed "
            f"({in_a_line(error)}): {PLACE}"
        ) from error


def kept(place: Path, names: Iterable[str]) -> "dict[str, Tensor] | None":
    """Tensors of these names that were kept in a file; None if they were not, or not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(place)
    except (OSError, SafetensorError):
        return None
    return tensors if set(tensors) == set(names) else None


def keep(tensors: "Mapping[str, Tensor]", place: Path) -> None:
    """Keep tensors under a name that they get when they are whole; nowhere if the cache cannot be written."""
    from safetensors.torch import save

    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(save(dict(tensors)))
        os.replace(file.name, place)


def fetched(
    root: Path | None, dataset: str, names: Collection[str], fetch: Callable[[Path], object],
    algorithm: Literal["md5", "sha256"],
) -> Files:  # fmt: skip
    """The folder of datasets, in which all files of one are; `fetch` downloads them into a folder if one is not.

    Raises RunError that says where they were looked for and how to get them.
    """
    files = Files(cache() if root is None else root, algorithm)
    if not files.missing(names):
        return files
    try:
        files.root.mkdir(parents=True, exist_ok=True)
        with FileLock(files.root / f".{dataset}.lock"):  # several cells begin at once
            if files.missing(names):
                fetch(files.root)
    except (OSError, RuntimeError, HTTPException) as error:
        raise RunError(
            f"{dataset}: {files.missing(names)[0]} is not in {files.root}, and the download failed "
            f"({in_a_line(error)}): {PLACE}"
        ) from error
    if missing := files.missing(names):
        raise RunError(f"{dataset}: {missing[0]} is not in {files.root}, nor in what was downloaded: {PLACE}")
    return files


def in_a_line(error: BaseException) -> str:
    """What an error says, in at most 200 characters of one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
