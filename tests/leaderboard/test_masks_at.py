"""Masks too large for a board lie in a folder or at an address: read with a limit, and only as what was promised.

Of https the choice of addresses and of redirects is tested here; certificates are urllib's and Python's own tests.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tutorial_run import TUTORIAL

from suite.experiment.errors import UsageError
from suite.leaderboard import masks
from suite.leaderboard.board import Board, read
from suite.leaderboard.location import address_problem, fetch
from suite.leaderboard.masks import Tickets
from suite.leaderboard.schema import Measured
from suite.leaderboard.submit import submit
from suite.leaderboard.validate import validate
from suite.leaderboard.verify import verify
from suite.tickets.mask import TicketError

LADDER = "tutorial/breast-cancer-smoke-imp/replicate-000.ladder"


@contextmanager
def serving(files: dict[str, bytes], redirects: dict[str, str] | None = None) -> Iterator[str]:
    """A server of this machine that holds files by path, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = (redirects or {}).get(self.path)
            content = files.get(self.path)
            self.send_response(302 if target else 404 if content is None else 200)
            if target:
                self.send_header("Location", target)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def problems(path: Path) -> list[str]:
    """What validate finds."""
    return [finding.line for finding in validate(path, plugins=[TUTORIAL]).problems]


def entry_of(path: Path) -> Measured:
    """The measured entry in a file."""
    entry = read(path)
    assert isinstance(entry, Measured)
    return entry


def test_masks_go_to_a_folder_and_are_read_from_it(finished: Path, board: Board, tmp_path: Path) -> None:
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL], masks_at=str(tmp_path / "large"))
    entry = entry_of(path)
    assert entry.masks is not None
    assert not (board.root / "masks").exists()
    content = (tmp_path / "large" / LADDER).read_bytes()
    first = entry.masks.ladders[0]
    assert (first.replicate, first.bytes, first.sha256) == (0, len(content), hashlib.sha256(content).hexdigest())
    assert problems(path) == []
    assert verify(path, board, plugins=[TUTORIAL], cells=["winning:2:0"]).holds


def test_an_entry_in_the_board_says_nothing_of_a_location(finished: Path, board: Board) -> None:
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL])
    assert "masks" not in json.loads(path.read_text())


def test_masks_are_uploaded_to_an_address_and_read_from_it(finished: Path, board: Board) -> None:
    files: dict[str, bytes] = {}
    with serving(files) as address:
        (path,) = submit(finished, board, author="me", plugins=[TUTORIAL], masks_at=f"{address}/large/")
        assert problems(path)[0].endswith("replicate-000.ladder cannot be read: Not Found")
        for file in (board.root / "upload").rglob("*.ladder"):
            files[f"/large/{file.relative_to(board.root / 'upload')}"] = file.read_bytes()
        assert len(files) == 2
        assert problems(path) == []
        files[f"/large/{LADDER}"] = files[f"/large/{LADDER}"][:-1] + b"\0"
        assert "is not the file whose size and SHA-256 the entry states" in problems(path)[0]
    assert "cannot be read" in problems(path)[0], "the server is gone"


def test_a_folder_that_lacks_a_ladder_is_named(finished: Path, board: Board, tmp_path: Path) -> None:
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL], masks_at=str(tmp_path / "large"))
    (tmp_path / "large" / LADDER).unlink()
    assert problems(path) == [f"no ladder file {tmp_path / 'large' / LADDER}"]


def test_masks_that_others_keep_in_a_folder_are_not_replaced(finished: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    submit(finished, Board(tmp_path / "one"), author="me", plugins=[TUTORIAL], masks_at=str(tmp_path / "large"))
    before = (tmp_path / "large" / LADDER).read_bytes()
    (tmp_path / "large" / LADDER).write_bytes(b"theirs")
    with pytest.raises(UsageError, match="is there already, of another board perhaps; nothing was added"):
        submit(finished, Board(tmp_path / "two"), author="me", plugins=[TUTORIAL], masks_at=str(tmp_path / "large"))
    assert (tmp_path / "large" / LADDER).read_bytes() == b"theirs" != before


def test_masks_too_large_for_a_board_want_a_location(
    finished: Path, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "MOST_BOARD_BYTES", 1000)
    with pytest.raises(UsageError, match="name a folder or an https address with --masks-at"):
        submit(finished, board, author="me", plugins=[TUTORIAL])
    assert not list(board.root.rglob("*.json"))
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL], masks_at=str(tmp_path / "large"))
    assert problems(path) == []


def test_a_list_that_lacks_a_replicate_is_refused(finished: Path, board: Board, tmp_path: Path) -> None:
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL], masks_at=str(tmp_path / "large"))
    table = json.loads(path.read_text())
    table["masks"]["ladders"].pop()
    path.write_text(json.dumps(table))
    assert problems(path) == [
        "masks lists ladders of replicates [0], the entry has tickets of others",
        "no ladder of replicate 1 is listed in masks",
    ]


def test_no_more_is_read_than_was_promised() -> None:
    with serving({"/one": b"x" * 2**20}) as address, pytest.raises(TicketError, match="is not the file whose size"):
        fetch(address, Path(), "one", 1000, hashlib.sha256(b"x" * 1000).hexdigest())


@pytest.mark.parametrize(
    "location", ["http://example.org/masks", "ftp://example.org", "file:///etc", "https:///masks", "https://[bad"]
)
def test_only_https_is_an_address(location: str, finished: Path, board: Board) -> None:
    assert address_problem(location) is not None
    with pytest.raises(UsageError, match="--masks-at"):
        submit(finished, board, author="me", plugins=[TUTORIAL], masks_at=location)
    with pytest.raises(TicketError):
        fetch(location, Path(), "one", 10, "")


def test_an_https_address_is_one() -> None:
    assert address_problem("https://example.org/masks") is None


@pytest.mark.parametrize("target", ["http://example.org/one", "file:///etc/passwd", "ftp://example.org/one"])
def test_a_redirect_leads_nowhere_else(target: str) -> None:
    with (
        serving({}, {"/one": target}) as address,
        pytest.raises(TicketError, match=f"{target}'?(: https| is not allowed)"),
    ):
        fetch(address, Path(), "one", 10, "")


def test_a_redirect_on_this_machine_is_followed() -> None:
    with serving({"/two": b"bits"}, {"/one": "/two"}) as address:
        assert fetch(address, Path(), "one", 4, hashlib.sha256(b"bits").hexdigest()) == b"bits"


def test_an_installed_board_says_where_the_masks_are(
    finished: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL])
    for file in (board.root / "masks").rglob("*.ladder"):
        file.unlink()
    for folder in sorted((board.root / "masks").rglob("*"), reverse=True):
        folder.rmdir()
    (board.root / "masks").rmdir()
    monkeypatch.setattr("suite.leaderboard.board.packaged", lambda: board.root)
    (line,) = problems(path)
    assert "ships no masks" in line
    assert "--board leaderboards" in line


def test_a_ticket_that_no_entry_lists_is_a_key_error(finished: Path, board: Board) -> None:
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL])
    with pytest.raises(KeyError):
        Tickets(entry_of(path), board)[3, 0]
