"""Training as the papers have it: schedules, real steps of their networks, and options of precision and layout."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from domains.vision.batches import EVALUATION_PIXELS, at_once
from domains.vision.learner import VisionLearner
from suite.experiment.errors import UsageError
from suite.experiment.flops import count
from suite.experiment.learner import Snapshot, Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.schedules import learning_rate
from suite.experiment.taskfile import Task
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask
from tests.domains.vision.noise import learner, task
from tests.experiment.running import results, run

SMALL: dict[str, Any] = {
    "data__settings__side": 16,
    "data__settings__train": 32,
    "model__widths": [8, 16],
    "model__pools": [1],
    "training__total_steps": 8,
    "training__batch": 8,
}
OPTIONS: dict[str, Any] = {"training__settings__channels_last": True, "training__settings__autocast": "bfloat16"}


def small(optimizer: str = "sgd", **changes: Any) -> Task:
    return task("small-vgg", f"morcos2019-{optimizer}", "short", **{**SMALL, **changes})


@pytest.mark.parametrize(
    ("network", "epochs", "milestones"), [("vgg19", 160, (80, 120)), ("resnet50", 90, (50, 65, 80))]
)
@pytest.mark.parametrize("rewound", [0, 87])
def test_the_rate_is_a_tenth_from_each_milestone_on_wherever_a_run_begins(
    network: str, epochs: int, milestones: tuple[int, ...], rewound: int
) -> None:
    training = task(network, "morcos2019-sgd", data__settings__train=45_000).spec.training
    epoch = 45_000 // 512
    assert training.total_steps == epochs * epoch
    factor = learning_rate(training.schedule, Span(rewound, training.total_steps), training.total_steps)
    for passed, milestone in enumerate(milestones):
        assert factor(milestone * epoch - 1) == pytest.approx(0.1**passed)
        assert factor(milestone * epoch) == pytest.approx(0.1 ** (passed + 1))
    assert factor(training.total_steps - 1) == pytest.approx(0.1 ** len(milestones))


def test_the_optimizers_are_p1s() -> None:
    (sgd,) = learner(small()).optimizer.param_groups
    assert (sgd["lr"], sgd["momentum"], sgd["weight_decay"], sgd["nesterov"]) == (0.1, 0.9, 1e-4, False)
    (adam,) = learner(small("adam")).optimizer.param_groups
    assert (adam["lr"], adam["betas"], adam["weight_decay"]) == (3e-4, (0.9, 0.999), 1e-4)


def test_a_real_step_of_vgg19_keeps_pruned_weights_at_zero_and_moves_the_others() -> None:
    made = learner(task("vgg19", "morcos2019-sgd", training__batch=4))
    mask = half_of(made)
    before = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
    with enforce(made.model, made.optimizer, mask):
        made.advance(1)
    for name, kept in mask.items():
        parameter = made.model.get_parameter(name)
        assert parameter.grad is not None
        for value in (parameter, parameter.grad, made.optimizer.state[parameter]["momentum_buffer"]):
            assert not value[~kept].any(), name
        assert (parameter[kept] != before[name][kept]).float().mean() > 0.9, name


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("cifar100-vgg19-adam", 100),
        ("svhn-resnet50-adam", 10),
        ("imagenet-resnet50-sgd", 1000),
        ("places365-vgg19-sgd", 365),
    ],
)
def test_a_real_step_of_a_paper_task_trains_every_layer_at_full_size_and_costs_what_the_task_says(
    name: str, classes: int
) -> None:
    """One image, where the task has 512: batch norm has its pixels."""
    spec = Registry().find(f"vision/{name}").at("paper").spec
    few = spec.model_copy(update={"training": spec.training.model_copy(update={"batch": 1})})
    made = VisionLearner.stand_in(few, Runtime())
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    with count(made.model) as flops:
        made.advance(1)
    after = made.model.state_dict()
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []
    assert made.trace()[0]["loss"] == pytest.approx(torch.tensor(float(classes)).log().item(), rel=0.5)
    assert set(made.evaluate("validation")) == {"accuracy", "loss"}
    assert flops.dense * spec.training.batch == pytest.approx(spec.cost.flops_per_step, rel=0.01)


def half_of(made: VisionLearner) -> Mask:
    generator = torch.Generator().manual_seed(0)
    dense = Mask.dense(made.model, list(made._spec.prunable))
    return Mask({name: torch.randint(2, kept.shape, generator=generator).bool() for name, kept in dense.items()})


def test_an_evaluation_uses_running_statistics_and_alters_none() -> None:
    made = learner(small())
    made.advance(4)
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    first = made.evaluate("validation")
    assert all(torch.equal(value, before[name]) for name, value in made.model.state_dict().items())
    with torch.no_grad():
        for norm in made.model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                norm.running_mean += 1
    assert made.evaluate("validation") != first


def test_an_evaluation_takes_fewer_large_images_at_a_time() -> None:
    assert at_once((1, 28, 28)) == 1000  # as finished results had it
    assert at_once((3, 224, 224)) == EVALUATION_PIXELS // 224**2 == 39
    assert at_once((3, 4000, 4000)) == 1


def test_options_that_are_not_given_are_part_of_no_hash_and_those_given_are() -> None:
    assert small().spec.training.settings == {}
    hashes = {small(**given).spec.hash for given in ({}, *({key: value} for key, value in OPTIONS.items()), OPTIONS)}
    assert len(hashes) == 4
    with pytest.raises(
        UsageError, match=r"training\.settings\.autocast = 'float16'; nearest: bfloat16: one of bfloat16"
    ):
        small(training__settings__autocast="float16")


def test_autocast_computes_in_bfloat16_and_keeps_weights_state_and_outputs_in_float32() -> None:
    made, plain = learner(small("adam", training__settings__autocast="bfloat16")), learner(small("adam"))
    made.model.load_state_dict(plain.model.state_dict())
    seen = watched(made)
    images, _ = plain._batches.of_step(0)
    assert made._logits(images).dtype == torch.float32
    assert {tensor.dtype for tensor in seen} == {torch.bfloat16}
    assert not torch.equal(made._logits(images), plain._logits(images))
    assert torch.allclose(made._logits(images), plain._logits(images), atol=0.1)
    made.advance(8)
    state = [value for each in made.optimizer.state.values() for value in each.values()]
    assert {value.dtype for value in (*made.model.parameters(), *state)} == {torch.float32}
    seen.clear()
    made.evaluate("test")
    made.probes(1)[0].loss()
    assert len(seen) == 4
    assert {tensor.dtype for tensor in seen} == {torch.bfloat16}


def test_channels_last_lays_out_weights_and_activations_so_and_changes_numbers_in_the_last_bits_only() -> None:
    made, plain = learner(small(training__settings__channels_last=True)), learner(small())
    made.model.load_state_dict(plain.model.state_dict())
    seen = watched(made)
    images, _ = plain._batches.of_step(0)
    assert torch.allclose(made._logits(images), plain._logits(images), atol=1e-5)
    weights = [parameter for parameter in made.model.parameters() if parameter.dim() == 4]
    assert len(weights) == len(seen) == 2
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (*weights, *seen))


def test_a_mask_holds_whatever_the_memory_layout() -> None:
    made = learner(small("adam", training__settings__channels_last=True))
    mask = half_of(made)
    with enforce(made.model, made.optimizer, mask):
        made.advance(3)
    for name, kept in mask.items():
        parameter = made.model.get_parameter(name)
        assert torch.equal(parameter != 0, kept), name
        assert not made.optimizer.state[parameter]["exp_avg"][~kept].any()


def watched(made: VisionLearner) -> list[Tensor]:
    """What the convolutions give from now on."""
    seen: list[Tensor] = []
    for layer in made.model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    return seen


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("fused", [True, False])
def test_a_run_with_both_options_goes_on_from_a_file_bit_for_bit(optimizer: str, fused: bool) -> None:
    """A file knows no memory layout, and torch's fused optimizers read weight and state as they lie."""
    chosen = small(optimizer, **OPTIONS, training__optimizer__fused=fused)
    whole = learner(chosen)
    whole.advance(4)
    kept = whole.snapshot()
    whole.advance(8)
    resumed = learner(chosen)
    resumed.restore(Snapshot({name: value.contiguous() for name, value in kept.tensors.items()}, kept.meta))
    resumed.advance(8)
    ends = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    assert whole.trace() == resumed.trace()


def test_a_ladder_with_both_options_runs_and_keeps_the_density_of_its_levels(tmp_path: Path) -> None:
    """Masks, tickets, new weights and FLOPs of networks with batch norm, bfloat16 and channels last."""
    chosen = small(**OPTIONS, rate=0.5, rewind_step=2)
    options = chosen.options.model_copy(update={"arms": ("winning", "random"), "levels": 2, "replicates": 1})
    plan, store, outcome = run(Task(chosen.spec, chosen.method, options, chosen.code), tmp_path)
    assert not outcome.failed
    found = results(plan, store)
    assert {place: result.density for place, result in found.items()} == {
        ("dense", 0, 0): 1.0,
        **{(arm, level, 0): pytest.approx(0.5**level, abs=1e-3) for arm in ("winning", "random") for level in (1, 2)},
    }
    dense, sparse = (found["winning", 2, 0].spent.flops_dense, found["winning", 2, 0].spent.flops_sparse)
    assert dense is not None
    assert sparse is not None
    assert 0 < sparse < dense
