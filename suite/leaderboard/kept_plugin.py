"""A third party's plugin beside its entry: its source, kept to be read, and run only by those who name it."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from suite.experiment.errors import UsageError
from suite.files import NotRegular, read_regular
from suite.leaderboard.board import Board
from suite.leaderboard.schema import Measured
from suite.leaderboard.texts import unsafe

MOST_BYTES = 64 * 2**10
"""A plugin is one file of text that a reviewer can read."""


def source_of(plugins: Sequence[Path]) -> bytes | None:
    """The source of the plugin that a run was made with; None where it needed none.

    Raises UsageError for several plugins, or one that is too long or no plain text.
    """
    if not plugins:
        return None
    if len(plugins) > 1:
        names = ", ".join(path.name for path in plugins)
        raise UsageError(f"an entry keeps the source of one plugin, this run has {names}: put them into one file")
    content = plugins[0].read_bytes()
    if problem := _problem(content):
        raise UsageError(f"plugin {plugins[0]} {problem}: an entry keeps one file of text of at most 64 kB")
    return content


def plugin_problems(entry: Measured, board: Board) -> Iterator[str]:
    """What is wrong with the source that is kept for an entry."""
    path = board.plugin(entry)
    try:
        content = read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        return
    except NotRegular as error:
        yield str(error)
        return
    if sha256(content).hexdigest() not in entry.code.split():
        yield f"{path} is not the code that the entry was made with ({entry.code or 'none of a third party'})"
    if problem := _problem(content):
        yield f"{path} {problem}"


def plugin_remarks(entry: Measured, board: Board) -> Iterator[str]:
    """Where the source is, for those who want to run it; or that it is not there."""
    path = board.plugin(entry)
    if path.is_file():
        yield f"the source of its plugin is {path}: read it before you name it with --plugin"
    elif any(len(word) == 64 for word in entry.code.split()):
        yield f"the source of its plugin is not at {path}: nobody else can make its masks again"


def _problem(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        return f"has {len(content) / 1024:.0f} kB"
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        return "is no UTF-8 text"
    for number, line in enumerate(lines, start=1):
        if bad := next(unsafe(line.replace("\t", " "), f"line {number}"), ""):
            return f"is no plain text: {bad}"
    return ""
