"""The wheel holds what it needs, and the command runs from anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_tasks_templates_and_leaderboards_but_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "domains/vision/tasks/mnist5k-lenet300.toml",
        "domains/rl/tasks/cartpole.toml",
        "domains/nlp/tasks/kjv-lstm.toml",
        "domains/nlp/tasks/numbers-transformer.toml",
        "domains/nlp/tasks/fragments/imp.toml",
        "domains/vision/tasks/fragments/vgg19.toml",
        "domains/vision/datasets/mnist5k.py",
        "suite/experiment/schedules/cosine.py",
        "domains/collections/quickstart.toml",
        "suite/experiment/methods.toml",
        "suite/results/templates/report.html.j2",
        "suite/py.typed",
        "leaderboards/__init__.py",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith("tests/")]
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "leaderboards").rglob("*") if path.is_file()}
    shipped = {name for name in files if name.endswith(".json") and "/runs/" not in name}
    assert shipped <= set(names), "every entry can be read where the wheel is installed"
    assert not [name for name in names if "/masks/" in name or "/runs/" in name], "masks stay in the checkout"
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "suite").rglob("templates/*")}
    assert len(templates) > 8
    assert templates <= set(names)
    modules = {
        str(path.relative_to(ROOT)) for package in ("suite", "domains") for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= set(names)


def test_the_installed_command_runs_from_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    target, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import suite, sys; print(suite.__file__); from suite.cli import main; sys.argv = ['lottery', 'list']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(target))
    assert "vision/mnist5k-lenet300" in done.stdout


def test_the_core_imports_no_domain_library() -> None:
    """Vision works with no RL or language library installed, and the core with none at all."""
    code = (
        "import sys; import suite.run, suite.experiment.cell, suite.results.report, suite.experiment.supervised;"
        "print(sorted({'torchvision', 'datasets', 'gymnasium', 'stable_baselines3', 'num2words', 'tokenizers',"
        " 'sacrebleu', 'mlxtend', 'domains.vision.data', 'domains.rl.learner', 'domains.nlp.data'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
