"""Third parties' code: plugin files, entry points, and the digest that tells one edition from another."""

import importlib.util
import sys
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path

from suite.experiment.errors import UsageError
from suite.experiment.taskfile import TaskFile, read_task


def load_plugin(path: Path) -> list[TaskFile]:
    """Run a plugin file; its tasks are `TASK` (TOML text) or `TASKS` (several); criteria and arms register themselves.

    Raises UsageError when the file does not exist or fails on import.
    """
    if not path.is_file():
        raise UsageError(f"no plugin file {path}")
    digest = sha256(path.read_bytes()).hexdigest()
    name = f"lottery_plugin_{digest[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"plugin {path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # whatever the stranger's code raises is said in one line
            del sys.modules[name]
            raise UsageError(f"plugin {path} fails on import: {type(error).__name__}: {error}") from error
    module = sys.modules[name]
    texts = [*getattr(module, "TASKS", ()), *([module.TASK] if hasattr(module, "TASK") else [])]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"plugin {path}: TASK is TOML text, TASKS a list of such texts")
    return [read_task(text.replace('"plugin:', f'"{name}:'), str(path), digest) for text in texts]


def load_extensions(plugins: Iterable[Path]) -> None:
    """Make third parties' criteria and arms known in this process: entry points first, then plugin files."""
    for group in ("lottery.scores", "lottery.arms"):
        for point in entry_points(group=group):
            point.load()
    for plugin in plugins:
        load_plugin(plugin)


def code_of(function: object) -> str:
    """Empty for the suite's own code; for a third party's, SHA-256 of the file it stands in, so that edits count."""
    while isinstance(function, partial):
        function = function.func
    module = getattr(function, "__module__", "")
    if module.split(".")[0] == "suite":
        return ""
    source = getattr(sys.modules.get(module), "__file__", None)
    return sha256(Path(source).read_bytes()).hexdigest() if source else module
