"""Small runs of transfers between the tutorial's task and one of the same network, in this process."""

from collections.abc import Sequence
from pathlib import Path

from tutorial_run import TUTORIAL

from suite.choose import choose, choose_transfers
from suite.run import run_tasks

TASK, OTHER, THIRD = "tutorial/breast-cancer", "tutorial/other", "tutorial/third"


def three_tasks(folder: Path) -> Path:
    """A plugin with the tutorial's task, shorter, and the same with other batches, twice."""
    text = TUTORIAL.read_text().replace("total_steps = 150", "total_steps = 30")
    task = text.split('TASK = """')[1].split('"""')[0]
    others = [
        task.replace(TASK, name).replace("batch = 32", f"batch = {batch}") for name, batch in ((OTHER, 48), (THIRD, 16))
    ]
    path = folder / "three.py"
    path.write_text(f"{text}\nTASKS = {others!r}\n")
    return path


def run_transfers(
    folder: Path, plugin: Path, carry: str = "both", known: Sequence[Path] = (), changes: Sequence[str] = (),
    sources: Sequence[str] = (TASK, OTHER), **options: object,
) -> Path:  # fmt: skip
    """Tickets of both tasks trained on the other one: two replicates, a ladder of two levels."""
    chosen = {"executor": "inline", "levels": 2, "replicates": 2, **options}
    tasks = choose_transfers(sources, [OTHER], carry, "smoke", [], chosen, changes, [plugin])
    run_tasks(tasks, folder, [plugin], known, "lottery transfer")
    return folder


def run_source(folder: Path, plugin: Path, known: Sequence[Path]) -> Path:
    """The source's own run, whose ladder the transfers have."""
    chosen = {"executor": "inline", "levels": 2, "replicates": 2, "arms": ("winning", "random")}
    tasks = choose([TASK], "smoke", [], chosen, [], [plugin])
    run_tasks(tasks, folder, [plugin], known, f"lottery run {TASK}")
    return folder
