"""A cohort learns as stable-baselines3 does, as far as trainings of minutes show: twenty agents of each.

No two-sample test tells them apart on CartPole at `quick` and `lite`, whole, nor on the networks of Acrobot and
LunarLander at `lite`, trained for 100,000 and 60,000 environment steps instead of 300,000 and 1,000,000. Nothing is
said of what LunarLander learns later.
"""

from collections.abc import Sequence

import pytest
from scipy import stats

from domains.rl.cohort import A2CCohort
from domains.rl.learner import A2CLearner
from suite.experiment.learner import Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Scale

AGENTS = 20


@pytest.mark.parity
@pytest.mark.parametrize(
    ("task", "scale", "steps"),
    [
        ("rl/cartpole", "quick", 75),
        ("rl/cartpole", "lite", 300),
        ("rl/acrobot", "lite", 1250),
        ("rl/lunarlander", "lite", 1500),
    ],
)
def test_the_learning_curves_of_twenty_agents_are_those_of_stable_baselines3(
    task: str, scale: Scale, steps: int
) -> None:
    """Seeds differ between the two, so that no bit is shared: only what is learned can be alike.

    A schedule that falls, as LunarLander's learning rate, does so within the steps that are taken here.
    Compared are the training return at a third, at two thirds and at the end, and that of fresh episodes, by two tests
    each: below .05 / 8 none of them comes but once in twenty times.
    """
    spec = Registry().find(task).at(scale, {"training.total_steps": steps}).spec
    span = Span(0, steps)
    cohort = A2CCohort(spec, [Streams(spec.hash, 2000 + i) for i in range(AGENTS)], span, Runtime())
    cohort.advance(steps)
    stacked = [_curve(trace, own) for trace, own in zip(cohort.traces(), cohort.evaluate("test"), strict=True)]
    alone = []
    for i in range(AGENTS):
        single = A2CLearner(spec, Streams(spec.hash, 1000 + i), span, Runtime())
        single.advance(steps)
        alone.append(_curve(single.trace(), single.evaluate("test")))
    found = []
    for mine, theirs in zip(zip(*stacked, strict=True), zip(*alone, strict=True), strict=True):
        p_values = stats.mannwhitneyu(mine, theirs).pvalue, stats.ks_2samp(mine, theirs).pvalue
        print(task, f"{stats.tmean(mine):.1f} {stats.tmean(theirs):.1f}", *(f"{p:.3f}" for p in p_values))
        found += p_values
    # What has learned nothing is alike too.
    assert stats.tmean([curve[-1] for curve in alone]) > spec.metric.chance + spec.metric.margin
    assert min(found) > 0.05 / len(found)


def _curve(trace: Sequence[object], scores: object) -> tuple[float, ...]:
    points = [trace[len(trace) // 3], trace[2 * len(trace) // 3], trace[-1]]
    return (*(point["training_return"] for point in points), scores["evaluation_return"])  # type: ignore[index]
