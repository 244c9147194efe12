"""FLOPs of the present tasks' steps, as their finished results hold them: a counter that gives others voids them."""

import pytest
import torch

from suite.experiment import step_flops as counting
from suite.experiment.learner import Learner, Span
from suite.experiment.loading import builder
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.step_flops import step_flops
from suite.experiment.streams import Streams

PINNED = {
    ("vision/mnist5k-lenet300", "quick"): (67608000, {"fc1.weight": 240, "fc2.weight": 360, "fc3.weight": 360}),
    ("vision/mnist5k-lenet300", "lite"): (67608000, {"fc1.weight": 240, "fc2.weight": 360, "fc3.weight": 360}),
    ("nlp/kjv-lstm", "quick"): (314572800, {"lstm.weight_ih_l0": 1920, "embedding.weight": 1920}),
    ("nlp/kjv-lstm", "lite"): (503316480, {"lstm.weight_hh_l0": 3072, "embedding.weight": 3072}),
    ("nlp/numbers-transformer", "quick"): (276996096, {}),
    ("nlp/numbers-transformer", "lite"): (414965760, {}),
}


@pytest.mark.parametrize(("task", "scale"), PINNED)
def test_the_flops_of_a_step_are_those_of_the_finished_results(
    task: str, scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, at = Registry(()).one(task, scale)
    spec = file.at(at).spec

    def make() -> Learner:
        return builder(spec)(spec, Streams(spec.hash, 0), Span(0, spec.training.total_steps), Runtime())

    monkeypatch.setattr(counting, "_with_arithmetic", lambda learner: pytest.fail("a product was computed"))
    monkeypatch.setattr(counting, "_by_a_step", lambda learner: pytest.fail("a step was taken"))
    found = step_flops(make, torch.device("cpu"))
    dense, per_weight = PINNED[task, scale]
    assert found is not None
    assert found.dense == dense
    assert per_weight == {name: found.per_weight[name] for name in per_weight}
