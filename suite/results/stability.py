"""From the errors between children to what may be said: which tickets are stable, and from which rewind step on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from suite.experiment.method import Method
from suite.experiment.result import ConnectionResult
from suite.experiment.task import TaskSpec
from suite.printing import count
from suite.results.stats import LEAST_REPLICATES, Estimate, estimate, paired, replicates_needed
from suite.results.view import RunView, TaskView

THRESHOLD: Final = 2.0
"""Percentage points: tickets with a higher barrier are unstable (Frankle et al. 2020, section 3)."""

Verdict = Literal["stable", "unstable", "undecided"]


@dataclass(frozen=True)
class StabilityTest:
    """The tickets of one level, trained from one rewind step.

    `barriers` are those of the `replicates` in percentage points of validation error, None where there is none: it is
    then `missing`, or a child `diverged`. A verdict holds Student's 95 % interval of their mean against the threshold.
    """

    rewind_step: int
    level: int
    density: float
    replicates: tuple[int, ...]
    barriers: tuple[float | None, ...]
    missing: tuple[int, ...]
    diverged: tuple[int, ...]
    estimate: Estimate
    verdict: Verdict
    reason: str | None
    replicates_needed: int | None
    paths: tuple[ConnectionResult, ...]

    def barrier_of(self, replicate: int) -> float | None:
        """The barrier of a replicate; None where there is none, or at this step none was asked for."""
        return dict(zip(self.replicates, self.barriers, strict=True)).get(replicate)


@dataclass(frozen=True)
class Stability:
    """A task by one method at several rewind steps: every test, step by step and level by level.

    `stable_from` is the smallest tested step from which on all tested densities are stable; None if there is none.
    """

    spec: TaskSpec
    views: tuple[TaskView, ...]
    tested: tuple[StabilityTest, ...]
    stable_from: int | None

    @property
    def rewind_steps(self) -> tuple[int, ...]:
        """Tested steps, the smallest first."""
        return tuple(dict.fromkeys(test.rewind_step for test in self.tested))

    @property
    def levels(self) -> tuple[int, ...]:
        """Tested levels, the densest first."""
        return tuple(sorted({test.level for test in self.tested}))

    @property
    def replicates(self) -> tuple[int, ...]:
        """Replicates that were asked for, of whichever step."""
        return tuple(sorted({replicate for view in self.views for replicate in view.replicates}))

    @property
    def recalibration(self) -> tuple[int, ...]:
        """Batches that batch norm was recalibrated on."""
        return tuple(sorted({path.recalibration for test in self.tested for path in test.paths}))

    def at(self, rewind_step: int) -> tuple[StabilityTest, ...]:
        """The tests of one step, the densest first."""
        return tuple(test for test in self.tested if test.rewind_step == rewind_step)


def stabilities(run: RunView) -> tuple[Stability, ...]:
    """What a run says of stability: tasks and methods that differ in nothing but the rewind step belong together."""
    groups: dict[tuple[str, str], list[TaskView]] = defaultdict(list)
    for view in run.tasks:
        if view.connected:
            groups[view.spec.hash, _but_for_its_step(view.method)].append(view)
    return tuple(map(_stability, groups.values()))


def _but_for_its_step(method: Method) -> str:
    return method.model_copy(update={"rewind_step": 0}).hash


def _stability(views: Sequence[TaskView]) -> Stability:
    ordered = sorted(views, key=lambda view: view.method.rewind_step)
    tested = tuple(_tested(view, level) for view in ordered for level in sorted(view.connected))
    return Stability(ordered[0].spec, tuple(ordered), tested, stable_from(tested))


def _tested(view: TaskView, level: int) -> StabilityTest:
    paths = {path.replicate: path for path in view.connections if path.level == level}
    barriers = tuple(_points(paths[r].value) if r in paths else None for r in view.replicates)
    missing = tuple(r for r in view.replicates if r not in paths)
    diverged = tuple(r for r in view.replicates if r in paths and paths[r].diverged)
    found = estimate([value for value in barriers if value is not None])
    verdict, reason = judged(found, diverged)
    nominal = (1 - view.method.rate) ** level
    return StabilityTest(
        rewind_step=view.method.rewind_step,
        level=level,
        density=next((path.density for path in paths.values()), nominal),
        replicates=view.replicates,
        barriers=barriers,
        missing=missing,
        diverged=diverged,
        estimate=found,
        verdict=verdict,
        reason=reason,
        replicates_needed=None if diverged else _needed([value for value in barriers if value is not None], verdict),
        paths=tuple(paths[r] for r in sorted(paths)),
    )


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def judged(found: Estimate, diverged: Sequence[int]) -> tuple[Verdict, str | None]:
    """Stable where the whole interval of the mean barrier is within the threshold, unstable where it is above.

    Undecided, with the reason, below three replicates and where a child diverged.
    """
    if diverged:
        return "undecided", f"a child of {count(len(diverged), 'replicate')} diverged"
    if found.n < LEAST_REPLICATES or found.interval is None:
        return "undecided", f"{count(found.n, 'replicate')}, a verdict needs {LEAST_REPLICATES}"
    low, high = found.interval
    if high <= THRESHOLD:
        return "stable", None
    return ("unstable", None) if low > THRESHOLD else ("undecided", f"the interval holds {THRESHOLD:g} points")


def _needed(barriers: Sequence[float], verdict: Verdict) -> int | None:
    """The replicates that would decide if mean and spread stayed as they are."""
    if verdict != "undecided":
        return None
    return replicates_needed(paired([THRESHOLD] * len(barriers), barriers), margin=0.0)


def stable_from(tested: Iterable[StabilityTest]) -> int | None:
    """The smallest tested step from which on every ticket that was tested is stable."""
    verdicts: dict[int, list[Verdict]] = defaultdict(list)
    for test in tested:
        verdicts[test.rewind_step].append(test.verdict)
    found = None
    for step in sorted(verdicts, reverse=True):
        if set(verdicts[step]) != {"stable"}:
            break
        found = step
    return found
