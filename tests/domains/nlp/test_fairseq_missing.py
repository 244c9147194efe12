"""What is said of fairseq where it is missing, broken or left out; none of it needs fairseq, or is spoilt by it."""

import ast
import json
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging import markers
from packaging.requirements import Requirement

from domains.nlp import fairseq_backend as backend
from suite.bench.peer import measure
from suite.experiment import domain as domain_module
from suite.experiment.domain import domains
from suite.experiment.errors import RunError, UsageError
from suite.experiment.learner import Span
from suite.experiment.loading import builder, installed
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data
from tests.commands import Done, lottery

ROOT = Path(__file__).parents[3]
TASK = "nlp/multi30k-transformer-fairseq"


@pytest.fixture(autouse=True)
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No distribution that brings fairseq is installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "fairseq"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fairseq", None)
    monkeypatch.setattr(backend, "version", lambda name: (_ for _ in ()).throw(PackageNotFoundError(name)))
    backend.library.cache_clear()
    yield
    backend.library.cache_clear()


def on_python(minor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Python on the machine that the extra is for."""
    here = dict(markers.default_environment())
    here |= {"platform_system": "Linux", "platform_machine": "x86_64", "python_version": minor}
    monkeypatch.setattr(markers, "default_environment", lambda: here)
    monkeypatch.setattr(domain_module.platform, "python_version_tuple", lambda: (*minor.split("."), "1"))
    monkeypatch.setattr(domain_module.platform, "system", lambda: "Linux")
    monkeypatch.setattr(domain_module.platform, "machine", lambda: "x86_64")


def ran(folder: Path) -> Done:
    words = ("--executor", "inline", "--replicates", "1", "--levels", "0", "--out", folder)
    return lottery("run", TASK, "--scale", "smoke", *words)


def last_line(done: Done) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_without_the_extra_a_run_says_in_one_line_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_python("3.12", monkeypatch)
    assert last_line(ran(tmp_path)).endswith(
        f"{TASK} needs 'fairseq', which is not installed: pip install 'lottery-suite[nlp,fairseq]'"
    )


def test_on_python_3_13_a_run_says_that_fairseq_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_python("3.13", monkeypatch)
    assert last_line(ran(tmp_path)).endswith(
        "needs 'fairseq', which is left out here: it has wheels for Linux on x86-64 and Python up to 3.12 alone, and "
        "this is Python 3.13 on Linux x86_64"
    )


def test_the_broken_distribution_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_python("3.11", monkeypatch)
    monkeypatch.setattr(backend, "version", {"fairseq": "0.12.2"}.__getitem__)
    assert last_line(ran(tmp_path)).endswith(
        "the distribution fairseq 0.12.2 is installed, which does not import on Python 3.11 and evaluates with weights "
        "that no mask reaches: pip uninstall fairseq, then pip install 'lottery-suite[nlp,fairseq]'"
    )


@pytest.mark.parametrize(("minor", "said"), [("3.11", False), ("3.12", False), ("3.13", True)])
def test_the_list_of_tasks_says_where_fairseq_is_left_out(
    minor: str, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_python(minor, monkeypatch)
    tasks = [task_id for task_id in Registry().ids if task_id.endswith("-fairseq")]
    assert TASK in tasks
    why = f"left out here: {domains()['nlp'].extras['fairseq'].about}, and this is Python 3.13 on Linux x86_64"
    shown = lottery("list")
    assert shown.returncode == 0
    assert (f"fairseq is {why}; {', '.join(tasks)} cannot be run" in shown.stdout) == said
    found = json.loads(lottery("list", "--json").stdout)["left_out"]
    assert found == ({"fairseq": {"why": why, "tasks": tasks}} if said else {})


def test_tasks_of_fairseq_are_planned_and_shown_without_it() -> None:
    for task_id in Registry().ids:
        if task_id.endswith("-fairseq"):
            assert Registry().find(task_id).at("smoke").spec.prunable


def test_binaries_of_fairseq_name_the_extra_to_whoever_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_python("3.12", monkeypatch)
    spec = Registry().find("nlp/multi30k-transformer").at("smoke").spec
    settings = {"folder": "bin", "source": "en", "target": "de", "train": 4}
    spec = spec.model_copy(update={"data": Data(name="fairseq-binaries", fingerprint="", settings=settings)})
    with pytest.raises(RunError, match=r"'fairseq', which is not installed: .*\[nlp,fairseq\]'"), installed(spec):
        builder(spec)(spec, Streams(spec.hash, 0), Span(0, 4), Runtime(data=tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.name": "lstm_lm"}, r"'lstm_lm': one of transformer_wmt_en_de, transformer_wmt_en_de_big"),
        ({"training.optimizer.amsgrad": True}, r"unknown setting training\.optimizer\.amsgrad"),
        ({"model.heads": 3}, r"width = 16: a multiple of heads = 3 that is even and 4 or more is needed"),
    ],
)
def test_what_fairseq_has_not_is_refused_before_a_run(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Registry().find(TASK).at("smoke", changes)


def test_the_manifest_says_of_the_extra_what_pyproject_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (line,) = project["optional-dependencies"]["fairseq"]
    needed, extra = Requirement(line), domains()["nlp"].extras["fairseq"]
    assert str(needed.marker) == str(markers.Marker(extra.marker))
    assert extra.install == f"{project['name']}[nlp,fairseq]"


def test_fairseq_is_imported_in_one_module_alone() -> None:
    importing = set()
    for path in [*(ROOT / "suite").rglob("*.py"), *(ROOT / "domains").rglob("*.py")]:
        text = path.read_text("utf-8")
        named = {
            name
            for node in ast.walk(ast.parse(text))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        if (
            any(name.partition(".")[0] in ("fairseq", "fairseq_cli") for name in named)
            or 'import_module("fairseq' in text
        ):
            importing.add(path.relative_to(ROOT).as_posix())
    assert importing == {"domains/nlp/fairseq_backend.py"}


def test_a_language_model_is_timed_beside_the_plain_loop_alone() -> None:
    found = measure(Registry().find("nlp/kjv-lstm").at("smoke").spec, 1, 1).training
    assert [side.name for side in found.sides] == ["torch.nn.LSTM in a plain loop", "learner"]
