"""Episodes for a report: the dense network, and the tickets of a density, at play."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from suite.experiment.errors import RunError
from suite.experiment.learner import Playing
from suite.experiment.plan import DENSE, LADDER, Cell, Plan
from suite.experiment.result import CellResult
from suite.experiment.start import Origin
from suite.experiment.store import Store
from suite.results.gif import gif
from suite.results.view import Episode, RunView, TaskView

ARMS: Final = (DENSE, LADDER, "random")
MOST_PICTURES: Final = 300
"""Of an episode that goes on no more is shown."""


def played(run: RunView, folder: Path, density: float) -> RunView:
    """A run's view with an episode for each of `ARMS`, the tickets of the level nearest to a density.

    Of each task the first replicate is shown that has cells of all of them. Weights are those of the run: taken from
    its cache, or trained again and found to be the same. Raises RunError when no task of the run can be shown, or
    another run is at work in the folder.
    """
    store = Store.open(folder)
    with store.lock():
        plans = [request.plan for request in store.requests()]
        tasks = [_played(view, plan, store, density) for view, plan in zip(run.tasks, plans, strict=True)]
    if not any(view.episodes for view in tasks):
        raise RunError(
            f"--play {density:g}: no task of {folder} has a learner that plays, and finished cells of "
            f"{', '.join(ARMS)} at one density: choose a run of reinforcement learning, or finish this one"
        )
    return replace(run, tasks=tuple(tasks))


def _played(view: TaskView, plan: Plan, store: Store, density: float) -> TaskView:
    return replace(view, episodes=tuple(_episodes(plan, store, density)))


def _episodes(plan: Plan, store: Store, density: float) -> Iterator[Episode]:
    from suite.experiment.arithmetic import reproducible
    from suite.experiment.starting import weights_at
    from suite.experiment.trainee import build

    runtime = plan.task.options.runtime
    for cell, result in _shown(plan, store, density):
        with reproducible(runtime):
            learner = build(cell, runtime)
            if not isinstance(learner, Playing):
                return
            unit = next(unit for unit in plan.units() if cell in unit)
            origin = Origin((unit,), unit.index(cell), cell.span.last)
            print(f"{cell.name}: an episode; trained again first where its weights are not kept", file=sys.stderr)
            learner.model.load_state_dict(weights_at(origin, store, runtime))
            film = learner.play("test", MOST_PICTURES)
        yield Episode(
            cell.arm, cell.level, result.density, cell.replicate, film.score, film.whole,
            gif(film.pictures, film.per_second),
        )  # fmt: skip


def _shown(plan: Plan, store: Store, density: float) -> list[tuple[Cell, CellResult]]:
    """Finished cells, one for each arm, of one replicate; none where an arm has none."""
    finished = {
        (cell.arm, cell.level, cell.replicate): (cell, result)
        for cell in plan.shown
        if cell.arm in ARMS and (result := store.cell(cell.key)) is not None and not result.diverged
    }
    tickets = ARMS[1:]
    whole = [
        (abs(result.density - density), replicate, level)
        for (arm, level, replicate), (_, result) in finished.items()
        if arm == LADDER
        and (DENSE, 0, replicate) in finished
        and all((ticket, level, replicate) in finished for ticket in tickets)
    ]
    if not whole:
        return []
    _, replicate, level = min(whole)
    return [finished[arm, 0 if arm == DENSE else level, replicate] for arm in ARMS]
