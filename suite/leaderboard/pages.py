"""What the pages of the site show, gathered from entries: tasks of a domain, data of the figures, labels."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from suite.experiment.frozen import digest
from suite.experiment.task import Metric
from suite.leaderboard.board import AnyEntry
from suite.leaderboard.claim import Claim
from suite.leaderboard.claims import ClaimStanding, weigh
from suite.leaderboard.ranking import same_density
from suite.leaderboard.reference import Hash, Reference
from suite.leaderboard.schema import CARRIED, Measured, Reported, ReportedPoint
from suite.leaderboard.sources import SourceGroup, source_groups
from suite.leaderboard.standing import Group, Standing, groups
from suite.leaderboard.text import rank_words
from suite.results.curve import CurvePoint
from suite.results.plots import BAND_FROM
from suite.results.theme import OTHERS, style


@dataclass(frozen=True)
class TaskSection:
    """One task on a domain's page: groups of measured entries, reported figures, and the figure of any of them.

    Transfers to it stand apart.
    """

    id: str
    slug: str
    groups: tuple[Group, ...]
    transfers: tuple[SourceGroup, ...]
    reported: tuple[Reported, ...]
    metric: Metric
    arms: tuple[str, ...]
    data: Markup

    @property
    def measured(self) -> int:
        """Number of measured entries, transfers included."""
        return sum(len(group.standings) for group in self.groups) + sum(
            len(group.standings) for group in self.transfers
        )

    def drawn(self, metric: Metric) -> bool:
        """Whether values of this metric have a place in the task's figure."""
        return _axis(metric) == _axis(self.metric)


@dataclass(frozen=True)
class DomainPage:
    """A domain's page, and its counts on the index."""

    name: str
    tasks: tuple[TaskSection, ...]
    claims: tuple[ClaimStanding, ...]

    @property
    def measured(self) -> int:
        """Number of measured entries."""
        return sum(task.measured for task in self.tasks)

    @property
    def reported(self) -> int:
        """Number of reported entries."""
        return sum(len(task.reported) for task in self.tasks)


def domain(
    name: str, entries: Sequence[AnyEntry], standings: Sequence[Standing], references: Mapping[Hash, Reference]
) -> DomainPage:
    """Everything the page of a domain shows; `standings` are those of its measured entries."""
    measured = {entry.task.id for entry in entries if isinstance(entry, Measured)}
    reported = {entry.task for entry in entries if isinstance(entry, Reported)}
    tasks = [*sorted(measured), *sorted(reported - measured)]
    claims = tuple(weigh(entry, standings) for entry in entries if isinstance(entry, Claim))
    return DomainPage(name, tuple(_task(task, entries, standings, references) for task in tasks), claims)


def _task(
    task: str, entries: Sequence[AnyEntry], standings: Sequence[Standing], references: Mapping[Hash, Reference]
) -> TaskSection:
    own = [s for s in standings if s.entry.task.id == task]
    here, transfers = groups(own, references), source_groups(own)
    reported = tuple(entry for entry in entries if isinstance(entry, Reported) and entry.task == task)
    metric = [*(g.metric for g in here), *(e.metric for e in reported), *(g.metric for g in transfers)][0]
    lines = [
        _line(s, label_in(s, here)) for group in here for s in group.standings if _axis(group.metric) == _axis(metric)
    ]
    lines += [_reported_line(entry) for entry in reported if _axis(entry.metric) == _axis(metric)]
    data, arms = _data(metric, lines)
    return TaskSection(task, task.replace("/", "-"), here, transfers, reported, metric, arms, data)


def entry_data(s: Standing) -> Markup:
    """Data of the figure on an entry's own page, with every replicate's value."""
    return _data(s.entry.metric, [_line(s, s.entry.title, replicates=True)])[0]


def label_in(s: Standing, here: Sequence[Group]) -> str:
    """An entry's title; with version and scale where the task has more than one group."""
    task = s.entry.task
    return s.entry.title if len(here) < 2 else f"{s.entry.title} ({task.version}, {task.scale})"


def embedded(value: object) -> Markup:
    """A value as JSON that stands within a script element: no character of it can end the element or be a tag."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 comes out as \\u2028
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _data(metric: Metric, lines: Sequence[dict[str, Any]]) -> tuple[Markup, tuple[str, ...]]:
    arms = tuple(dict.fromkeys(arm for line in lines for arm in line["curves"]))
    looks = [{"name": arm, **_look(arm, i)} for i, arm in enumerate(arms)]
    axis = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
    palette = [f"--c{style(arm).colour[1:]}" for arm in ("winning", "reinit", "random", "shuffled_layerwise")]
    palette += [f"--c{other.colour[1:]}" for other in OTHERS[:2]]
    data = {"axis": axis, "margin": metric.margin, "arms": looks, "palette": palette, "entries": lines}
    return embedded(data), arms


def _look(arm: str, position: int) -> dict[str, Any]:
    look = style(arm, position)
    dash = [] if isinstance(look.dash, str) else list(look.dash[1])
    return {"colour": f"--c{look.colour[1:]}", "marker": look.marker, "dash": dash}


def _line(s: Standing, label: str, replicates: bool = False) -> dict[str, Any]:
    arms = s.curves.arms or {"dense": (s.curves.dense,)}
    return {
        "id": s.entry.id,
        "label": label,
        "dense": s.curves.dense.mean,
        "curves": {arm: [_drawn(point, replicates) for point in points] for arm, points in arms.items()},
    }


def _drawn(point: CurvePoint, replicates: bool) -> dict[str, Any]:
    """Below four replicates there are dots and no band, which would hide the curves."""
    values = [value for value in point.values if value is not None]
    return {
        "density": point.density,
        "centre": point.mean,
        "band": point.ci95 if len(values) >= BAND_FROM else None,
        "n": len(values),
        "diverged": len(point.diverged),
        "extremes": [min(values), max(values)] if values else [],
        "values": values if replicates or len(values) < BAND_FROM else [],
    }


def _reported_line(entry: Reported) -> dict[str, Any]:
    def drawn(point: ReportedPoint) -> dict[str, Any]:
        return {
            "density": point.density, "centre": point.value, "band": None, "n": point.replicates, "diverged": 0,
            "extremes": [point.value, point.value], "values": [],
        }  # fmt: skip

    curves = {
        arm: [drawn(point) for point in sorted(points, key=lambda p: -p.density)]
        for arm, points in entry.curves.items()
    }
    return {"id": entry.id, "label": f"{entry.title} (reported)", "dense": None, "curves": curves}


def _axis(metric: Metric) -> tuple[str, str, bool]:
    return metric.name, metric.unit, metric.higher_is_better


def reported_densities(entries: Iterable[Reported]) -> tuple[float, ...]:
    """All densities of published figures, dense to sparse, each once."""
    found: list[float] = []
    for density in sorted({p.density for e in entries for ps in e.curves.values() for p in ps}, reverse=True):
        if not found or not same_density(found[-1], density):
            found.append(density)
    return tuple(found)


def reported_at(points: Sequence[ReportedPoint], density: float) -> ReportedPoint | None:
    """The published figure at a density."""
    near = [point for point in points if same_density(point.density, density)]
    return min(near, key=lambda point: abs(point.density - density), default=None)


def group_slug(group: Group | SourceGroup) -> str:
    """An id for a group's table that stays the same when other groups come."""
    apart = [group.carry] if isinstance(group, SourceGroup) else []
    identity = digest([group.task.model_dump(mode="json"), group.metric.model_dump(mode="json"), *apart])
    return f"{group.task.id.replace('/', '-')}-{group.task.scale}-{identity[:8]}"


def is_web(address: str) -> bool:
    """Only these addresses become links."""
    return address.startswith(("https://", "http://"))


FUNCTIONS: Final[dict[str, Any]] = {
    "style": style,
    "is_web": is_web,
    "rank_words": rank_words,
    "CARRIED": CARRIED,
    "group_slug": group_slug,
    "reported_at": reported_at,
    "reported_densities": reported_densities,
}
