"""Ladder files that are too large for a board: read from a folder or by https, never more than was promised.

A location is the folder, or the address, that holds `<domain>/<entry id>/replicate-000.ladder`, as `masks/` of a board
does. Addresses are https; http is taken from this machine alone (localhost), for trying things out.
"""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from suite.files import NotRegular, read_regular
from suite.tickets.mask import TicketError

SECONDS = 60.0
"""A server that says nothing for so long is given up."""

HERE = ("localhost", "127.0.0.1", "::1")


def is_address(location: str) -> bool:
    """Whether a location is an address rather than a folder."""
    return "://" in location


def address_problem(location: str) -> str | None:
    """Why an address cannot be read from; None when it can."""
    try:
        parts = urlsplit(location)
        host = parts.hostname
    except ValueError as error:
        return str(error)
    if parts.scheme == "https" and host:
        return None
    if parts.scheme == "http" and host in HERE:
        return None
    return "https://host/… is needed (http of this machine alone)"


def fetch(location: str, base: Path, name: str, size: int, sha256: str) -> bytes:
    """A file of `size` bytes with a SHA-256 from a location; a folder that is not absolute lies below `base`.

    Raises TicketError when it cannot be read, or is not the file that was promised.
    """
    if is_address(location):
        where = f"{location.rstrip('/')}/{quote(name)}"
        content = _download(where, size)
    else:
        path = base / location / name
        where = str(path)
        try:
            content = read_regular(path, size)
        except FileNotFoundError as error:
            raise TicketError(f"no ladder file {path}") from error
        except NotRegular as error:
            raise TicketError(str(error)) from error
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise TicketError(f"{where} is not the file whose size and SHA-256 the entry states")
    return content


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to where an address may lead, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        problem = address_problem(newurl)
        secure = urlsplit(req.full_url).scheme == "https"
        if problem is not None or (secure and urlsplit(newurl).scheme != "https"):
            raise TicketError(f"{req.full_url} leads to {newurl[:200]}: {problem or 'https is needed'}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: str, size: int) -> bytes:
    problem = address_problem(address)
    if problem is not None:
        raise TicketError(f"{address}: {problem}")
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        with opener.open(address, timeout=SECONDS) as answer:
            content: bytes = answer.read(size + 1)
            return content
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise TicketError(f"{address} cannot be read: {reason}") from error
