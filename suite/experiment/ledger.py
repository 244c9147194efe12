"""What was found in the files of a folder, so that a hundred thousand of them need not be read to say how far a run is.

A line a file: its key, size, times of change, what it holds, and a checksum. Whoever writes or checks a file
appends a line. A line is believed as long as its file is unchanged; where it is missing, damaged or stale, the file is
read, and said to be damaged if it is. The ledger may be deleted at any time.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

from suite.experiment.errors import RunError
from suite.files import replace_file

Stamp = tuple[int, int, int]
"""Size, and the times in nanoseconds of the last change of content and of the file."""


class Ledger:
    """The ledger of the files `<key><suffix>` in a folder; it lies beside the folder."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix = folder, suffix
        self._path = folder.with_name(f"{folder.name}.ledger")

    def note(self, key: str, text: str) -> None:
        """Remember what a file holds that was just written, in one line."""
        try:
            facts = (self._folder / f"{key}{self._suffix}").stat()
        except OSError:
            return
        self._append([_line(key, _stamp(facts), text)])

    def survey(self) -> "Survey":
        """What is in the folder now."""
        return Survey(self)

    def files(self) -> dict[str, Stamp]:
        """The files that are there, by key; raises RunError for what is no folder that can be read."""
        suffix = self._suffix
        try:
            with os.scandir(self._folder) as found:
                return {
                    entry.name.removesuffix(suffix): _stamp(entry.stat())
                    for entry in found
                    if entry.name.endswith(suffix) and not entry.name.startswith(".")
                }
        except FileNotFoundError:
            return {}
        except OSError as error:
            what = f"{self._folder} cannot be read as a folder ({error.strerror})"
            raise RunError(f"{what}: move it away, or make it readable, and run again") from error

    def lines(self) -> dict[str, tuple[Stamp, str]]:
        """What is known, by key; later lines replace earlier ones, and damaged ones are left out."""
        try:
            content = self._path.read_bytes()
        except OSError:
            return {}
        known = {}
        for line in content.splitlines():
            said, _, check = line.rpartition(b" ")
            try:
                if int(check, 16) == zlib.crc32(said):
                    key, size, written, changed, found = said.decode().split(" ", 4)
                    known[key] = ((int(size), int(written), int(changed)), found)
            except ValueError:
                continue
        return known

    def learn(self, learned: dict[str, tuple[Stamp, str]], all_known: dict[str, tuple[Stamp, str]]) -> None:
        """Keep what a survey read, and nothing more when most lines are of files that are gone or were replaced."""
        lines = [_line(key, *facts) for key, facts in learned.items()]
        try:
            crowded = self._path.stat().st_size > 2 * sum(len(_line(key, *facts)) for key, facts in all_known.items())
        except OSError:
            crowded = False
        if crowded:
            try:
                replace_file(self._path, b"".join(_line(key, *facts) for key, facts in all_known.items()))
            except OSError:
                return
        elif lines:
            self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        """One write at the end of the file: lines of several processes do not mix, and are not believed where they do.

        A folder that cannot be written has no ledger; that costs time and nothing else.
        """
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:
            return
        try:
            os.write(handle, b"".join(lines))
        except OSError:
            pass
        finally:
            os.close(handle)


class Survey:
    """The files of a folder at one moment: `text` says of each what it holds, reading it only if it must."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._files, self._known = ledger.files(), ledger.lines()
        self._learned: dict[str, tuple[Stamp, str]] = {}

    def keys(self) -> set[str]:
        """Keys of the files that are there."""
        return set(self._files)

    def text(self, key: str, read: Callable[[], str]) -> str | None:
        """What the file of a key holds; None when there is none, and whatever `read` raises of a damaged one."""
        stamp = self._files.get(key)
        if stamp is None:
            return None
        known = self._known.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        found = read()
        self._learned[key] = self._known[key] = (stamp, found)
        return found

    def keep(self) -> None:
        """Write down what had to be read."""
        there = {key: facts for key, facts in self._known.items() if self._files.get(key) == facts[0]}
        self._ledger.learn(self._learned, there)
        self._learned = {}


def _stamp(facts: os.stat_result) -> Stamp:
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _line(key: str, stamp: Stamp, text: str) -> bytes:
    content = " ".join((key, *map(str, stamp), text)).encode()
    return b"%s %08x\n" % (content, zlib.crc32(content))
