"""Numbers and findings in plain words, for the report and the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from suite.experiment.method import ALL, Method
from suite.experiment.task import Metric, TaskMetric
from suite.printing import count
from suite.results.curve import Place
from suite.results.judge import AreaVerdict, DensityVerdict, Judgement
from suite.results.stats import LEAST_REPLICATES, Interval, Outcome
from suite.results.view import MissingMask

GLOSSARY: Final[dict[str, str]] = {
    "dense": "The whole network, nothing pruned (level 0). Trained once per replicate; every arm's first point.",
    "winning": "The winning ticket: the mask found by pruning, and the surviving weights put back to the values they "
    "had at the rewind step, then trained again.",
    "reinit": "The same mask, all weights drawn anew. Shows what the mask is worth without the rewound weights.",
    "shuffled_layerwise": "The mask shuffled inside each layer, weights drawn anew. Shows what the number of survivors "
    "per layer is worth.",
    "random": "The mask shuffled over all layers together, weights drawn anew: a random ticket of the same density.",
    "shuffled_mask": "The rewound weights under a mask shuffled over all layers. Shows what the weights are worth "
    "without the mask.",
}
NOTHING: Final = "–"
MOST_MASKS: Final = 8
"""So many missing masks are named."""


def number(value: float | None, signed: bool = False) -> str:
    """Four significant digits."""
    if value is None:
        return NOTHING
    text = f"{value:+.4g}" if signed else f"{value:.4g}"
    return text.replace("-", "−")


def scores(named: Mapping[str, float]) -> str:
    """Scores one after the other: `log_perplexity 2.402, perplexity 11.05`."""
    return ", ".join(f"{name} {number(value)}" for name, value in named.items()) or NOTHING


def percent(density: float | None) -> str:
    """A density in percent, three significant digits."""
    if density is None:
        return NOTHING
    value = density * 100
    return f"{value:.3g} %" if value < 99.95 else "100 %"


def interval(bounds: Interval | None, signed: bool = False) -> str:
    """Two bounds in brackets."""
    return NOTHING if bounds is None else f"[{number(bounds[0], signed)}, {number(bounds[1], signed)}]"


def probability(p: float | None) -> str:
    """A p-value, three decimals."""
    if p is None:
        return NOTHING
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def scale(value: float | None, units: Sequence[str], step: float = 1000.0) -> str:
    """A magnitude with the unit that suits it: `scale(2.5e9, ("", "k", "M", "G"))` is `2.5 G`."""
    if value is None:
        return NOTHING
    for unit in units[:-1]:
        if abs(value) < step:
            return f"{value:.3g} {unit}".strip()
        value /= step
    return f"{value:.3g} {units[-1]}"


def duration(seconds: float) -> str:
    """Seconds as s, min or h."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def unit(metric: Metric) -> str:
    """Metric name with its unit and direction."""
    arrow = "higher is better" if metric.higher_is_better else "lower is better"
    return f"{metric.name} ({metric.unit}, {arrow})" if metric.unit else f"{metric.name} ({arrow})"


def where(verdicts: Sequence[DensityVerdict], wanted: Outcome) -> str:
    """The densities with an outcome, neighbours joined: `80 % to 51.2 %, 10.7 %`; empty when there is none."""
    runs: list[list[DensityVerdict]] = []
    gap = True
    for verdict in verdicts:
        if verdict.verdict == wanted:
            if gap:
                runs.append([])
            runs[-1].append(verdict)
        gap = verdict.verdict != wanted
    return ", ".join(
        percent(run[0].density) if len(run) == 1 else f"{percent(run[0].density)} to {percent(run[-1].density)}"
        for run in runs
    )


def lead(verdict: AreaVerdict, metric: Metric, ours: str = "winning") -> str:
    """The verdict of a comparison in one sentence: both values at the sparsest density, then the whole range.

    `at 7.78 % winning 213, random 25; over all densities winning is ahead by 101 [60, 142]: it wins`.
    """
    theirs = verdict.against
    start = ""
    if verdict.ours is not None and verdict.theirs is not None:
        values = f"{ours} {number(verdict.ours)}, {theirs} {number(verdict.theirs)}"
        start = f"at {percent(min(verdict.densities))} {values}; "
    return f"{start}over all densities {_distance(verdict, ours, theirs)}: {_so(verdict, metric)}"


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def _distance(verdict: AreaVerdict, ours: str, theirs: str) -> str:
    if verdict.difference is None:
        return f"{ours} and {theirs} are not compared yet"
    if verdict.difference == 0:
        return f"{ours} is level with {theirs}{f' {interval(verdict.ci95)}' if verdict.ci95 else ''}"
    ahead = verdict.difference > 0
    bounds = verdict.ci95 if ahead or verdict.ci95 is None else (-verdict.ci95[1], -verdict.ci95[0])
    shown = f" {interval(bounds)}" if bounds else ""
    return f"{ours} is {'ahead' if ahead else 'behind'} by {number(abs(verdict.difference))}{shown}"


def _so(verdict: AreaVerdict, metric: Metric) -> str:
    because = f" ({verdict.reason})" if verdict.reason else ""
    if verdict.verdict == "ties":
        return f"they tie{because or f' (within {number(metric.margin)})'}"
    if verdict.verdict != "undecided":
        return f"it {verdict.verdict}{because}"
    needed = verdict.replicates_needed
    return f"undecided{because}{f', about {needed} replicates would decide' if needed else ''}"


def finding(judgement: Judgement, against: str) -> str:
    """One sentence on the detail of a comparison: at how many densities the winning ticket won, tied, lost."""
    verdicts = judgement.against(against)
    name = "the dense network" if against == "dense" else against
    if not verdicts:
        return f"Not compared with {name}."
    verbs: dict[Outcome, str] = {"wins": "beats", "ties": "ties with", "loses": "loses to"}
    parts = [f"{verb} {name} at {where(verdicts, o)}" for o, verb in verbs.items() if where(verdicts, o)]
    open_ = sum(verdict.verdict == "undecided" for verdict in verdicts)
    total = count(len(verdicts), "density", "densities")
    if not parts:
        return f"Density by density, against {name} all {total} are undecided."
    tail = f"; {open_} of {total} undecided" if open_ else ""
    return f"Density by density, the winning ticket {', '.join(parts)}{tail}."


def findings(judgement: Judgement) -> list[str]:
    """What a task's run says, the verdicts first: one sentence a comparison, then the dense network."""
    metric = judgement.curves.spec.metric
    verdicts = [sentence(lead(verdict, metric)) for verdict in judgement.primary]
    return [*verdicts, headline(judgement)]


def headline(judgement: Judgement) -> str:
    """One sentence on the dense network and the critical density."""
    spec, dense = judgement.curves.spec, judgement.curves.dense
    finished = sum(value is not None for value in dense.values)
    if dense.mean is None:
        return "No dense run is finished yet."
    start = f"Dense {spec.metric.name}: {number(dense.mean)} (mean of {count(finished, 'replicate')})."
    verdicts = judgement.against("dense")
    margin = number(spec.metric.margin)
    if not verdicts:
        return start
    if all(verdict.n < LEAST_REPLICATES for verdict in verdicts):
        return f"{start} With fewer than {LEAST_REPLICATES} replicates there is no verdict and no critical density."
    if judgement.critical_density is None:
        first = percent(verdicts[0].density)
        return (
            f"{start} No critical density: already at {first} the winning ticket is not shown to stay within {margin} "
            "of dense."
        )
    return (
        f"{start} The winning ticket stays within {margin} of dense, or better, down to a density of "
        f"{percent(judgement.critical_density)} (critical density)."
    )


def masks_missing(masks: Sequence[MissingMask]) -> str:
    """Which masks are no longer there, a few by name, and what makes them again."""
    named = [f"level {mask.level} replicate {mask.replicate} ({mask.file})" for mask in masks[:MOST_MASKS]]
    more = f" and {len(masks) - MOST_MASKS} more" if len(masks) > MOST_MASKS else ""
    return sentence(
        f"{count(len(masks), 'mask')} of finished cells {'is' if len(masks) == 1 else 'are'} missing: "
        f"{', '.join(named)}{more}; the same `lottery run` makes {'it' if len(masks) == 1 else 'them'} again, "
        "or says why it cannot"
    )


def outside(metric: TaskMetric, scores: Iterable[float | None]) -> str:
    """How many scores are none that the metric can have, by the task's own bounds; empty where none is."""
    wrong = sum(not metric.admits(score) for score in scores)
    if not wrong:
        return ""
    low, high = map(number, metric.bounds)
    return sentence(
        f"{count(wrong, 'cell')} {'has' if wrong == 1 else 'have'} {metric.name} outside {low} to {high}, which the "
        "task states as its bounds: one of both is wrong"
    )


def places(missing: Sequence[Place]) -> str:
    """How many cells of each arm: `winning 2, reinit 4`."""
    arms = [arm for arm, _, _ in missing]
    return ", ".join(f"{arm} {arms.count(arm)}" for arm in dict.fromkeys(arms))


def pruning(method: Method) -> str:
    """How a method prunes: `magnitude, iterative, all prunable tensors, one threshold, no floor`."""
    which = "all prunable tensors" if method.role == ALL else f"the {method.role}'s tensors alone"
    scope = {"global": "one threshold", "layerwise": "a threshold for each layer"}[method.scope]
    floor = f"at least {percent(method.floor)} of every layer" if method.floor else "no floor"
    return f"{method.criterion}, {method.schedule}, {which}, {scope}, {floor}"


def tally(verdicts: Sequence[DensityVerdict]) -> str:
    """Short form of a comparison: where it wins, and how many densities tie, lose or are undecided."""
    if not verdicts:
        return NOTHING
    counts = {name: sum(v.verdict == name for v in verdicts) for name in ("ties", "loses", "undecided")}
    rest = [f"{name} {n}" for name, n in counts.items() if n]
    return "; ".join([where(verdicts, "wins") or "none", *rest])
