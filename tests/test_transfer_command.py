"""`lottery transfer`, several methods, and what `status` says of older cells: the commands in this process."""

import json
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner, Result

from suite.cli import app
from suite.experiment import domain as domain_module
from suite.experiment.domain import Domain
from suite.experiment.errors import UsageError
from suite.experiment.methods import methods
from suite.tickets.arms import ARMS
from suite.transfer_cli import folder_name

TUTORIAL = Path(__file__).parent / "data" / "breast_cancer.py"
FEW = ["--levels", "1", "--replicates", "2", "--set", "training.total_steps=15", "--executor", "inline"]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks of one network: the tutorial's, and the same with other batches."""
    path = tmp_path_factory.mktemp("plugins") / "two.py"
    text = TUTORIAL.read_text()
    other = text.split('TASK = """')[1].split('"""')[0]
    other = other.replace("tutorial/breast-cancer", "tutorial/other").replace("batch = 32", "batch = 48")
    path.write_text(f'{text}\nTASKS = ["""{other}"""]\n')
    return path


def lottery(*words: str | Path) -> Result:
    """The command in this process; an error that a user would meet in one line is raised."""
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def transfer(plugin: Path, out: Path, *words: str) -> Result:
    places = ["--sources", "tutorial/breast-cancer,tutorial/other", "--targets", "tutorial/other"]
    return lottery("transfer", *places, *FEW, "--plugin", plugin, "--out", out, *words)


@pytest.fixture(scope="module")
def carried(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A finished transfer, which tests leave as it is."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, transfer(plugin, out)


def tasks_of(out: Path) -> list[dict[str, object]]:
    return json.loads(lottery("report", out, "--json").stdout)["tasks"]  # type: ignore[no-any-return]


@pytest.mark.usefixtures("no_page")
def test_a_transfer_has_a_labelled_curve_a_source_and_runs_once(plugin: Path, carried: tuple[Path, Result]) -> None:
    out, done = carried
    assert "Transfer of imp tickets" in (out / "report" / "report.html").read_text()
    assert done.exit_code == 0, done.output
    assert "imp from tutorial/breast-cancer" in done.output
    found = tasks_of(out)
    assert [(task["task"], task["method"]["name"]) for task in found] == [  # type: ignore[index]
        ("tutorial/other", "imp from tutorial/breast-cancer"), ("tutorial/other", "imp from tutorial/other"),
    ]  # fmt: skip
    for task in found:
        assert set(task["arms"]) == {"winning", "random"}  # type: ignore[call-overload]
        assert task["missing"] == []
        assert all(
            value is not None
            for arm in task["arms"].values()  # type: ignore[attr-defined]
            for point in arm
            for value in point["values"]
        )
    assert "0 cells run" in transfer(plugin, out).stderr
    rows = json.loads(lottery("status", out, "--json").stdout)["tasks"]
    assert [(row["method"], row["done"] == row["cells"], row["older"]) for row in rows] == [
        ("imp from tutorial/breast-cancer", True, []), ("imp from tutorial/other", True, []),
    ]  # fmt: skip


def test_a_plan_says_what_ladders_targets_and_pairs_cost_and_trains_nothing(plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = transfer(plugin, out, "--plan")
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    found = json.loads(transfer(plugin, out, "--plan", "--json").stdout)
    assert not out.exists()
    assert [(part["part"], part["cells"], part["steps"]) for part in found["parts"]] == [
        ("ladder of tutorial/breast-cancer", 2, 30), ("dense and random of tutorial/other", 4, 60),
        ("imp from tutorial/breast-cancer on tutorial/other", 2, 30),
        ("imp from tutorial/other on tutorial/other", 2, 30),
    ]  # fmt: skip
    assert (found["total"]["cells"], found["total"]["steps"], len(found["cells"])) == (10, 150, 10)
    assert any(row.startswith("dense and random of tutorial/other 4 60 ") for row in rows)
    assert any(row.startswith("in all 10 150 ") for row in rows)


def test_a_run_of_many_tasks_has_a_folder_whose_name_is_short_enough() -> None:
    names = [f"vision/some-data-set-{i}-small-vgg-sgd" for i in range(8)]
    short = folder_name(names, names, "lite")
    assert len(short) < 100
    assert folder_name(names, names[1:], "lite") != short
    assert folder_name(["a/b"], ["c/d", "c/e"], "lite") == "a-b-to-c-d+c-e-lite"


@pytest.mark.usefixtures("no_page")
def test_a_mask_alone_is_another_curve_beside_the_first(
    plugin: Path, carried: tuple[Path, Result], tmp_path: Path
) -> None:
    copytree(carried[0], tmp_path / "run")
    transfer(plugin, tmp_path / "run", "--carry", "mask")
    names = [task["method"]["name"] for task in tasks_of(tmp_path / "run")]  # type: ignore[index]
    assert len(names) == 4
    assert {"imp from tutorial/other", "imp mask from tutorial/other"} <= set(names)


@pytest.mark.usefixtures("no_page")
def test_a_sources_own_run_spares_the_transfer_its_ladder(plugin: Path, tmp_path: Path) -> None:
    lottery("run", "tutorial/breast-cancer", *FEW, "--plugin", plugin, "--out", tmp_path / "own")
    done = transfer(plugin, tmp_path / "run", "--from", str(tmp_path / "own"))
    assert "2 cells taken from" in done.stderr  # the dense runs, with the masks of level 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--carry", "all"], "--carry all: one of both, mask, weights"),
        (["--method", "fine-tune"], "retraining = 'fine-tune' goes on where a run of the same task ended"),
        (["--sources", ","], "--sources and --targets need a task each"),
        (["--json"], "--json prints a plan: give it with --plan"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(words: list[str], message: str, plugin: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        transfer(plugin, tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_page")
def test_several_methods_are_run_beside_each_other(tmp_path: Path) -> None:
    out = tmp_path / "run"
    task = ["tutorial/breast-cancer", "--plugin", TUTORIAL, "--method", "imp,fine-tune", "--method", "random-erk"]
    done = lottery("run", *task, *FEW, "--out", out)
    assert done.exit_code == 0, done.output
    assert [found["method"]["name"] for found in tasks_of(out)] == ["imp", "fine-tune", "random-erk"]  # type: ignore[index]
    assert all(found["missing"] == [] for found in tasks_of(out))


def test_the_help_of_run_names_every_method_and_arm() -> None:
    words = " ".join(lottery("run", "--help").stdout.replace("│", " ").split())
    assert all(name in words for name in methods())
    assert f"Comma-separated: {', '.join(name for name in ARMS)}." in words


@pytest.mark.usefixtures("no_page")
def test_status_names_the_cells_of_an_older_version_before_and_after_they_are_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: Path
) -> None:
    out = tmp_path / "run"
    chosen = ["run", "tutorial/breast-cancer", *FEW, "--plugin", plugin, "--arms", "winning", "--out", out]
    learner = f"lottery_plugin_{sha256(plugin.read_bytes()).hexdigest()[:16]}:BreastCancer"
    lottery(*chosen)
    assert json.loads(lottery("status", out, "--json").stdout)["tasks"][0]["older"] == []
    raised = Domain.model_construct(name="tutorial", result_versions={learner: 2})
    monkeypatch.setattr(domain_module, "domains", lambda: {"tutorial": raised})
    (row,) = json.loads(lottery("status", out, "--json").stdout)["tasks"]
    places = [(cell["arm"], cell["level"], cell["replicate"]) for cell in row["older"]]
    assert places == [("dense", 0, 0), ("winning", 1, 0), ("dense", 0, 1), ("winning", 1, 1)]
    assert row["older"][0]["versions"] == {"core": 1, "learner": 1}
    assert "4 cells of an older version" in lottery("status", out).stdout
    assert "4 cells run, 0 skipped" in lottery(*chosen).stderr
    (row,) = json.loads(lottery("status", out, "--json").stdout)["tasks"]
    assert (row["done"], row["cells"], len(row["older"])) == (4, 4, 4)
