"""The collection of Yu et al. 2019: what is run for its figures at each scale, and what a plan of it needs."""

import pytest

from suite.choose import choose
from suite.experiment import measure
from suite.experiment.measure import StepTime
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.task import TaskSpec
from suite.experiment.taskfile import Task
from suite.measuring import measured
from suite.run import plans_of

GAMES = {
    f"rl/atari-{game}"
    for game in (
        "assault", "berzerk", "breakout", "centipede", "kangaroo", "krull", "qbert", "seaquest", "space-invaders"
    )
}  # fmt: skip
CONTROL = {"rl/cartpole", "rl/acrobot", "rl/lunarlander"}
TRANSLATION = {"nlp/multi30k-transformer", "nlp/multi30k-transformer-intact-embeddings", "nlp/numbers-transformer"}


PAPER = {
    "nlp/wikitext2-lstm", "nlp/wmt14-transformer-base", "nlp/wmt14-transformer-base-intact-embeddings",
    "nlp/wmt14-transformer-big",
}  # fmt: skip


@pytest.fixture(scope="module")
def lite() -> list[Task]:
    return choose(["yu2019"], "lite", [], {}, [], [])


def by_imp(tasks: list[Task]) -> set[str]:
    return {task.spec.id for task in tasks if task.method.name == "imp"}


def test_the_papers_figures_are_planned_without_data_on_what_stands_for_each_at_lite(lite: list[Task]) -> None:
    assert by_imp(lite) == GAMES | CONTROL | TRANSLATION | {"nlp/wikitext2-lstm", "nlp/kjv-lstm"}
    assert {task.method.name for task in lite} == {"imp", "one-shot", "imp-no-rewind"}
    assert all(plan.cells for plan in plans_of(lite, ()))
    registry = Registry()
    assert all("smoke" in registry.find(task).scales for task in by_imp(lite))


def test_the_papers_figures_are_planned_on_its_own_data_and_networks_at_paper() -> None:
    assert by_imp(choose(["yu2019"], "paper", [], {}, [], [])) == GAMES | CONTROL | PAPER


def test_a_cohort_has_the_arms_of_the_task_itself_so_that_its_finished_runs_are_gone_on_from(lite: list[Task]) -> None:
    (own,) = choose(["rl/cartpole"], "lite", [], {}, [], [])
    (chosen,) = (task for task in lite if task.identity == own.identity)
    assert chosen.options == own.options


def test_the_same_work_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[str] = []

    def step_time(spec: TaskSpec, runtime: Runtime) -> StepTime:
        timed.append(spec.id)
        return StepTime(len(timed), "a step")

    monkeypatch.setattr(measure, "step_time", step_time)
    names = ["rl/atari-krull", "rl/atari-qbert", "rl/cartpole"]
    found = measured(choose(names, "paper", [], {}, [], []), None)
    assert timed == ["rl/atari-krull", "rl/cartpole"]
    assert [task.spec.cost.seconds_per_step for task in found.tasks] == [1, 1, 2]
    assert found.notes[1].endswith("(that of rl/atari-krull, whose step is the same work)")


def test_a_plan_says_whose_time_it_is_where_a_command_line_changed_the_task() -> None:
    (chosen,) = choose(["rl/cartpole"], "smoke", [], {}, ["training.total_steps=30"], [])
    (note,) = measured([chosen], None).notes
    assert note.startswith("rl/cartpole: time and FLOPs of a step are the task's own, before what --set changed")
    assert not measured(choose(["rl/cartpole"], "smoke", [], {}, ["rewind_step=3"], []), None).notes
