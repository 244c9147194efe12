"""Takes finished cells and their masks over from another run, checked on the way."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from suite.experiment.connection import Connection
from suite.experiment.errors import RunError
from suite.experiment.plan import Cell
from suite.experiment.result import CellResult, ConnectionResult
from suite.experiment.store import Store

if TYPE_CHECKING:
    from suite.tickets.ticket import Ticket


class Finished(Protocol):
    """A run whose cells can be taken over: a store, or an exported run."""

    root: Path
    """Its folder or file."""

    def cell(self, key: str) -> CellResult | None:
        """A finished cell; RunError when it is damaged."""

    def connection(self, key: str) -> ConnectionResult | None:
        """A measured connection; RunError when it is damaged."""

    def has_mask(self, key: str) -> bool:
        """Whether a mask is there."""

    def mask(self, key: str) -> "Ticket":
        """A ticket; RunError when it is missing or damaged."""


def adopt(store: Store, other: Finished, cells: Iterable[Cell], connections: Iterable[Connection] = ()) -> int:
    """Copy what another run has of some cells and connections into a store; returns how many cells came.

    Raises RunError, nothing being copied, when a cell or mask is in both and not the same: an equal key promises equal
    bits on one machine type alone, and what starts from one would be judged beside the other. A connection comes only
    where both its ends are cells of the store.
    """
    cells = list(cells)
    for cell in cells:
        mine = store.cell(cell.key) if store.has(cell.key) else None
        theirs = other.cell(cell.key) if mine else None
        both = [prune.key for prune in cell.prunes if store.has_mask(prune.key) and other.has_mask(prune.key)]
        if (mine and theirs and mine.weights_digest != theirs.weights_digest) or any(
            store.mask(key).digest != other.mask(key).digest for key in both
        ):
            raise RunError(
                f"{cell.name} came out otherwise in {other.root} than in {store.root}: results of two machine types "
                "or versions do not mix; name another folder with --out"
            )
    adopted = 0
    for cell in cells:
        for prune in cell.prunes:
            if other.has_mask(prune.key) and not store.has_mask(prune.key):
                store.put_mask(prune.key, other.mask(prune.key))
        result = None if store.has(cell.key) else other.cell(cell.key)
        if result is not None:
            store.put_cell(result)
            adopted += 1
    for connection in connections:
        measured = other.connection(connection.key)
        if measured is not None and store.connection(connection.key) is None and all(map(store.has, connection.needs)):
            store.put_connection(measured)
    return adopted
