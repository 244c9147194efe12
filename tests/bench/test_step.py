"""`lottery bench step`: both sides in one run. Times are the machine's; the structure is asserted."""

import json

import pytest
from typer.testing import CliRunner

from suite.bench.sides import Side, against_first
from suite.cli import app

WORDS = ["bench", "step", "vision/mnist5k-lenet300", "--threads", "1"]
SIDES = [
    "bare loop",
    "bare loop that picks its batches",
    "bare loop, gradients times a mask",
    "learner",
    "learner, masked at density 1",
    "learner, masked at density 0.2",
    "learner, masked at density 0.01",
]


def test_every_side_is_timed_in_every_round() -> None:
    done = CliRunner().invoke(
        app, [*WORDS, "--scale", "smoke", "--builds", "2", "--rounds", "2", "--steps", "3", "--json"]
    )
    assert done.exit_code == 0, done.output
    table = json.loads(done.stdout)
    assert (table["task"], table["scale"], table["builds"], table["rounds"], table["steps"]) == (
        "vision/mnist5k-lenet300",
        "smoke",
        2,
        2,
        3,
    )
    assert table["threads"] == 1
    assert len(table["load"]) == 3
    assert [side["name"] for side in table["sides"]] == SIDES
    assert table["sides"][0]["ratio"] == table["sides"][0]["cpu_ratio"] == 1
    assert all(side["seconds"] > 0 and side["ratio"] > 0 for side in table["sides"])


def test_the_printed_table_says_how_often_was_built_and_timed() -> None:
    done = CliRunner().invoke(app, [*WORDS, "--scale", "smoke", "--builds", "2", "--rounds", "1", "--steps", "1"])
    assert done.exit_code == 0, done.output
    assert "2 builds of 1 rounds, 1 steps each, 1 thread(s)" in " ".join(done.output.split())


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    found = {"bare": [(1.0, 2.0), (2.0, 4.0), (10.0, 6.0)], "other": [(1.5, 2.0), (4.0, 8.0), (10.0, 12.0)]}
    assert against_first(found)[1] == Side("other", 4.0, 1.5, 8.0, 2.0)


def test_a_task_without_a_loss_on_batches_is_refused() -> None:
    pytest.importorskip("stable_baselines3")
    done = CliRunner().invoke(app, ["bench", "step", "rl/cartpole", "--scale", "smoke", "--rounds", "1"])
    assert done.exit_code != 0
    assert "no loss on fixed batches" in str(done.exception)
