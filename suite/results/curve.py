"""Curves: metric against density, one per arm, with every replicate's value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from suite.experiment.method import Method
from suite.experiment.result import CellResult
from suite.experiment.task import Metric, TaskSpec
from suite.results.stats import Interval, Statistic, estimate
from suite.results.view import TaskView

Place = tuple[str, int, int]
"""(arm, level, replicate)."""


@dataclass(frozen=True)
class CurvePoint:
    """One arm at one density: values in the order of the replicates, None where there is none.

    Mean, SD and Student's interval are those of the finished replicates only; `missing` and `diverged` name the others,
    and a verdict at a point with a diverged replicate is undecided. From ten finished replicates the interquartile
    mean with its interval stands beside the mean, where the metric asks for it.
    """

    level: int
    density: float
    values: tuple[float | None, ...]
    mean: float | None
    sd: float | None
    ci95: Interval | None
    iqm: float | None
    iqm_ci95: Interval | None
    missing: tuple[int, ...]
    diverged: tuple[int, ...]


@dataclass(frozen=True)
class TaskCurves:
    """The curves of one task and method; each arm's first point is level 0, the dense network.

    `transferred`: the tickets were found on another task, or are trained apart from the runs that found them.
    """

    spec: TaskSpec
    method: Method
    replicates: tuple[int, ...]
    dense: CurvePoint
    arms: Mapping[str, tuple[CurvePoint, ...]]
    transferred: bool = False

    @property
    def missing(self) -> tuple[Place, ...]:
        """Cells expected and not there (yet)."""
        return self._places(lambda point: point.missing)

    @property
    def diverged(self) -> tuple[Place, ...]:
        """Cells that met a loss or weight that is not finite."""
        return self._places(lambda point: point.diverged)

    def point(self, arm: str, level: int) -> CurvePoint | None:
        """The point of an arm at a level; None where none was asked for."""
        return next((point for point in self.arms.get(arm, ()) if point.level == level), None)

    def _places(self, of: Callable[[CurvePoint], tuple[int, ...]]) -> tuple[Place, ...]:
        points = [("dense", self.dense)] + [(arm, p) for arm, ps in self.arms.items() for p in ps if p.level > 0]
        return tuple((arm, point.level, replicate) for arm, point in points for replicate in of(point))


def curves_of(view: TaskView) -> TaskCurves:
    """`curves` of a task in a run."""
    return curves(
        view.spec, view.method, view.cells, view.arms, replicates=view.replicates, levels=view.levels, at=view.at,
        transferred=view.source is not None,
    )  # fmt: skip


def curves(
    spec: TaskSpec,
    method: Method,
    cells: Iterable[CellResult],
    arms: Sequence[str],
    *,
    replicates: Sequence[int],
    levels: int,
    at: Sequence[int] | None = None,
    transferred: bool = False,
) -> TaskCurves:
    """One curve per arm from the cells that are there.

    Expected are `replicates` at level 0, of the iterative method's winning arm at levels 1 to `levels` (to the last but
    one, if `arms` do not name it), and of every other arm, of a transfer every arm, at the levels in `at` (None: all).
    An expected cell that is not there is missing; a cell that is there is shown even if its arm or level was not asked
    for. A level without any cell stands at its nominal density, (1 - rate)^level. Raises ValueError for a cell of
    another task or of an unknown replicate, and for two cells that claim one place.
    """
    wanted = tuple(replicates)
    found = _by_place(spec, cells, wanted)
    names = tuple(dict.fromkeys([*arms, *(arm for arm, _, _ in found)]))
    names = tuple(name for name in names if name != "dense")
    densities = {level: cell.density for (_, level, _), cell in reversed(found.items())}
    levels_of: dict[str, set[int]] = {}
    for arm, level, _ in found:
        levels_of.setdefault(arm, set()).add(level)

    def point(arm: str, level: int, expected: bool) -> CurvePoint:
        there = {r: cell for r in wanted if (cell := found.get((arm, level, r))) is not None}
        # All arms of a level are equally dense: one without a cell stands where another's stand.
        density = next((cell.density for cell in there.values()), densities.get(level, (1 - method.rate) ** level))
        must = wanted if expected else ()
        return point_of(
            level,
            density,
            tuple(there[r].value if r in there else None for r in wanted),
            statistic_of(spec.metric),
            missing=tuple(r for r in must if r not in there),
            diverged=tuple(r for r in wanted if r in there and there[r].diverged),
        )

    dense = point("dense", 0, True)
    drawn: dict[str, tuple[CurvePoint, ...]] = {}
    for arm in names:
        ladder = arm == "winning" and method.schedule == "iterative" and not transferred
        last = levels if arm in arms else levels - 1  # a ladder that is not shown is trained to make masks alone
        asked = {level for level in range(1, last + 1) if at is None or ladder or level in at}
        shown = sorted(asked | levels_of.get(arm, set()))
        drawn[arm] = (dense, *(point(arm, level, level in asked) for level in shown))
    return TaskCurves(spec, method, wanted, dense, drawn, transferred)


def statistic_of(metric: Metric) -> Statistic:
    """Whether the interquartile mean (Agarwal et al. 2021) is shown beside the mean, from ten values on."""
    return "iqm" if metric.statistic == "interquartile-mean" else "mean"


def point_of(
    level: int, density: float, values: tuple[float | None, ...], statistic: Statistic, *,
    missing: tuple[int, ...] = (), diverged: tuple[int, ...] = (),
) -> CurvePoint:  # fmt: skip
    """A point of a curve from every replicate's value, None where there is none."""
    e = estimate([value for value in values if value is not None], statistic)
    return CurvePoint(
        level=level,
        density=density,
        values=values,
        mean=e.mean,
        sd=e.sd,
        ci95=e.interval,
        iqm=e.iqm,
        iqm_ci95=e.iqm_interval,
        missing=missing,
        diverged=diverged,
    )


def _by_place(spec: TaskSpec, cells: Iterable[CellResult], replicates: tuple[int, ...]) -> dict[Place, CellResult]:
    found: dict[Place, CellResult] = {}
    task_hash, known = spec.hash, frozenset(replicates)
    for cell in cells:
        place = (cell.arm, cell.level, cell.replicate)
        if cell.task_hash != task_hash:
            raise ValueError(f"cell {cell.key[:12]} is of {cell.task} {cell.task_version}, not of this {spec.id}")
        if cell.replicate not in known:
            raise ValueError(f"cell {cell.key[:12]} is of replicate {cell.replicate}, not one of {replicates}")
        if place in found and found[place].key != cell.key:
            raise ValueError(f"cells {found[place].key[:12]} and {cell.key[:12]} are both {place}")
        found[place] = cell
    return found
