"""A domain is a folder with one manifest, built in or a third party's, and none of its code is run to find it."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from suite.experiment import domain as domain_module
from suite.experiment.domain import computing, domain_of, domains
from suite.experiment.errors import RunError, UsageError
from suite.experiment.loading import builder
from suite.experiment.registry import Registry
from suite.experiment.task import TaskSpec
from tests.experiment.toy import TOML

MANIFEST = 'name = "sound"\ntitle = "Sounds"\ninstall = "my-sounds"\ncomputing = ["rich"]\n'


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a third party's domain, which an entry point names and whose import would fail."""
    folder = tmp_path / "sounds_of_mine"
    (folder / "tasks").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "domain.toml").write_text(MANIFEST)
    (folder / "tasks" / "points.toml").write_text(TOML.replace("toy/points", "sound/points"))
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("sound", folder.name, "lottery.domains")]
    monkeypatch.setattr(domain_module, "entry_points", lambda group: points if group == "lottery.domains" else [])
    domains.cache_clear()
    yield folder
    domains.cache_clear()
    sys.modules.pop(folder.name, None)


def test_a_third_partys_domain_is_found_with_its_tasks_and_nothing_of_it_is_imported(sounds: Path) -> None:
    found = domains()["sound"]
    assert (found.title, found.package, found.tasks) == ("Sounds", "sounds_of_mine", sounds / "tasks")
    assert Registry().find("sound/points").at("smoke").spec.domain == "sound"
    assert "sounds_of_mine" not in sys.modules
    assert computing("sound") == ("python", "torch", "numpy", "rich")
    assert set(domains()) == {"nlp", "rl", "sound", "vision"}


def test_a_learner_belongs_to_the_domain_of_its_package(sounds: Path) -> None:
    mine = domain_of("sounds_of_mine.learner:Sound")
    assert mine is not None
    assert mine.name == "sound"
    assert domain_of("lottery_plugin_1:Sound") is None
    assert domain_of("sounds_of_mine_too.learner:Sound") is None


def learner_that(sounds: Path, imports: str) -> TaskSpec:
    """A task of a domain whose package begins with a line of code."""
    (sounds / "__init__.py").write_text(imports)
    text = TOML.replace("toy/points", "sound/points").replace("tests.experiment.toy:Toy", "sounds_of_mine.it:")
    (sounds / "tasks" / "points.toml").write_text(text)
    return Registry().find("sound/points").at("smoke").spec


@pytest.mark.parametrize(
    ("imports", "words"),
    [
        ("import no_such_library", r"needs 'no_such_library', .*: pip install 'my-sounds'"),
        (
            "raise ImportError('libGL: no such file', name='cv2')",
            r"needs 'cv2', .* cannot be loaded \(libGL: no such file\)",
        ),
        ("raise ImportError('libGL: no such file')", r"needs a library, .* cannot be loaded \(libGL: no such file\)"),
    ],
)
def test_a_missing_or_broken_library_of_a_domain_is_told_by_name(sounds: Path, imports: str, words: str) -> None:
    with pytest.raises(RunError, match=f"sound/points {words}"):
        builder(learner_that(sounds, imports))


@pytest.mark.parametrize("imports", ["from suite.experiment import no_such_name", "from . import no_such_name"])
def test_a_learner_whose_own_import_is_wrong_is_not_excused_as_a_library(sounds: Path, imports: str) -> None:
    with pytest.raises(ImportError, match="no_such_name"):
        builder(learner_that(sounds, imports))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"domain\.toml: name is missing"),
        (MANIFEST.replace("title", "titel"), r"domain\.toml: unknown setting titel; nearest: title"),
        (MANIFEST.replace('"sound"', '"vision"'), r"sounds_of_mine: domain 'vision' exists already in domains\.vision"),
        ("= 3", r"the manifest .*domain\.toml cannot be read"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_by_its_path(sounds: Path, text: str, words: str) -> None:
    (sounds / "domain.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        domains()


def test_an_entry_point_without_a_package_is_refused(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("sound", "nowhere_at_all", "lottery.domains")]
    monkeypatch.setattr(domain_module, "entry_points", lambda group: points)
    with pytest.raises(UsageError, match=r"the domain package nowhere_at_all does not exist"):
        domains()
