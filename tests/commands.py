"""The command `lottery` in this process, for tests of no signal, crash or import: a new process takes seconds."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from suite import cli


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def lottery(*words: str | Path, cwd: Path | None = None) -> Done:
    """Run the command with standard output and error caught, in a folder of its own if one is given."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["lottery", *map(str, words)]),
        # Tests read the suite from the checkout, beside which tox has installed a wheel of it.
        patch.object(cli, "_warn_of_another_suite", lambda: None),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd) if cwd else contextlib.nullcontext(),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())
