"""Results by content key: written atomically, held by one runner at a time, resumable at any instant.

`cells/<key>.json` one finished training run, `masks/<key>.safetensors` one ticket's mask, `connections/<key>.json` the
errors between two runs, all worth keeping; `cache/` holds weights and half-trained snapshots, which can be made again
and may be deleted at any time, as may the ledgers (see `suite.experiment.ledger`); `run.json` says what was asked for.
"""

import errno
import json
import logging
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from filelock import FileLock, Timeout

from suite.experiment import resultfile
from suite.experiment.domain import ResultVersions
from suite.experiment.errors import RunError, UsageError
from suite.experiment.learner import Snapshot
from suite.experiment.ledger import Ledger
from suite.experiment.result import CellResult, ConnectionResult
from suite.files import clean, temporary_name, write_file
from suite.reading import Unreadable, read_bytes

if TYPE_CHECKING:
    from suite.experiment.plan import Node
    from suite.experiment.request import Request
    from suite.tickets.ticket import Ticket


FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a disk, or a quota, that is used up."""

FOLDERS = ("cells", "masks", "connections", "cache")

_log = logging.getLogger(__name__)


class DiskFull(RunError):
    """Nothing more can be written: the run ends, finished cells are kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the disk of {folder} is full: free some space and run again, finished cells are kept")
        self._folder = folder

    def __reduce__(self) -> tuple[type["DiskFull"], tuple[Path]]:
        """Pickled by its folder, since an exception is by default made again of its whole message."""
        return type(self), (self._folder,)


class Store:
    """The folder of a run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cells, self._masks = Ledger(root / "cells", ".json"), Ledger(root / "masks", ".safetensors")

    @classmethod
    def create(cls, root: Path) -> "Store":
        """Make the folders, and clean them of what dead processes left half-written.

        Raises UsageError when they cannot be written, DiskFull when there is no room for them.
        """
        try:
            for folder in FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True)
                clean(root / folder)
            clean(root)
            tried = temporary_name(root / "try")
            tried.touch()
            tried.unlink()
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(root) from error
            raise UsageError(f"cannot write to {root}: {error.strerror}; choose another folder with --out") from error
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> "Store":
        """An existing run; raises UsageError when there is none."""
        if (root / "contents.json").is_file() or zipfile.is_zipfile(root):
            raise UsageError(
                f"{root} is an exported run: take it over with the command that made it, `command` in its run.json, "
                f"and --from {root}"
            )
        if root.is_file():
            raise UsageError(f"{root} is neither the folder of a run nor a whole zip file of one: export it again")
        if not (root / "run.json").is_file():
            raise UsageError(f"no run in {root}: it has no run.json; `lottery run` makes one")
        return cls(root)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for one runner; raises RunError when another one has it, UsageError in a read-only folder."""
        try:
            held = FileLock(self.root / "lock", timeout=0).acquire()
        except Timeout as error:
            raise RunError(f"another run is at work in {self.root}: wait for it, or choose another --out") from error
        except PermissionError as error:
            raise UsageError(
                f"cannot write to {self.root}: {error.strerror}; choose another folder with --out"
            ) from error
        with held:
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the run while no runner is at work; RunError when one is. No right to write is needed."""
        with ExitStack() as held:
            if (self.root / "lock").exists():
                try:
                    held.enter_context(FileLock(self.root / "lock", timeout=0).acquire())
                except Timeout as error:
                    raise RunError(f"a run is at work in {self.root}: wait for it") from error
                except OSError:
                    pass  # a folder that cannot be written has no runner of ours
            yield

    def survey(self) -> "StoreSurvey":
        """What is there now, without reading files that are known and unchanged."""
        return StoreSurvey(self, self._cells, self._masks)

    # Finished cells

    def has(self, key: str) -> bool:
        """Whether a cell is finished."""
        return self._cell(key).is_file()

    def cell(self, key: str) -> CellResult | None:
        """A finished cell; raises RunError naming the file when it is corrupted."""
        return _read(CellResult, self._cell(key), key)

    def cell_keys(self) -> list[str]:
        """Keys of all finished cells, of whatever task and version, in order."""
        return sorted(self._cells.files())

    def put_cell(self, result: CellResult) -> None:
        """Keep a finished cell; like every `put`, raises DiskFull, or RunError naming a file that cannot be written."""
        content = resultfile.to_bytes(result)
        self._write(self._cell(result.key), lambda file: file.write(content))
        self._cells.note(result.key, CellFacts.of(result).to_text())

    def _cell(self, key: str) -> Path:
        return self.root / "cells" / f"{key}.json"

    # Errors between two runs

    def connection(self, key: str) -> ConnectionResult | None:
        """A measured connection; raises RunError naming the file when it is corrupted."""
        return _read(ConnectionResult, self._connection(key), key)

    def connection_keys(self) -> list[str]:
        """Keys of all measured connections, in order."""
        return sorted(path.stem for path in (self.root / "connections").glob("[!.]*.json"))

    def put_connection(self, result: ConnectionResult) -> None:
        """Keep a measured connection."""
        content = resultfile.to_bytes(result)
        self._write(self._connection(result.key), lambda file: file.write(content))

    def _connection(self, key: str) -> Path:
        return self.root / "connections" / f"{key}.json"

    # Masks

    def has_mask(self, key: str) -> bool:
        """Whether a ticket's mask has been made."""
        return self._mask(key).is_file()

    def mask(self, key: str) -> "Ticket":
        """A ticket without weights; raises RunError when it is missing or corrupted."""
        from suite.tickets.mask import TicketError
        from suite.tickets.ticket import load

        try:
            return load(self._mask(key))
        except TicketError as error:
            raise RunError(f"{error}: delete it and run again, the other cells are kept") from error

    def mask_keys(self) -> list[str]:
        """Keys of all masks, of whatever task and method, in order."""
        return sorted(self._masks.files())

    def ticketless(self, cell: "Node") -> bool:
        """Whether a cell starts from a ticket that has not been made."""
        return cell.mask_key is not None and not self.has_mask(cell.mask_key)

    def put_mask(self, key: str, ticket: "Ticket") -> None:
        """Keep a ticket."""
        content = ticket.to_bytes()
        self._write(self._mask(key), lambda file: file.write(content))
        self._masks.note(key, "ticket")

    def _mask(self, key: str) -> Path:
        return self.root / "masks" / f"{key}.safetensors"

    # Weights and half-trained snapshots: a cache

    def snapshot(self, name: str) -> Snapshot | None:
        """A cached snapshot; None when there is none, or (said in a warning) a damaged one, which is never used."""
        from suite.experiment.snapshotfile import Damaged, read_snapshot

        path = self._cache(name)
        try:
            return read_snapshot(path)
        except FileNotFoundError:
            return None
        except Damaged as error:
            _log.warning("%s is dropped, it is made again: %s", path, error)
            self.drop_snapshot(name)
            return None

    def put_snapshot(self, name: str, snapshot: Snapshot) -> None:
        """Cache a snapshot."""
        from suite.experiment.snapshotfile import write_snapshot

        self._write(self._cache(name), lambda file: write_snapshot(file, snapshot))

    def drop_snapshot(self, name: str) -> None:
        """Forget a cached snapshot."""
        self._cache(name).unlink(missing_ok=True)

    def _cache(self, name: str) -> Path:
        return self.root / "cache" / f"{name}.safetensors"

    # The run as a whole

    def requests(self) -> list["Request"]:
        """What was asked for, one request a task and method; raises RunError when run.json is corrupted."""
        from suite.experiment.request import from_bytes

        path = self.root / "run.json"
        try:
            return from_bytes(read_bytes(path), path)
        except FileNotFoundError:
            return []
        except Unreadable as error:
            raise RunError(f"{path} {error}: move it away and run the same command again") from error

    def put_requests(self, requests: Iterable["Request"]) -> None:
        """Keep what was asked for."""
        from suite.experiment.request import to_bytes

        content = to_bytes(requests)
        self._write(self.root / "run.json", lambda file: file.write(content))

    def _write(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        try:
            path.parent.mkdir(exist_ok=True)
            write_file(path, write, durable=True)
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(self.root) from error
            raise RunError(f"cannot write {path}: {error.strerror}; finished cells are kept") from error


def _read(kind: type[resultfile.Result], path: Path, key: str) -> resultfile.Result | None:
    try:
        return resultfile.read(kind, read_bytes(path), key)
    except FileNotFoundError:
        return None
    except (resultfile.BadResult, Unreadable) as error:
        raise RunError(f"{path} is corrupted ({error}): delete it and run again, the other cells are kept") from error


class CellFacts(NamedTuple):
    """What a ledger says of a finished cell."""

    diverged: bool
    task_hash: str
    method_hash: str
    arm: str
    level: int
    replicate: int
    core: int
    learner: int

    @classmethod
    def of(cls, result: CellResult) -> "CellFacts":
        """The facts of a result."""
        own, made_by = result, result.result_versions
        place = (own.arm, own.level, own.replicate)
        return cls(own.diverged, own.task_hash, own.method_hash, *place, made_by.core, made_by.learner)

    def to_text(self) -> str:
        """A ledger's words."""
        return json.dumps(self)

    @property
    def result_versions(self) -> ResultVersions:
        """The versions of the code that made the result."""
        return ResultVersions(core=self.core, learner=self.learner)


class StoreSurvey:
    """The cells and masks of a store at one moment."""

    def __init__(self, store: Store, cells: Ledger, masks: Ledger) -> None:
        self._store, self._cells, self._masks = store, cells.survey(), masks.survey()

    def keys(self) -> set[str]:
        """Keys of all finished cells, whatever run they belong to."""
        return self._cells.keys()

    def cell(self, key: str) -> CellFacts | None:
        """A finished cell; None when it is not there, RunError naming its file when it is damaged."""

        def read() -> str:
            result = self._store.cell(key)
            assert result is not None
            return CellFacts.of(result).to_text()

        text = self._cells.text(key, read)
        return None if text is None else CellFacts(*json.loads(text))

    def has_mask(self, key: str) -> bool:
        """Whether a mask has been made; RunError naming its file when it is damaged."""

        def read() -> str:
            self._store.mask(key)
            return "ticket"

        return self._masks.text(key, read) is not None

    def keep(self) -> None:
        """Spare the next survey what this one had to read."""
        self._cells.keep()
        self._masks.keep()
