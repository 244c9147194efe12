"""The tutorial's task, run at its smallest in this process."""

from pathlib import Path

from suite.choose import choose
from suite.run import run_tasks

TUTORIAL = Path(__file__).parent.parent / "data" / "breast_cancer.py"


def run_tutorial(folder: Path, method: str | None = None, changes: tuple[str, ...] = (), **options: object) -> Path:
    """Run the tutorial's task at two levels and two replicates in this process."""
    chosen = {"executor": "inline", "levels": 2, "replicates": 2, **options}
    tasks = choose(["tutorial/breast-cancer"], "smoke", [method] if method else [], chosen, changes, [TUTORIAL])
    run_tasks(tasks, folder, [TUTORIAL], [], "lottery run tutorial/breast-cancer")
    return folder
