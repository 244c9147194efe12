"""`lottery stability`: what is planned, run, resumed and refused, in this process."""

import json
from pathlib import Path

import pytest

from suite.experiment.options import Connected
from suite.sweep import choose_sweep
from tests.commands import Done, lottery

TUTORIAL = Path(__file__).parent / "data" / "breast_cancer.py"
TASK = ("tutorial/breast-cancer", "--plugin", TUTORIAL)
FEW = ("--rewind-steps", "5,0", "--at", "0,1", "--set", "training.total_steps=15", "--executor", "inline")


def stability(*words: str | Path) -> Done:
    return lottery("stability", *TASK, *FEW, *words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three replicates."""
    out = tmp_path_factory.mktemp("stability") / "run"
    done = stability("--replicates", "3", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_a_plan_counts_what_rewind_steps_share_once() -> None:
    done = stability("--replicates", "3", "--plan", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Each step: a winning cell and two children a replicate; the dense runs are those of both.
    assert [part["cells"] for part in found["parts"]] == [3 + 9, 9]
    assert [part["part"].rpartition(" ")[2] for part in found["parts"]] == ["k=0", "k=5"]
    assert found["total"]["cells"] == len(found["cells"]) == 21
    assert len(found["connections"]) == 12
    keys = {cell["key"] for cell in found["cells"]}
    assert all(set(each["children"]) <= keys for each in found["connections"])
    assert "12 lines of 11 points between two children" in stability("--replicates", "3", "--plan").stdout


def test_the_same_command_again_runs_nothing_and_a_new_step_only_its_own(finished: Path) -> None:
    assert "0 cells run" in stability("--replicates", "3", "--out", finished).stderr
    rows = json.loads(lottery("status", finished, "--json").stdout)["tasks"]
    assert [(row["method"], row["measured"], row["connections"], row["seconds_left"]) for row in rows] == [
        ("imp k=0", 6, 6, 0.0), ("imp k=5", 6, 6, 0.0)
    ]  # fmt: skip
    assert "imp k=5: 6 of 6 connections between children measured" in lottery("status", finished).stdout


def test_a_stability_run_takes_finished_cells_from_a_run_of_the_task(finished: Path, tmp_path: Path) -> None:
    taken = stability("--replicates", "3", "--out", tmp_path / "run", "--from", finished)
    assert "21 cells taken from" in taken.stderr
    assert "0 cells run" in taken.stderr


def test_defaults_are_the_dense_network_and_the_tasks_levels_at_steps_around_its_own() -> None:
    chosen = choose_sweep("tutorial/breast-cancer", None, (), None, None, {}, {"levels": 6}, (), (TUTORIAL,))
    own = choose_sweep("tutorial/breast-cancer", None, (), [7], [0, 2, 4], {}, {}, (), (TUTORIAL,))
    steps = chosen[0].spec.training.total_steps
    k = chosen[1].method.rewind_step
    assert [task.method.rewind_step for task in chosen] == [step for step in (0, k, 4 * k) if step < steps]
    assert chosen[0].options.connected == Connected(levels=(0, 2, 4, 6))
    assert (chosen[0].options.arms, chosen[0].options.at) == (("winning",), (2, 4, 6))
    assert (own[0].options.levels, own[0].options.at, own[0].method.name) == (4, (2, 4), "imp k=7")
    dense = choose_sweep("tutorial/breast-cancer", None, (), [7], [0], {}, {"arms": ["random"]}, (), (TUTORIAL,))
    assert (dense[0].options.levels, dense[0].options.at) == (0, ())
    assert dense[0].options.arms == ("winning", "random")


def test_what_is_stable_is_said_first_in_words_and_the_same_in_json(finished: Path) -> None:
    shown = lottery("report", finished).stdout
    assert shown.startswith("tutorial/breast-cancer smoke: stability of tickets\n")
    assert shown.index("At k = 0 dense networks are") < shown.index("report: ")
    (found,) = json.loads(lottery("report", finished, "--json").stdout)["stability"]
    assert [(test["rewind_step"], test["level"], test["n"]) for test in found["tested"]] == [
        (0, 0, 3), (0, 1, 3), (5, 0, 3), (5, 1, 3)
    ]  # fmt: skip
    again = stability("--replicates", "3", "--out", finished, "--json")
    assert json.loads(again.stdout) == {"schema": 1, "stability": [found]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "1,x"], "--at 1,x: whole numbers of 0 or more are needed, such as --at 0,3,6"),
        (["--rewind-steps", "-1"], "--rewind-steps -1: whole numbers of 0 or more are needed"),
        (["--rewind-steps", "15"], "rewind_step = 15: tutorial/breast-cancer smoke has steps 0 to 14"),
        (["--set", "rewind_step=3"], "--set rewind_step: name the steps with --rewind-steps"),
        (["--method", "imp,fine-tune"], "stability takes one task and one method at a time, this names"),
        (["--method", "fine-tune"], "retraining = 'fine-tune' goes on from final weights"),
        (["--set", "metric.highest=500"], "is measured by 'accuracy', which is no share between 0 and 1"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    done = stability(*words, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()
