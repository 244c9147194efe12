"""Settings of all tests."""

import pytest
from hypothesis import settings

from suite.experiment.domain import domains

settings.register_profile("shared-machine", deadline=None)  # a slow machine is no failing property
settings.load_profile("shared-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the extra `fairseq` is not to be had, as on Python 3.13, its tests are skipped; elsewhere they fail."""
    reason = domains()["nlp"].extras["fairseq"].left_out
    for item in items:
        if reason and item.get_closest_marker("fairseq"):
            item.add_marker(pytest.mark.skip(reason=f"fairseq is {reason}"))
