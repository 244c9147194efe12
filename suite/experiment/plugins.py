"""Third parties' code: plugin files, entry points, and the digest that tells one edition from another."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from suite.experiment.errors import UsageError, in_words
from suite.experiment.taskfile import Fragments, TaskFile, read_tasks
from suite.experiment.trial import crash_of
from suite.reading import Unreadable, read_bytes

COMPONENTS = "lottery.components"
EXTENSIONS = ("lottery.scores", "lottery.arms", COMPONENTS)
"""Groups of entry points whose modules register what they bring on import."""

PREFIX = "lottery_plugin_"
"""How the module of a plugin file is named, by the digest that follows."""


def load_plugin(path: Path, tried: bool = False) -> list[TaskFile]:
    """Run a plugin file; its tasks are `TASK` (TOML text) or `TASKS` (several); criteria and arms register themselves.

    A file whose name ends with .toml is a task by itself. Code is `tried` in a copy of this process unless that was
    done before. Raises UsageError when the file does not exist or fails on import, however it does.
    """
    if _is_task(path):
        try:
            return read_tasks(_source(path).decode("utf-8"), str(path), fragments=folder_of(path.parent))
        except UnicodeDecodeError as error:
            raise UsageError(f"plugin {path} is no UTF-8 text: {error}") from error
    module, edition = _loaded(path, tried)
    texts = [*_texts(module, "TASKS", path), *_texts(module, "TASK", path)]
    beside = folder_of(path.parent)
    found = [read_tasks(text.replace('"plugin:', f'"{module.__name__}:'), str(path), edition, beside) for text in texts]
    return [task for tasks in found for task in tasks]


def method_texts(path: Path) -> list[str]:
    """The methods that a plugin file brings, as `METHODS` (TOML text, one or several); raises as `load_plugin` does."""
    if _is_task(path):
        return []
    module, _ = _loaded(path)
    return _texts(module, "METHODS", path)


def _texts(module: ModuleType, attribute: str, path: Path) -> list[str]:
    value = getattr(module, attribute, [])
    texts = [*value] if isinstance(value, list | tuple) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"plugin {path}: {attribute} is TOML text, or a list of such texts")
    return texts


def _is_task(path: Path) -> bool:
    """Whether a plugin is no code, but a task in TOML."""
    return path.suffix == ".toml"


def _source(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except FileNotFoundError as error:
        raise UsageError(f"no plugin file {path}") from error
    except Unreadable as error:
        raise UsageError(f"plugin {path} {error}") from error


def _loaded(path: Path, tried: bool = False) -> tuple[ModuleType, str]:
    """The module of a plugin file, which is run once in a process, and the SHA-256 of the file."""
    source = _source(path)
    edition = sha256(source).hexdigest()
    name = f"{PREFIX}{edition[:16]}"
    if name not in sys.modules:
        what = f"plugin {path}"
        if not tried:
            _refuse_crash(what, partial(_import, name, path, what), source)
        _import(name, path, what)
    return sys.modules[name], edition


def folder_of(folder: Path) -> Fragments:
    """Reads the files of a folder that a task in it names in `extends`."""

    def text_of(name: str) -> str:
        try:
            return folder.joinpath(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"extends names {name!r} in {folder}, which cannot be read ({error}): a name is relative to the file "
                "that it stands in"
            ) from error

    return text_of


def _import(name: str, path: Path, what: str) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{what} is no Python file: its name ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _in_one_line(what):
            spec.loader.exec_module(module)
    except UsageError:
        del sys.modules[name]
        raise


def load_extensions(plugins: Iterable[Path], tried: bool = False) -> None:
    """Make third parties' criteria, arms and components known here: entry points first, then plugin files."""
    for group in EXTENSIONS:
        for point in entry_points(group=group):
            load_entry_point(point, tried)
    for plugin in plugins:
        load_plugin(plugin, tried)


def load_entry_point(point: EntryPoint, tried: bool = False) -> object:
    """What an entry point names; raises UsageError when it fails on import, however it does."""
    what = f"entry point {point.name} of {point.dist.name if point.dist else 'an unknown distribution'}"
    if not tried and point.module not in sys.modules:
        _refuse_crash(what, point.load, b"suite.")  # such a module imports the suite, and torch with it
    with _in_one_line(what):
        return point.load()


def _refuse_crash(what: str, load: Callable[[], object], source: bytes) -> None:
    crash = crash_of(load, source)
    if crash is not None:
        raise UsageError(f"{what} crashes on import: {crash}")


@contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Whatever a stranger's code raises on import is said in one line."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        note_place(error)
        raise UsageError(f"{what} fails on import: {in_words(error)}") from error


def note_place(error: BaseException) -> None:
    """Note on an error which line of a third party's code was the last on the way to it; nothing if none was."""
    names = {
        point.module.split(".")[0] for group in (*EXTENSIONS, "lottery.tasks") for point in entry_points(group=group)
    }
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        package = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if package.startswith(PREFIX) or package in names:
            error.add_note(f"{frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}")
            return


def code_of(function: object) -> str:
    """Empty for the suite's own code; for a third party's, SHA-256 of the file it stands in, so that edits count."""
    while isinstance(function, partial):
        function = function.func
    module = getattr(function, "__module__", "")
    if module.split(".")[0] == "suite":
        return ""
    source = getattr(sys.modules.get(module), "__file__", None)
    return sha256(Path(source).read_bytes()).hexdigest() if source else module
