"""Settings of all tests, and what several of them share."""

from pathlib import Path

import pytest
from hypothesis import settings

from suite.experiment.domain import domains
from suite.results.view import RunView

settings.register_profile("shared-machine", deadline=None)  # a slow machine is no failing property
settings.load_profile("shared-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the extra `fairseq` is not to be had, as on Python 3.13, its tests are skipped; elsewhere they fail."""
    reason = domains()["nlp"].extras["fairseq"].left_out
    for item in items:
        if reason and item.get_closest_marker("fairseq"):
            item.add_marker(pytest.mark.skip(reason=f"fairseq is {reason}"))


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end with an empty page: to draw one takes longer than a small run, and other tests look at it."""

    def write_nothing(run: RunView, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").touch()
        return folder / "report.html"

    monkeypatch.setattr("suite.run.write_report", write_nothing)
