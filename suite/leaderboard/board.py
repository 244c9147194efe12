"""The folder of a leaderboard: entries one file each, the index of every domain, the masks.

<board>/<domain>/<entry id>.json   <board>/<domain>.json   <board>/schema.json
<board>/plugins/<domain>/<entry id>.py   <board>/receipts/<domain>/<entry id>/
<board>/masks/…   <board>/upload/… (ladders, and those on their way to an address: see ladder_folder)
<board>/references/<domain>/<task hash>.json
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Never

from filelock import FileLock, Timeout
from pydantic import ValidationError

from suite.experiment.errors import RunError, UsageError
from suite.experiment.store import FULL
from suite.files import NotRegular, clean, read_regular, replace_file
from suite.leaderboard.claim import Claim
from suite.leaderboard.ladder_folder import own_folder, shared_files
from suite.leaderboard.location import is_address
from suite.leaderboard.reference import Hash, Reference, first_reference
from suite.leaderboard.schema import ENTRY, SCHEMA_VERSIONS, Index, IndexRow, Measured, Reported, json_schema
from suite.leaderboard.texts import unsafe

MOST_BYTES = 20 * 2**20
"""No entry is larger: a thousand replicates at a hundred points of five arms."""

AnyEntry = Measured | Reported | Claim


class BadEntry(UsageError):
    """A file that is no entry: what is wrong with it, in one line."""


def read(path: Path) -> AnyEntry:
    """An entry from its file; raises BadEntry for whatever is no entry of this schema."""
    table = _table(path)
    if repr(table.get("schema_version")) not in map(repr, SCHEMA_VERSIONS):  # True == 1, but is no version
        raise BadEntry(
            f"{path}: schema_version is {table.get('schema_version')!r}, this suite reads "
            f"{' and '.join(map(str, SCHEMA_VERSIONS))}; a newer suite may know it"
        )
    if bad := next(unsafe(table), ""):
        raise BadEntry(f"{path}: {bad}")
    try:
        return ENTRY.validate_json(json.dumps(table), strict=True)  # strict: true is no number, "2" is none
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "kind"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise BadEntry(f"{path}: {place}: {first['msg']}, got {_short(first['input'])}{more}") from error


def _table(path: Path) -> dict[str, Any]:
    """The JSON object in a file: a regular file of no more than `MOST_BYTES`, every number finite, no key twice."""
    try:
        content = read_regular(path, MOST_BYTES)
    except FileNotFoundError as error:
        raise BadEntry(f"{path}: there is no such file") from error
    except NotRegular as error:
        raise BadEntry(f"{error}; an entry is a file of its own of at most {MOST_BYTES >> 20} MiB") from error
    try:
        table = json.loads(content, parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        raise BadEntry(f"{path}: is no whole JSON text ({str(error) or 'nested too deeply'})") from error
    if not isinstance(table, dict):
        raise BadEntry(f"{path}: holds {_short(table)} where an entry is an object")
    return table


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no number of JSON; a diverged replicate is null")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise ValueError(f"key {_short(twice)} stands twice")
    return table


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def text_of(entry: AnyEntry | Index | Reference) -> str:
    """The canonical text of an entry's, index's or reference's file."""
    return json.dumps(entry.model_dump(mode="json"), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def packaged() -> Path:
    """The board that the suite ships."""
    return Path(str(files("leaderboards")))


class Board:
    """A leaderboard's folder."""

    def __init__(self, root: Path | None = None) -> None:
        """`root`: the folder; None: the packaged board. Raises UsageError when there is no such folder."""
        self.root = packaged() if root is None else root
        if not self.root.is_dir():
            raise UsageError(f"no board at {self.root}: --board takes an existing folder")

    def domains(self) -> list[str]:
        """Domains with at least one entry."""
        return sorted(folder.name for folder in self.root.iterdir() if folder.is_dir() and any(folder.glob("*.json")))

    def entries(self, domain: str | None = None) -> list[AnyEntry]:
        """All entries, or those of a domain, by id; raises BadEntry for a file that is none or is misplaced."""
        found, damaged = self.sound(domain)
        if damaged:
            raise damaged[0]
        return found

    def sound(self, domain: str | None = None) -> tuple[list[AnyEntry], list[BadEntry]]:
        """The entries that can be read, and what is wrong with the others, a line each."""
        found: list[AnyEntry] = []
        damaged: list[BadEntry] = []
        for name in self.domains() if domain is None else [domain]:
            for path in sorted((self.root / name).glob("*.json")):
                try:
                    found.append(self._entry(path, name))
                except BadEntry as error:
                    damaged.append(error)
        return found, damaged

    def _entry(self, path: Path, domain: str) -> AnyEntry:
        entry = read(path)
        if (entry.domain, entry.id) != (domain, path.stem):
            raise BadEntry(f"{path}: is entry {entry.domain}/{entry.id}, whose file is {entry.id}.json there")
        return entry

    def measured(self, task: str | None = None) -> list[Measured]:
        """Measured entries, of one task if named."""
        domain = None if task is None else task.split("/")[0]
        return [
            entry
            for entry in self.entries(domain)
            if isinstance(entry, Measured) and (task is None or entry.task.id == task)
        ]

    def find(self, name: str) -> AnyEntry:
        """The entry of an id, or of `domain/id`; raises UsageError for an unknown or ambiguous one."""
        found = [entry for entry in self.entries() if name in (entry.id, f"{entry.domain}/{entry.id}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"entry {name!r} is in {', '.join(e.domain for e in found)}: name it as domain/id")
        known = ", ".join(f"{entry.domain}/{entry.id}" for entry in self.entries()) or "none"
        raise UsageError(f"no entry {name!r} on the board; there are: {known}")

    def masks(self, entry: Measured) -> Path:
        """The folder of an entry's ladder files, where they lie in the board."""
        return self.root / "masks" / entry.domain / entry.id

    @property
    def without_masks(self) -> bool:
        """Whether this is the installed suite's board, which comes without masks."""
        return not (self.root / "masks").exists() and self.root.resolve() == packaged().resolve()

    def keeps(self, entry: Measured) -> Path:
        """The folder that an entry's ladder files are written to: the board's, its location, or one to be uploaded.

        Those of a transfer are shared by a domain's entries.
        """
        at = None if entry.masks is None else entry.masks.location
        folder = "masks" if at is None else "upload" if is_address(at) else at
        root = self.root / folder / entry.domain
        return root if entry.source is not None else root / entry.id

    def references(self, domain: str, entries: Iterable[AnyEntry] | None = None) -> dict[Hash, Reference]:
        """What the areas of a domain's tasks are measured by: the frozen files, and where one is missing the first
        entry's, transfers left out. Of all `entries` if none are given. Raises BadEntry for a file that is none.
        """
        found: dict[Hash, list[Measured]] = {}
        for entry in self.entries(domain) if entries is None else entries:
            if isinstance(entry, Measured) and entry.source is None:
                found.setdefault(entry.task.hash, []).append(entry)
        known = {
            task_hash: self._reference(domain, task_hash) or first_reference(es) for task_hash, es in found.items()
        }
        return {task_hash: reference for task_hash, reference in known.items() if reference is not None}

    def _reference_file(self, domain: str, task_hash: Hash) -> Path:
        return self.root / "references" / domain / f"{task_hash}.json"

    def _reference(self, domain: str, task_hash: Hash) -> Reference | None:
        path = self._reference_file(domain, task_hash)
        if not os.path.lexists(path):
            return None
        try:
            found = Reference.model_validate_json(json.dumps(_table(path)), strict=True)
        except ValidationError as error:
            raise BadEntry(f"{path}: is no reference of areas: {error.errors()[0]['msg']}") from error
        if found.task.hash != task_hash:
            raise BadEntry(f"{path}: is the reference of {found.task.hash[:12]}…, whose name it has not")
        return found

    def index(self, domain: str) -> Index:
        """The index of a domain as its entries' files say it."""
        return Index(schema_version=1, domain=domain, entries=tuple(map(_row, self.entries(domain))))

    def write_indexes(self) -> None:
        """Write `<domain>.json` of every domain, `schema.json`, and every reference that is not frozen yet.

        Raises BadEntry before anything is written.
        """
        texts = {domain: text_of(self.index(domain)) for domain in self.domains()}
        texts["schema"] = f"{json.dumps(json_schema(), indent=1)}\n"
        new = {
            self._reference_file(domain, task_hash): reference
            for domain in self.domains()
            for task_hash, reference in self.references(domain).items()
        }
        for path, reference in new.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, text_of(reference).encode())
        for name, text in texts.items():
            replace_file(self.root / f"{name}.json", text.encode())

    def reindex(self) -> None:
        """Write all that is generated anew; raises as `add` does."""
        self._refuse_packaged()
        with self._lock():
            try:
                self.write_indexes()
            except OSError as error:
                raise UsageError(f"cannot write to {self.root}: {error.strerror}") from error

    def plugin(self, entry: Measured) -> Path:
        """The file that an entry's plugin is kept in."""
        return self.root / "plugins" / entry.domain / f"{entry.id}.py"

    def put(self, path: Path, content: bytes) -> None:
        """Write a file of the board; raises as `add` does."""
        self._refuse_packaged()
        with self._lock():
            try:
                self._put(path, content)
            except OSError as error:
                kind = RunError if error.errno in FULL else UsageError
                raise kind(f"cannot write to {self.root}: {error.strerror}; nothing was added") from error

    def _put(self, path: Path, content: bytes) -> None:
        if not path.parent.resolve().is_relative_to(self.root.resolve()):
            raise UsageError(f"{path.parent} leads out of the board {self.root}: it is a symbolic link")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)

    def add(self, entry: Measured, files: Mapping[str, bytes], plugin: bytes | None = None) -> Path:
        """Add an entry with its ladder files and its plugin's source, whole or not at all; returns the entry's file.

        The index is written anew.

        Raises UsageError when the id is taken or the folder cannot be written, RunError when another submission is at
        work or the disk is full.
        """
        path = self.root / entry.domain / f"{entry.id}.json"
        self._refuse_packaged()
        with self._lock():
            if os.path.lexists(path):
                raise UsageError(f"entry {entry.domain}/{entry.id} is there already: choose another id with --id")
            try:
                self._place(path, entry, files, plugin)
            except OSError as error:
                kind = RunError if error.errno in FULL else UsageError
                raise kind(f"cannot write to {self.root}: {error.strerror}; nothing was added") from error
        return path

    def _place(self, path: Path, entry: Measured, files: Mapping[str, bytes], plugin: bytes | None) -> None:
        folder = self.keeps(entry)
        shared = entry.source is not None
        reference = self._reference_file(entry.domain, entry.task.hash)
        inside = entry.masks is None or entry.masks.location is None
        beside = folder if shared else folder.parent
        for parent in dict.fromkeys((path.parent, beside, *(() if shared else (reference.parent,)))):
            own = inside or parent != beside
            if own and not parent.resolve().is_relative_to(self.root.resolve()):
                raise UsageError(f"{parent} leads out of the board {self.root}: it is a symbolic link")
            parent.mkdir(parents=True, exist_ok=True)
            clean(parent)
        index = self.root / f"{entry.domain}.json"
        before = index.read_bytes() if index.is_file() else None
        frozen = reference.exists()
        with shared_files(folder, files) if shared else own_folder(folder, files, self.root):
            try:
                if plugin is not None:
                    self._put(self.plugin(entry), plugin)
                replace_file(path, text_of(entry).encode())  # last: an entry that is there has its masks
                self.write_indexes()
            except BaseException:
                path.unlink(missing_ok=True)
                self.plugin(entry).unlink(missing_ok=True)
                if not frozen:
                    reference.unlink(missing_ok=True)
                if before is None:
                    index.unlink(missing_ok=True)
                elif index.read_bytes() != before:
                    index.write_bytes(before)  # shorter than what is there: it needs no room
                raise

    def _refuse_packaged(self) -> None:
        shipped = packaged()
        if self.root.resolve() == shipped.resolve() and not (shipped.parent / "pyproject.toml").is_file():
            raise UsageError("the packaged board is read-only: name a folder of your own with --board")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            held = FileLock(self.root / ".lock", timeout=0).acquire()
        except Timeout as error:
            raise RunError(f"another submission to {self.root} is at work: try again when it is done") from error
        except OSError as error:
            raise UsageError(f"cannot write to {self.root}: {error.strerror}; nothing was added") from error
        with held:
            yield


def _row(entry: AnyEntry) -> IndexRow:
    if isinstance(entry, Measured):
        made = datetime.fromisoformat(entry.provenance.date).date()
        return IndexRow(
            id=entry.id, kind=entry.kind, title=entry.title, tasks=(entry.task.id,), version=entry.task.version,
            scale=entry.task.scale, method=entry.method.settings.name, date=made,
            source=None if entry.source is None else entry.source.task.id,
        )  # fmt: skip
    tasks = (entry.task,) if isinstance(entry, Reported) else _tasks(entry)
    title = entry.title if isinstance(entry, Reported) else entry.statement
    return IndexRow(
        id=entry.id, kind=entry.kind, title=title, tasks=tasks, version=None, scale=None, method=None, date=None
    )


def _tasks(claim: Claim) -> tuple[str, ...]:
    """The tasks whose entries test a claim."""
    return tuple(dict.fromkeys((*claim.tasks, *(target for each in claim.transfers for target in each.targets))))
