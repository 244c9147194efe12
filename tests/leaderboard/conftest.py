"""A finished run of the tutorial's task, and boards."""

import sys
from pathlib import Path

import pytest
from tutorial_run import run_tutorial

from suite.leaderboard.board import Board

TESTS = Path(__file__).parent.parent
sys.path.append(str(TESTS / "results"))  # for synthetic_cells: a run's views


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run: levels 0 to 2 of three arms, two replicates."""
    return run_tutorial(tmp_path_factory.mktemp("runs") / "cancer")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """An empty board."""
    (tmp_path / "board").mkdir()
    return Board(tmp_path / "board")
