"""A run that prunes the actor alone is entered, validated and verified like any other, and is not ranked."""

from pathlib import Path

from suite.choose import choose
from suite.leaderboard.board import Board
from suite.leaderboard.masks import ladder_files
from suite.leaderboard.submit import submissions
from suite.leaderboard.validate import validate
from suite.leaderboard.verify import verify
from suite.run import run_tasks


def test_an_entry_that_prunes_the_actor_alone_is_validated_and_verified(tmp_path: Path) -> None:
    options = {"executor": "inline", "levels": 1, "replicates": 2, "arms": ("winning", "random")}
    tasks = choose(["rl/cartpole"], "smoke", ["imp-actor"], options, [], [])
    outcome, report = run_tasks(tasks, tmp_path / "run", [], [], "lottery run")
    assert not outcome.failed
    cells = [cell for cell in report.view.tasks[0].cells if cell.level == 1]
    layers = {f"mlp_extractor.policy_net.{i}.weight" for i in (0, 2, 4)}
    assert all(set(cell.layers) == layers for cell in cells)
    for cell in cells:
        assert cell.roles["critic"].density == 1.0
        assert cell.roles["actor"].density == cell.density < 0.61
    (one,) = submissions(tmp_path / "run", author="Ada", description="The actor alone.")
    (tmp_path / "board").mkdir()
    board = Board(tmp_path / "board")
    path = board.add(one.entry, ladder_files(one.tickets))
    assert list(validate(path, board).problems) == []
    found = verify(path, board, cells=["winning:1:0", "random:1:1"])
    assert found.problems == ()
    assert all(found.as_claimed(cell) for cell in found.cells)
