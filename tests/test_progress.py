"""The bars that a terminal shows while a run goes on."""

from io import StringIO

from rich.console import Console
from rich.text import Text

from suite.experiment.runner import make_plan
from suite.progress import Bars
from tests.experiment.toy import task


def test_bars_count_the_plan_down_and_leave_a_line_for_every_cell() -> None:
    screen = StringIO()
    first, second = make_plan(task(levels=1, replicates=1, arms=("winning",))).cells
    bars = Bars(Console(file=screen, force_terminal=True, width=120))
    bars.begin([first, second], skipped=3, slots=2)
    bars.started(first, 0)
    bars.progress(0, first.steps // 2)
    bars.finished(first, 0, 0.5)
    bars.started(second, 0)
    bars.failed(second, 0, "no room")
    bars.close()
    shown = Text.from_ansi(screen.getvalue()).plain
    for text in (
        "2 cells to run, 3 done before, 2 at a time",
        f"{first.name}: accuracy 0.5",
        f"{second.name}: FAILED: no room",
        "plan, 0 cells left",
    ):
        assert text in shown
