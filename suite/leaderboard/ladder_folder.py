"""Ladder files in a board: an entry's own folder of them, and those that the entries of a transfer's targets share.

<board>/masks/<domain>/<entry id>/replicate-000.ladder   <board>/masks/<domain>/<SHA-256>.ladder

A source's tickets are the same whatever they are trained on, so that a shared ladder lies there once. Where an entry of
the source's own run has the very file in its folder, it is not written again.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from suite.experiment.errors import UsageError
from suite.files import NotRegular, read_regular, replace_file, temporary_name
from suite.leaderboard.schema import LadderRef, shared_ladder_file


def shared_ladder(folder: Path, ref: LadderRef) -> bytes | None:
    """The content of a shared ladder, by its own name or from an entry's folder; None where there is none.

    `folder` is that of a domain's masks.
    """
    named = folder / shared_ladder_file(ref.sha256)
    for path in (named, *sorted(folder.glob("*/*.ladder"))):
        try:
            if path.lstat().st_size != ref.bytes:
                continue
            content = read_regular(path, ref.bytes)
        except (OSError, NotRegular):
            continue
        if hashlib.sha256(content).hexdigest() == ref.sha256:
            return content
    return None


@contextmanager
def own_folder(folder: Path, files: Mapping[str, bytes], root: Path) -> Iterator[None]:
    """An entry's own folder of ladder files, taken away again if what follows fails.

    Raises UsageError for a link, or a folder that is there already and outside the board's `root`.
    """
    staged = temporary_name(folder)
    staged.mkdir()
    try:
        staged.chmod(0o755)
        for name, content in files.items():
            (staged / name).write_bytes(content)
        if folder.is_symlink():
            raise UsageError(f"{folder} is a symbolic link; nothing was added")
        if not folder.resolve().is_relative_to(root.resolve()) and folder.exists():
            raise UsageError(f"{folder} is there already, of another board perhaps; nothing was added")
        shutil.rmtree(folder, ignore_errors=True)  # of a submission that was killed before its entry was written
        staged.rename(folder)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


@contextmanager
def shared_files(folder: Path, files: Mapping[str, bytes]) -> Iterator[None]:
    """Shared ladder files in a domain's folder, those that were not there taken away again if what follows fails."""
    new: list[Path] = []
    try:
        for name, content in files.items():
            ref = LadderRef(replicate=0, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            if shared_ladder(folder, ref) is None:
                new.append(folder / name)
                replace_file(folder / name, content)
        yield
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise
