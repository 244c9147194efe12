"""The command as a user meets it: what it prints, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suite.cli import app
from tests.commands import Done, lottery

TUTORIAL = Path(__file__).parent / "data" / "breast_cancer.py"
TASK = "tutorial/breast-cancer"
VISION = "vision/mnist5k-lenet300"


def run(folder: Path, *words: str) -> Done:
    """Run the tutorial's task at its smallest, its cells in this process too."""
    return lottery("run", TASK, "--plugin", TUTORIAL, "--out", folder, "--executor", "inline", *words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A finished run of the tutorial's task."""
    folder = tmp_path_factory.mktemp("runs") / "cancer"
    return folder, run(folder)


def test_a_third_partys_task_gives_a_curve_and_a_page(finished: tuple[Path, Done]) -> None:
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"report: {folder}/report/report.html")
    page = (folder / "report" / "report.html").read_text()
    assert "<svg" in page
    assert "Breast cancer" in page
    (task,) = json.loads(lottery("report", str(folder), "--json").stdout)["tasks"]
    assert task["task"] == TASK
    assert [point["level"] for point in task["arms"]["winning"]] == [0, 1, 2, 3]
    assert all(len(point["values"]) == 2 for arm in task["arms"].values() for point in arm)
    dense = task["arms"]["winning"][0]
    assert dense["mean"] > 0.9  # it learns: the majority class is .63


def test_the_readme_shows_the_tutorial_that_is_tested() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    assert TUTORIAL.read_text().strip() in readme


def test_the_same_command_twice_skips_all_cells(finished: tuple[Path, Done]) -> None:
    folder, first = finished
    again = run(folder)
    assert "20 cells run, 0 skipped" in first.stderr
    assert "0 cells run, 20 skipped" in again.stderr


LONG = ("--levels", "9", "--replicates", "6")
"""168 cells, with those of the shorter run among them: on a busy machine, too, it is still at work when it is ended."""


def test_killed_half_way_and_started_again_the_numbers_are_the_same(
    finished: tuple[Path, Done], tmp_path: Path
) -> None:
    folder, _ = finished
    command = [sys.executable, "-m", "suite.cli", "run", TASK, "--plugin", TUTORIAL, "--out", tmp_path / "k", *LONG]
    inline = [*command, "--executor", "inline"]  # one process, that starts twice as fast as two
    process = subprocess.Popen(inline, stderr=subprocess.DEVNULL, start_new_session=True)
    cells = tmp_path / "k" / "cells"
    deadline = time.monotonic() + 300
    while not (cells.is_dir() and len(list(cells.glob("*.json"))) >= 8):  # all dense runs, and two tickets of level 1
        assert time.monotonic() < deadline, "the run did not get half-way"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wanted = {path.name for path in (folder / "cells").glob("*.json")}
    done = wanted & {path.name for path in cells.glob("*.json")}
    assert 0 < len(done) < len(wanted) == 20
    again = run(tmp_path / "k")
    assert again.returncode == 0, again.stderr
    for path in sorted((folder / "cells").glob("*.json")):
        mine, theirs = (json.loads(p.read_text())["cell"] for p in (path, cells / path.name))
        for field in ("weights_digest", "mask_digest", "test", "validation", "trace", "layers"):
            assert mine[field] == theirs[field]


def test_ctrl_c_keeps_finished_cells_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "suite.cli", "run", TASK, "--plugin", TUTORIAL, "--out", tmp_path / "k", *LONG]
    command += ["--jobs", "1"]
    heeding = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from suite.cli import main; main()"
    )
    command[1:3] = ["-c", heeding]  # a shell in the background has its children ignore Ctrl-C
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list((tmp_path / "k" / "cells").glob("*.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("lottery: stopped; finished cells are kept")
    assert list((tmp_path / "k" / "cells").glob("*.json"))


def test_finished_cells_are_taken_over_from_another_run(finished: tuple[Path, Done], tmp_path: Path) -> None:
    folder, _ = finished
    done = run(tmp_path / "other", "--from", str(folder), "--levels", "4")
    assert done.returncode == 0, done.stderr
    assert "20 skipped" in done.stderr


def test_status_counts_what_is_done(finished: tuple[Path, Done]) -> None:
    (row,) = json.loads(lottery("status", str(finished[0]), "--json").stdout)["tasks"]
    assert (row["done"], row["cells"], row["diverged"], row["seconds_left"]) == (20, 20, 0, 0)


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--json"),
        ("show", "vision/mnist5k-lenet300", "--json"),
        ("plan", "vision/mnist5k-lenet300", "--scale", "smoke", "--json"),
    ],
)
def test_json_is_all_that_is_printed(words: tuple[str, ...]) -> None:
    done = lottery(*words)
    assert done.returncode == 0
    assert json.loads(done.stdout)["schema"] == 1


def test_the_status_of_a_transfer_between_tasks_of_long_names_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "task": "vision/fashion-mnist-small-vgg-sgd", "scale": "lite", "cells": 120, "done": 119, "diverged": 1,
        "method": "imp from vision/tiny-imagenet-small-vgg-sgd", "seconds_left": 600, "connections": 0, "older": [],
        "missing_masks": [],
    }  # fmt: skip
    monkeypatch.setattr("suite.finished.progress_of", lambda _: [row])
    monkeypatch.setenv("COLUMNS", "80")
    shown = lottery("status", "run").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "119/120" in shown
    assert "10.0 min" in shown


def test_a_plan_of_several_methods_counts_what_they_share_once() -> None:
    words = ("plan", VISION, "--scale", "smoke", "--method", "imp,one-shot", "--levels", "1", "--arms", "winning")
    planned = json.loads(lottery(*words, "--json").stdout)
    assert [task["cells"] for task in planned["tasks"]] == [4, 4]
    assert planned["total"]["cells"] == len({cell["key"] for cell in planned["cells"]}) == len(planned["cells"]) == 6
    table = lottery(*words).stdout
    assert "in all, a shared cell once" in table


def test_a_shown_task_is_run_from_the_file_that_it_is_saved_in(tmp_path: Path) -> None:
    shown = lottery("show", VISION, "--scale", "smoke", "--set", "training.epochs=1", "--method", "one-shot").stdout
    (tmp_path / "mine.toml").write_text(shown.replace(f'id = "{VISION}"', 'id = "vision/mine"'))
    words = (
        "plan",
        "vision/mine",
        "--plugin",
        str(tmp_path / "mine.toml"),
        "--levels",
        "1",
        "--arms",
        "winning",
        "--json",
    )
    (cost,) = json.loads(lottery(*words).stdout)["tasks"]
    assert (cost["task"], cost["scale"]) == ("vision/mine", "smoke")
    assert (cost["cells"], cost["steps"]) == (4, 2 * (8 + 8 - 2))


def test_what_a_run_would_refuse_a_plan_refuses() -> None:
    for change, words in (
        ("model.name=vgg19", "model.name = 'vgg19'; nearest: vgg: one of lenet-300-100"),
        ("training.batch=5000", "training.batch = 5000 exceeds the 3500 training examples"),
        ("data.settings.half=c", "data.settings.half = 'c': one of a, b"),
    ):
        refused = lottery("plan", VISION, "--set", change)
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr


def test_listing_tasks_imports_no_torch() -> None:
    """What keeps `lottery list` quick."""
    code = "import sys; from suite.cli import list_tasks; list_tasks([], True); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "vision/mnist5k-lenet"), 2, "unknown task 'vision/mnist5k-lenet'; nearest: vision/mnist5k-lenet300"),
        (("run", TASK, "--levels", "-1"), 2, "--levels -1: a whole number from 0 to 200 is needed"),
        (("run", TASK, "--levels", "100000"), 2, "--levels 100000: a whole number from 0 to 200 is needed"),
        (
            ("run", TASK, "--seed", "99999999999999999999"),
            2,
            "99999: a whole number from 0 to 1000000 is",
        ),
        (("run", TASK, "--set", "training.total_steps=99999999999999999999"), 2, "a whole number of at most"),
        (("run", TASK, "--set", "name="), 2, "--set: name = '': text of 1 to 80 characters is needed"),
        (("run", TASK, "--device", "meta"), 2, "--device meta: cpu, cuda, cuda:1, … or mps is needed"),
        (("show", "quickstart"), 2, "quickstart is a collection: name one of vision/mnist5k-lenet300"),
        (("run", TASK, "--replicates", "0"), 2, "--replicates 0"),
        (("run", TASK, "--set", "rate=1.5"), 2, "--set: rate = 1.5: a number from 0 to 1 is needed"),
        (("run", TASK, "--set", "rewind_stp=5"), 2, "unknown --set key 'rewind_stp'; nearest: rewind_step"),
        (("run", TASK, "--set", "rate"), 2, "key=value is needed"),
        (("run", TASK, "--set", "training.optimizer.name=foo"), 2, "optimizer.name = 'foo': one of adam, adamw"),
        (("run", TASK, "--set", "training.optimizer.lr=fast"), 2, "optimizer.lr = 'fast': a number of at least 0 is"),
        (("run", VISION, "--set", "data.settings.train=abc"), 2, "data.settings.train = 'abc': a whole number of at"),
        (("run", TASK, "--arms", "winning,losing"), 2, "unknown arm 'losing': one of winning, reinit"),
        (("run", TASK, "--method", "imq"), 2, "unknown method 'imq'; nearest: imp"),
        (("run", TASK, "--scale", "huge"), 2, "has no scale 'huge': one of smoke"),
        (("run", TASK, "--device", "cuda:7"), 2, "--device cuda:7 is not usable here"),
        (("run", TASK, "--executor", "moon"), 2, "--executor moon"),
        (("run", TASK, "--executor", "inline", "--out", "/proc/nowhere"), 2, "cannot write to /proc/nowhere"),
        (("run", TASK, "--from", "nowhere"), 2, "no run in nowhere"),
        (("report", "nowhere"), 2, "no run in nowhere"),
        (("status", "nowhere"), 2, "no run in nowhere"),
        (("run",), 2, "Missing argument"),
        (("fly",), 2, "No such command 'fly'"),
        (("run", TASK, "--plugin", "nowhere.py"), 2, "no plugin file nowhere.py"),
    ],
)
def test_wrong_use_is_one_clear_line(words: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    plugin = ("--plugin", str(TUTORIAL)) if TASK in words and "--plugin" not in words else ()
    done = lottery(*words, *plugin, cwd=tmp_path)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_a_misspelt_field_of_a_task_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(TUTORIAL.read_text().replace("total_steps", "totl_steps"))
    done = lottery("run", TASK, "--plugin", str(broken), cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown setting training.totl_steps; nearest: total_steps" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_corrupted_store_file_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    assert run(tmp_path / "r", "--levels", "1").returncode == 0
    path = sorted((tmp_path / "r" / "cells").glob("*.json"))[0]
    path.write_bytes(path.read_bytes()[:100])
    done = run(tmp_path / "r", "--levels", "1")
    assert done.returncode == 1
    assert f"{path.name} is corrupted" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    path.unlink()
    assert "1 cell run" in run(tmp_path / "r", "--levels", "1").stderr


def test_every_command_teaches_in_its_help() -> None:
    commands = [command.callback for command in app.registered_commands]
    assert {c.__name__ for c in commands if c} >= {"run", "report", "compare", "submit", "verify", "board"}
    for group in app.registered_commands:
        assert group.callback is not None
        assert group.callback.__doc__
        name = group.name or group.callback.__name__
        done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
        assert done.exit_code == 0
        assert group.callback.__doc__.splitlines()[0] in done.stdout


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("loss *= float('nan')", 0, "no ticket for 1 cell, the ladder diverged; the first: "),
        ("raise RuntimeError('broken')", 1, "1 cell failed, 1 could not start; the first: "),
    ],
)
def test_a_diverged_ladder_is_a_result_and_a_failed_one_is_not(
    fault: str, code: int, words: str, tmp_path: Path
) -> None:
    old = "        return F.cross_entropy(self.model(self._inputs[rows]), self._labels[rows])"
    new = f"        if step > 10 and (self.model[0].weight == 0).any():\n            {fault}\n        return loss"
    plugin = tmp_path / "mine.py"
    assert old in TUTORIAL.read_text()
    plugin.write_text(TUTORIAL.read_text().replace(old, f"{old.replace('return', 'loss =')}\n{new}"))
    few = ["--levels", "2", "--replicates", "1", "--arms", "winning", "--set", "training.total_steps=15"]
    out = ["--executor", "inline", "--out", str(tmp_path / "run")]
    for _ in range(2):
        done = lottery("run", TASK, "--plugin", str(plugin), *few, *out)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
