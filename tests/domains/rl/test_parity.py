"""A cohort learns as stable-baselines3 does: twenty agents of each, told apart by no two-sample test."""

from collections.abc import Sequence

import pytest
from scipy import stats

from domains.rl.cohort import A2CCohort
from domains.rl.learner import A2CLearner
from suite.experiment.learner import Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams

AGENTS = 20


@pytest.mark.parity
def test_the_learning_curves_of_twenty_agents_are_those_of_stable_baselines3() -> None:
    """Seeds differ between the two, so that no bit is shared: only what is learned can be alike.

    Compared are the training return at a third, at two thirds and at the end, and that of fresh episodes.
    """
    spec = Registry().find("rl/cartpole").at("quick").spec
    span = Span(0, spec.training.total_steps)
    cohort = A2CCohort(spec, [Streams(spec.hash, 2000 + i) for i in range(AGENTS)], span, Runtime())
    cohort.advance(span.last)
    stacked = [_curve(trace, own) for trace, own in zip(cohort.traces(), cohort.evaluate("test"), strict=True)]
    alone = []
    for i in range(AGENTS):
        single = A2CLearner(spec, Streams(spec.hash, 1000 + i), span, Runtime())
        single.advance(span.last)
        alone.append(_curve(single.trace(), single.evaluate("test")))
    for at, (mine, theirs) in enumerate(zip(zip(*stacked, strict=True), zip(*alone, strict=True), strict=True)):
        print(at, f"{stats.tmean(mine):.1f} {stats.tmean(theirs):.1f}", stats.mannwhitneyu(mine, theirs).pvalue)
        # One of four tests may fall below .05 by chance: below .05 / 4 none does but once in twenty times.
        assert stats.mannwhitneyu(mine, theirs).pvalue > 0.05 / 4
        assert stats.ks_2samp(mine, theirs).pvalue > 0.05 / 4


def _curve(trace: Sequence[object], scores: object) -> tuple[float, ...]:
    points = [trace[len(trace) // 3], trace[2 * len(trace) // 3], trace[-1]]
    return (*(point["training_return"] for point in points), scores["evaluation_return"])  # type: ignore[index]
