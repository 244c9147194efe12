"""Results by content key: written atomically, held by one runner at a time, resumable at any instant.

`cells/<key>.json` one finished training run, `masks/<key>.safetensors` one ticket's mask, both worth keeping; `cache/`
holds weights and half-trained snapshots, which can be made again and may be deleted at any time; `run.json` says what
was asked for.
"""

import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from pydantic import ValidationError

from suite.experiment.errors import RunError, UsageError
from suite.experiment.frozen import digest
from suite.experiment.learner import Snapshot
from suite.experiment.result import CellResult
from suite.reading import Unreadable, read_bytes, read_json

if TYPE_CHECKING:
    from suite.experiment.plan import Cell
    from suite.experiment.request import Request
    from suite.tickets.ticket import Ticket


FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a disk, or a quota, that is used up."""


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

    @classmethod
    def create(cls, root: Path) -> "Store":
        """Make the folders; raises UsageError when they cannot be written, DiskFull when there is no room for them."""
        try:
            for folder in ("cells", "masks", "cache"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=root):
                pass
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(root) from error
            raise UsageError(f"cannot write to {root}: {error.strerror}; choose another folder with --out") from error
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> "Store":
        """An existing run; raises UsageError when there is none."""
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

    # Finished cells

    def has(self, key: str) -> bool:
        """Whether a cell is finished."""
        return self._cell(key).is_file()

    def keys(self) -> set[str]:
        """Keys of all finished cells, whatever run they belong to."""
        return {path.stem for path in (self.root / "cells").glob("*.json")}

    def cell(self, key: str) -> CellResult | None:
        """A finished cell; raises RunError naming the file when it is corrupted."""
        path = self._cell(key)
        try:
            table = read_json(path)
            if table["sha256"] != digest(table["cell"]):
                raise ValueError("its content does not have the digest it states")
            result = CellResult(**table["cell"])
            if result.key != key:
                raise ValueError(f"it holds cell {result.key}")
            return result
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, KeyError, TypeError, ValidationError, RecursionError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise RunError(
                f"{path} is corrupted ({reason}): delete it and run again, the other cells are kept"
            ) from error

    def put_cell(self, result: CellResult) -> None:
        """Keep a finished cell; like every `put`, raises DiskFull, or RunError naming a file that cannot be written."""
        cell = result.model_dump(mode="json")
        text = json.dumps({"sha256": digest(cell), "cell": cell}, indent=1, allow_nan=False)
        self._write(self._cell(result.key), text.encode())

    def _cell(self, key: str) -> Path:
        return self.root / "cells" / f"{key}.json"

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

    def ticketless(self, cell: "Cell") -> bool:
        """Whether a cell starts from a ticket that has not been made."""
        return cell.mask_key is not None and not self.has_mask(cell.mask_key)

    def put_mask(self, key: str, ticket: "Ticket") -> None:
        """Keep a ticket."""
        self._write(self._mask(key), ticket.to_bytes())

    def _mask(self, key: str) -> Path:
        return self.root / "masks" / f"{key}.safetensors"

    # Weights and half-trained snapshots: a cache

    def snapshot(self, name: str) -> Snapshot | None:
        """A cached snapshot; None when there is none, or none that can be read whole and has the digest it states."""
        from safetensors import SafetensorError, safe_open

        from suite.experiment.snapshot import digest_of

        try:
            with safe_open(self._cache(name), framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
                header = file.metadata()
            if header["sha256"] != digest_of(tensors):
                return None
            return Snapshot(tensors, json.loads(header["meta"]))
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            return None

    def put_snapshot(self, name: str, snapshot: Snapshot) -> None:
        """Cache a snapshot."""
        from safetensors.torch import save

        from suite.experiment.snapshot import digest_of

        tensors = {key: value.detach().cpu().contiguous().clone() for key, value in snapshot.tensors.items()}
        header = {"meta": json.dumps(snapshot.meta), "sha256": digest_of(tensors)}
        self._write(self._cache(name), save(tensors, metadata=header))

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

        self._write(self.root / "run.json", to_bytes(requests))

    def adopt(self, other: "Store", cells: Iterable["Cell"]) -> int:
        """Copy finished cells and their masks from another store, checked on the way; returns how many cells came.

        Raises RunError, nothing being copied, when a cell or mask is in both and not the same: an equal key promises
        equal bits on one machine type alone, and what starts from one would be judged beside the other.
        """
        cells = list(cells)
        for cell in cells:
            mine, theirs = self.cell(cell.key), other.cell(cell.key)
            both = [prune.key for prune in cell.prunes if self.has_mask(prune.key) and other.has_mask(prune.key)]
            if (mine and theirs and mine.weights_digest != theirs.weights_digest) or any(
                self.mask(key).digest != other.mask(key).digest for key in both
            ):
                raise RunError(
                    f"{cell.name} came out otherwise in {other.root} than in {self.root}: results of two machine types "
                    "or versions do not mix; name another folder with --out"
                )
        adopted = 0
        for cell in cells:
            for prune in cell.prunes:
                if other.has_mask(prune.key) and not self.has_mask(prune.key):
                    self.put_mask(prune.key, other.mask(prune.key))
            result = None if self.has(cell.key) else other.cell(cell.key)
            if result is not None:
                self.put_cell(result)
                adopted += 1
        return adopted

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in FULL:
                raise DiskFull(self.root) from error
            raise RunError(f"cannot write {path}: {error.strerror}; finished cells are kept") from error
