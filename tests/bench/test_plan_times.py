"""`lottery bench plan` fills a store through the store's own door, and times each command in a process of its own."""

import json
from pathlib import Path

from suite.bench.plan import _fill, _tasks
from suite.bench.timed import COMMANDS
from suite.experiment.registry import Registry
from suite.experiment.store import Store
from suite.finished import progress_of, view_of
from tests.commands import lottery

ONE = 1 + 24 * 6
"""Cells of a replicate: the dense run, and six arms at 24 levels."""


def test_made_up_results_are_results_like_any_other(tmp_path: Path) -> None:
    task = Registry().find("vision/mnist5k-lenet300").at("lite")
    tasks = list(_tasks(task, 2 * ONE, methods=2))
    assert [each.options.replicates for each in tasks] == [1, 1]
    cells, results = _fill(tmp_path, tasks)
    assert (cells, results) == (2 * ONE, 2 * ONE - 1), "the two methods share the dense run"
    assert len(Store(tmp_path).cell_keys()) == results
    assert [(row["cells"], row["done"]) for row in progress_of(tmp_path)] == [(ONE, ONE)] * 2
    assert [len(view.cells) for view in view_of(tmp_path).tasks] == [ONE] * 2


def test_every_command_is_timed(tmp_path: Path) -> None:
    done = lottery("bench", "plan", "--cells", "1", "--folder", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["cells"], found["results"], found["threads"]) == (ONE, ONE, 1)
    assert [each["command"] for each in found["measured"]] == list(COMMANDS)
    assert all(each["seconds"] > 0 and each["memory"] > 2**24 for each in found["measured"])
    assert found["page"] > 10_000
    assert not list(tmp_path.iterdir()), "the store is temporary"
