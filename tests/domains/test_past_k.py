"""In every domain: a ticket that was trained past the rewind step it names is found out by replaying to that step."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from suite.choose import choose
from suite.leaderboard.board import Board, text_of
from suite.leaderboard.masks import ladder_files
from suite.leaderboard.schema import Measured
from suite.leaderboard.submit import Submission, submissions
from suite.leaderboard.verify import verify
from suite.run import run_tasks

TASKS = ["vision/mnist5k-lenet300", "rl/cartpole", "nlp/kjv-lstm", "nlp/numbers-transformer"]
LATE = 10
"""Steps that the ticket was trained past its rewind step."""


def late(task: str, folder: Path) -> tuple[Submission, int]:
    """A run whose winning tickets were rewound too late, and the step that they are said to be of."""
    options = {"executor": "inline", "levels": 1, "replicates": 2, "arms": ("winning", "reinit")}
    (own,) = choose([task], "smoke", [], options, [], [])
    said = own.method.rewind_step
    tasks = choose([task], "smoke", [], options, [f"rewind_step={said + LATE}"], [])
    run_tasks(tasks, folder, [], [], "lottery run")
    (one,) = submissions(folder, author="Eve", description="Rewound late.")
    return one, said


@pytest.mark.parametrize("task", TASKS)
def test_a_ticket_trained_past_its_rewind_step_is_caught(task: str, tmp_path: Path) -> None:
    one, said = late(task, tmp_path / "run")
    table = json.loads(text_of(one.entry))
    table["method"]["settings"]["rewind_step"] = said
    table["cost"]["steps"] += LATE * one.entry.protocol.replicates
    tickets = {slot: replace(ticket, rewind_step=0) for slot, ticket in one.tickets.items()}
    (tmp_path / "board").mkdir()
    board = Board(tmp_path / "board")
    path = board.add(Measured.model_validate(table), ladder_files(tickets))
    found = verify(path, board, cells=["dense:0:0", "winning:1:0", "reinit:1:0"])
    assert found.problems == ()
    held = {cell.name: found.as_claimed(cell) for cell in found.cells if cell.replicate == 0}
    assert held == {"dense:0:0": True, "winning:1:0": False, "reinit:1:0": True}
    assert found.outcome == "the claims do not hold"
