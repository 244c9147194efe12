"""Files that are replaced whole, so that a reader never sees half of one, and read with a limit.

A file is written under a temporary name beside its own, which says by which process of which host, so that two
machines on one disk never meet in one name and what a dead process left can be cleaned.
"""

import errno
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

ABANDONED_SECONDS = 7 * 86_400.0
"""A temporary file of another host, whose processes cannot be seen from here, is left by a dead one after a week."""

_TEMPORARY = re.compile(r"^\..+\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp$")


class NotRegular(OSError):
    """A path that cannot be read as a file of no more than so many bytes: what it is, in one line."""


def temporary_name(path: Path) -> Path:
    """A hidden name beside a path, which no other process on any host chooses."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def write_file(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = False) -> Path:
    """Let `write` fill a file, readable by all, and put it in the place of the old one.

    The old one stays as it was when OSError, or whatever `write` raises, is raised. `durable`: it is on the disk when
    this returns.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def replace_file(path: Path, content: bytes) -> Path:
    """Write a file, readable by all, in the place of the old one, which stays as it was when OSError is raised."""
    return write_file(path, lambda file: file.write(content))


def clean(folder: Path) -> int:
    """Remove temporary files and folders that processes left which have ended; returns how many."""
    cleaned = 0
    with os.scandir(folder) as found:
        left = [entry for entry in found if entry.name.endswith(".tmp") and _abandoned(entry)]
    for entry in left:
        try:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink()
            cleaned += 1
        except OSError:
            continue  # not ours to remove, or gone by now
    return cleaned


def _abandoned(entry: os.DirEntry[str]) -> bool:
    named = _TEMPORARY.match(entry.name)
    if named is None:
        return False
    if named["host"] == _host():
        return not _alive(int(named["pid"]))
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"


def read_regular(path: Path, most: int, *, follow: bool = False) -> bytes:
    """The content of a file that may be a stranger's.

    Raises FileNotFoundError, and NotRegular for a link (unless it is to be followed), a folder, a pipe or whatever else
    is no file, one of more than `most` bytes, or one that cannot be read.
    """
    try:
        # Opened without waiting for a pipe; all checks are on what was opened.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise NotRegular(f"{path} {reason}") from error
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise NotRegular(f"{path} is no regular file")
    with os.fdopen(handle, "rb") as file:
        content = file.read(min(facts.st_size, most) + 1)
    if len(content) > most:
        raise NotRegular(f"{path} has more than {most} bytes")
    return content
