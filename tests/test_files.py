"""A file is replaced whole or not at all, under a name that no other process chooses, and dead ones leave nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from suite.files import NotRegular, clean, read_regular, replace_file, temporary_name, write_file


def test_a_file_is_replaced_and_readable_by_all(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"old")
    replace_file(tmp_path / "one", b"new")
    assert (tmp_path / "one").read_bytes() == b"new"
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_the_old_file_stays_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_file(tmp_path / "one", fail)
    assert (tmp_path / "one").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_no_two_temporary_names_are_the_same() -> None:
    assert len({temporary_name(Path("one")) for _ in range(100)}) == 100


def test_what_a_dead_process_left_is_cleaned_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from suite.files import temporary_name;"
        "temporary_name(Path(sys.argv[1]) / 'one').touch(); temporary_name(Path(sys.argv[1]) / 'two').mkdir()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    mine = temporary_name(tmp_path / "three")
    mine.touch()
    (tmp_path / ".lock").touch()
    (tmp_path / "note.tmp").touch()
    assert len(list(tmp_path.iterdir())) == 5
    assert clean(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, ".lock", "note.tmp"}


def test_what_another_host_writes_is_left_for_a_week(tmp_path: Path) -> None:
    other = tmp_path / ".one.another-host.1.0123abcd.tmp"
    other.touch()
    assert clean(tmp_path) == 0
    week = time.time() - 8 * 86_400
    os.utime(other, (week, week))
    assert clean(tmp_path) == 1


def test_a_file_is_read_with_a_limit(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"12345")
    assert read_regular(tmp_path / "one", 5) == b"12345"
    with pytest.raises(NotRegular, match="has more than 4 bytes"):
        read_regular(tmp_path / "one", 4)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "one")
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((tmp_path, "no regular"), (tmp_path / "pipe", "no regular"), (tmp_path / "link", "link")):
        with pytest.raises(NotRegular, match=message):
            read_regular(path, 10)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 10)
