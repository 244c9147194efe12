"""A stranger's code is loaded whatever it does: what is wrong with it is said in one line."""

import os
import sys
from pathlib import Path

import pytest

from suite.experiment.errors import UsageError
from suite.experiment.plugins import load_plugin


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(0)", "crashes on import: its process ended with exit code 0"),
        ("import os; os._exit(3)", "crashes on import: its process ended with exit code 3"),
        ("import ctypes; ctypes.string_at(0)", "crashes on import: its process ended with SIGSEGV"),
        ("import os; os.abort()", "crashes on import: its process ended with SIGABRT"),
        ("import sys; sys.exit(0)", "fails on import: SystemExit: 0"),
        ("raise BaseException('no')", "mine.py, line 1, in <module>)"),
        ("def f(): f()\nf()", "fails on import: RecursionError: maximum recursion depth exceeded"),
        ("x = 'half", "fails on import: SyntaxError: unterminated string literal"),
        ("TASKS = 5", "TASKS is TOML text, or a list of such texts"),
        ("TASK = b'id'", "TASK is TOML text, or a list of such texts"),
        ("TASK = 'id = '", "is no TOML: Invalid value"),
        ("TASK = 'x = ' + '[' * 100_000", "is no TOML: it is nested too deeply"),
        ("TASK = 'x = ' + '9' * 10_000", "is no TOML: Exceeds the limit"),
        ("TASK = 'id = 5\\n[scales.smoke]'", "id = 5: text of the form"),
        ("TASK = 'scales = 5'", "has no [scales.<name>] table"),
        ("TASK = '[scales]\\nsmoke = 5'", "scales.smoke = 5: a table is needed"),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said_in_one_line(code: str, words: str, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(code)
    with pytest.raises(UsageError) as caught:
        load_plugin(plugin)
    assert words in str(caught.value)
    assert str(plugin) in str(caught.value)


def test_no_half_imported_plugin_stays_behind_to_be_taken_for_a_whole_one(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("TASKS = []\nraise ValueError('half')")
    for _ in range(2):
        with pytest.raises(UsageError, match="fails on import: ValueError: half"):
            load_plugin(plugin)
    assert not [module for module in sys.modules.values() if getattr(module, "__file__", None) == str(plugin)]


def test_a_plugin_that_prints_is_heard_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("import os, sys; print('hello', flush=True); os.write(1, b'low'); TASKS = []")
    assert load_plugin(plugin) == []
    assert capfd.readouterr().out == "hello\nlow"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("folder", "is no regular file"),
        ("pipe", "is no regular file"),
        ("missing", "no plugin file"),
        ("text", "is no Python file: its name ends with .py"),
    ],
)
def test_what_is_no_plugin_file_is_refused(kind: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / ("mine.txt" if kind == "text" else "mine.py")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "text":
        path.write_text("TASKS = []")
    with pytest.raises(UsageError, match=words):
        load_plugin(path)
