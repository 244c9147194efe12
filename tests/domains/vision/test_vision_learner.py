"""What the vision learner owes the core: streams, snapshots, probes without traces, batch-norm statistics."""

import pytest
import torch
from torch import Tensor, nn

from domains.vision.learner import VisionLearner
from suite.experiment.errors import UsageError
from suite.experiment.learner import Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams


def learner(first: int = 0, last: int = 40, replicate: int = 1000, **changes: object) -> VisionLearner:
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    spec = Registry().find("vision/mnist5k-lenet300").at("smoke", dotted).spec
    return VisionLearner(spec, Streams(spec.hash, replicate), Span(first, last), Runtime())


def weights(made: VisionLearner) -> list[Tensor]:
    return [value.clone() for value in made.model.state_dict().values()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def test_same_replicate_same_bits_and_another_one_other_weights_and_batches() -> None:
    one, same, other = learner(), learner(), learner(replicate=1001)
    assert not equal(weights(one), weights(other))
    assert not torch.equal(one._batches.of_step(0)[0], other._batches.of_step(0)[0])
    one.advance(10)
    same.advance(10)
    assert equal(weights(one), weights(same))


def test_a_run_that_starts_at_k_sees_the_batches_of_step_k_on() -> None:
    whole, late = learner(), learner(first=25)
    assert torch.equal(whole._batches.of_step(25)[0], late._batches.of_step(25)[0])
    assert not torch.equal(whole._batches.of_step(0)[0], late._batches.of_step(25)[0])


def test_an_epoch_shows_no_image_twice() -> None:
    made = learner()
    steps = 500 // 60
    images = torch.cat([made._batches.of_step(step)[0] for step in range(steps)])
    assert len(images.unique(dim=0)) == len(images) == steps * 60
    assert not torch.equal(made._batches.of_step(0)[0], made._batches.of_step(steps)[0])


def test_a_restored_run_goes_on_bit_for_bit() -> None:
    whole = learner()
    whole.advance(15)
    middle = whole.snapshot()
    whole.advance(40)
    restored = learner()
    restored.restore(middle)
    assert restored.step == 15
    restored.advance(40)
    assert equal(weights(whole), weights(restored))
    assert whole.trace() == restored.trace()


def test_it_learns() -> None:
    made = learner()
    before = made.evaluate("validation")
    made.advance(40)
    after = made.evaluate("validation")
    assert after["loss"] < 0.5 * before["loss"]
    assert after["accuracy"] > 0.6 > before["accuracy"]


def test_probes_are_the_same_at_every_call_and_leave_no_trace() -> None:
    made = learner()
    before = weights(made)
    first, second = ([probe.loss().item() for probe in made.probes(3)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 3
    assert equal(before, weights(made))


def test_flow_is_that_of_one_image_of_ones() -> None:
    made = learner()
    expected = made.model(torch.ones(1, 1, 28, 28)).sum()
    assert made.probes(1)[0].flow().item() == pytest.approx(expected.item())


def test_recalibration_takes_the_mean_over_batches_and_changes_no_weight() -> None:
    made = learner()
    norm = nn.BatchNorm2d(1)
    made.model = nn.Sequential(norm, nn.Flatten(), nn.Linear(784, 10))
    with torch.no_grad():
        norm.running_mean.fill_(9.0)  # type: ignore[union-attr]
    before = [parameter.clone() for parameter in made.model.parameters()]
    made.recalibrate(4)
    mean = torch.stack([made._batches.of_step(step)[0].mean() for step in range(4)]).mean()
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(mean.item(), rel=1e-5)
    assert norm.momentum == 0.1
    assert all(map(torch.equal, before, made.model.parameters()))


@pytest.mark.parametrize("init", ["glorot-normal", "lecun-normal", "torch"])
def test_each_way_to_draw_weights_has_its_own_spread(init: str) -> None:
    weight = dict(learner(model__init=init).model.named_parameters())["fc1.weight"]
    variance = {"glorot-normal": 2 / 1084, "lecun-normal": 1 / 784, "torch": 1 / (3 * 784)}[init]
    assert weight.var().item() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__init": "zeros"}, r"model\.init = 'zeros': one of glorot-normal, lecun-normal, torch"),
        (
            {"model__name": "alexnet"},
            r"model\.name = 'alexnet'; nearest: resnet, lenet-300-100: one of lenet-300-100, resnet, vgg",
        ),
        ({"training__schedule__name": "step"}, r"training\.schedule\.milestones is missing"),
        ({"data__settings__train": "abc"}, r"data\.settings\.train = 'abc': a whole number of at least 1 is needed"),
        ({"data__settings__train": 0}, r"data\.settings\.train = 0: a whole number of at least 1 is needed"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        learner(**changes)  # type: ignore[arg-type]
