"""The files of a dataset: where they lie, their manifest, and what is said of a missing, damaged or foreign one."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock

from suite.experiment.errors import RunError

PLACE = "name the folder of datasets that holds it by --data DIR or LOTTERY_DATA"
SPOILT = "fetch it again, or remove it"


@dataclass(frozen=True)
class Files:
    """Files below the folder of datasets, read whole; `manifest` is the size and SHA-256 of each one read, by name.

    A file may be packed by gzip (`NAME.gz`): it is known by what it unpacks to, so that it does not matter which of
    both there is.
    """

    root: Path
    manifest: dict[str, tuple[int, str]] = field(default_factory=dict)

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
        self.manifest[name] = len(content), hashlib.sha256(content).hexdigest()
        return content

    def compare(self, published: Mapping[str, str]) -> None:
        """Raise RunError that names the first file whose MD5 is not the published one."""
        for name, expected in published.items():
            found = hashlib.md5(self.read(name), usedforsecurity=False).hexdigest()
            if found != expected:
                raise RunError(
                    f"{self.find(name)} is not the published file (MD5 {found}, published {expected}): {SPOILT}"
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


def fetched(root: Path | None, dataset: str, names: Iterable[str], fetch: Callable[[Path], object]) -> Files:
    """The folder of datasets, in which all files of one are; `fetch` downloads them into a folder if one is not.

    Raises RunError that says where they were looked for and how to get them.
    """
    files = Files(cache() if root is None else root)
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
