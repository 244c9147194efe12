"""What both language learners owe the core: streams, snapshots, probes, evaluation without traces."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from domains.nlp.learner import LanguageModelLearner, TranslationLearner
from suite.experiment import supervised
from suite.experiment.errors import Diverged, UsageError
from suite.experiment.learner import Learner, Probed, Snapshot
from suite.experiment.registry import Registry
from suite.experiment.taskfile import Task

AnyLearner = LanguageModelLearner | TranslationLearner
Make = Callable[..., AnyLearner]
Tasks = Callable[..., Task]


def dropout(name: str) -> dict[str, object]:
    """Changes that make a task use its dropout stream."""
    return {"model__dropout": 0.3, **({"model__layers": 2} if name == "kjv-lstm" else {})}


def batch(learner: AnyLearner, step: int) -> tuple[Tensor, Tensor]:
    """The first one of a step."""
    if isinstance(learner, LanguageModelLearner):
        return learner.batch(step)
    return learner.batches(step)[0]


def weights(learner: AnyLearner) -> list[Tensor]:
    return [value.clone() for value in learner.model.state_dict().values()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def same(one: Snapshot, other: Snapshot) -> bool:
    tensors = one.tensors.keys() == other.tensors.keys() and all(
        one.tensors[name].equal(other.tensors[name]) for name in one.tensors
    )
    return tensors and one.meta == other.meta


def test_it_is_a_learner_with_probes(learner: Make, name: str) -> None:
    made = learner(name)
    assert isinstance(made, Learner)
    assert isinstance(made, Probed)


def test_prunable_names_are_weights_of_the_model_at_every_scale(
    task: Callable[..., Task], learner: Make, name: str
) -> None:
    for scale in Registry().find(f"nlp/{name}").scales:
        spec = task(name, scale).spec
        shapes = type(learner(name)).parameter_shapes(spec)
        assert {len(shapes[n]) for n in spec.prunable} == ({1, 2} if spec.prune_biases else {2})
        assert not any("norm" in n for n in spec.prunable)


def test_same_key_same_bits(learner: Make, name: str) -> None:
    one, other = learner(name, **dropout(name)), learner(name, **dropout(name))
    one.advance(20)
    other.advance(20)
    assert same(one.snapshot(), other.snapshot())


def test_another_replicate_has_other_weights_and_batches(learner: Make, name: str) -> None:
    one, other = learner(name), learner(name, replicate=1001)
    assert not equal(weights(one), weights(other))
    assert not torch.equal(batch(one, 0)[1], batch(other, 0)[1])


def test_dropout_follows_its_stream(learner: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner(name, **dropout(name))
    made.model.train()
    losses = [made.loss(0).item() for _ in range(2)]  # unseeded: drawn from the global generator
    assert losses[0] != losses[1]
    one = learner(name, **dropout(name))
    seeds: list[int] = []
    monkeypatch.setattr(supervised, "seed", lambda value, _: seeds.append(value))
    one.advance(3)
    assert seeds == [one._streams.seed("dropout", step) for step in range(3)]


def test_two_learners_in_one_process_do_not_disturb_each_other(learner: Make, name: str) -> None:
    alone = learner(name, **dropout(name))
    alone.advance(12)
    one, other = learner(name, **dropout(name)), learner(name, replicate=1001, **dropout(name))
    for until in range(1, 13):
        one.advance(until)
        other.advance(until)
        other.evaluate("validation")
    assert same(alone.snapshot(), one.snapshot())


def test_a_restored_run_goes_on_bit_for_bit(learner: Make, name: str) -> None:
    whole = learner(name, **dropout(name))
    whole.advance(20)
    middle = whole.snapshot()
    whole.advance(40)
    restored = learner(name, **dropout(name))
    restored.restore(middle)
    assert restored.step == 20
    restored.advance(40)
    assert same(whole.snapshot(), restored.snapshot())


def test_a_snapshot_does_not_change_with_the_run(learner: Make, name: str) -> None:
    made = learner(name)
    made.advance(5)
    taken = made.snapshot()
    copies = {n: t.clone() for n, t in taken.tensors.items()}
    made.advance(10)
    assert all(copies[n].equal(t) for n, t in taken.tensors.items())
    assert taken.meta["step"] == 5


def test_a_run_that_starts_at_k_sees_the_batches_of_step_k_on(learner: Make, name: str) -> None:
    whole, late = learner(name), learner(name, first=25)
    seen = [batch(whole, step) for step in range(40)]
    for step in range(25, 40):
        assert all(map(torch.equal, batch(late, step), seen[step]))
    assert not all(a[1].shape == b[1].shape and torch.equal(a[1], b[1]) for a, b in zip(seen, seen[8:], strict=False))


def test_epochs_have_orders_of_their_own(learner: Make, name: str) -> None:
    made = learner(name)
    if isinstance(made, LanguageModelLearner):
        epoch = made._epoch_steps
    else:
        epoch = made._rows_of.__self__.epoch_steps if made._settings.max_tokens else 8
    first, second = batch(made, 0), batch(made, epoch)
    assert first[1].shape != second[1].shape or not torch.equal(first[1], second[1])


def test_learning_rate_is_the_schedules_at_the_step(learner: Make, name: str) -> None:
    changes = {
        "training__schedule__name": "step",
        "training__schedule__milestones": [5],
        "training__schedule__warmup": 0,
    }
    made = learner(name, first=3, **changes)
    base = float(made._spec.training.optimizer["lr"])  # type: ignore[arg-type]
    made.advance(5)
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(base)
    made.advance(6)
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(base / 10)


def test_gradients_are_clipped(learner: Make, name: str) -> None:
    made = learner(name, training__settings__clip=1e-3)
    made.advance(1)
    norm = torch.stack([p.grad.norm() for p in made.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_a_loss_that_is_not_finite_is_divergence(learner: Make, name: str) -> None:
    made = learner(name)
    with torch.no_grad():
        next(iter(made.parameters())).fill_(math.nan)
    with pytest.raises(Diverged, match="step 0"):
        made.advance(1)


def test_an_unknown_optimizer_is_refused(learner: Make, name: str) -> None:
    with pytest.raises(UsageError, match=r"adan'; nearest: adam.*: one of adam"):
        learner(name, training__optimizer__name="adan")


def test_training_lowers_the_loss_and_the_trace_says_so(learner: Make, name: str) -> None:
    made = learner(name)
    made.advance(40)
    trace = made.trace()
    assert trace[0]["step"] == 0
    assert trace[-1]["step"] == 39
    assert trace[-1]["loss"] < trace[0]["loss"] - 0.1
    assert len(trace) <= 100


def test_the_global_generator_is_left_alone(learner: Make, name: str) -> None:
    before = torch.random.get_rng_state()
    made = learner(name, **dropout(name))
    made.advance(3)
    made.evaluate("test")
    made.probes(2)[1].loss()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("mode", [True, False])
def test_evaluation_leaves_no_trace(learner: Make, name: str, mode: bool) -> None:
    made = learner(name, **dropout(name))
    made.advance(7)
    made.model.train(mode)
    before = made.snapshot()
    scores = made.evaluate("validation")
    assert same(before, made.snapshot())
    assert {module.training for module in made.model.modules()} == {mode}
    assert made.evaluate("validation") == scores
    assert made._spec.metric.name in scores


def test_probes_leave_no_trace_and_are_the_same_at_every_call(learner: Make, name: str) -> None:
    made, untouched = learner(name, **dropout(name)), learner(name, **dropout(name))
    made.advance(5)
    untouched.advance(5)
    before = made.snapshot()
    losses = [probe.loss().item() for probe in made.probes(3)]
    flows = [probe.flow().item() for probe in made.probes(2)]
    assert len(set(losses)) == 3
    assert losses[:2] == [probe.loss().item() for probe in made.probes(2)]
    assert flows == [probe.flow().item() for probe in made.probes(2)]
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())
    assert same(before, made.snapshot())
    assert all(module.training for module in made.model.modules())
    made.advance(8)
    untouched.advance(8)
    assert same(made.snapshot(), untouched.snapshot())


def test_probe_losses_can_be_differentiated_twice(learner: Make, name: str) -> None:
    made = learner(name)
    parameters = dict(made.model.named_parameters())
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.data = parameter.data.double()
    probe = made.probes(1)[0]
    first = torch.autograd.grad(probe.loss(), list(parameters.values()), create_graph=True, materialize_grads=True)
    along = [
        torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(0)) for p in parameters.values()
    ]
    slope = torch.stack([(g * v).sum() for g, v in zip(first, along, strict=True)]).sum()
    second = torch.autograd.grad(slope, list(parameters.values()), materialize_grads=True)
    curvature = sum(float((h * v).sum()) for h, v in zip(second, along, strict=True))

    def slope_at(distance: float) -> float:
        with torch.no_grad():
            for parameter, v in zip(parameters.values(), along, strict=True):
                parameter.add_(v, alpha=distance)
        gradient = torch.autograd.grad(probe.loss(), list(parameters.values()), materialize_grads=True)
        with torch.no_grad():
            for parameter, v in zip(parameters.values(), along, strict=True):
                parameter.sub_(v, alpha=distance)
        return sum(float((g * v).sum()) for g, v in zip(gradient, along, strict=True))

    rounding = 2e-2 if "fairseq" in name else 1e-3  # fairseq's log probabilities have single precision
    assert curvature == pytest.approx((slope_at(1e-6) - slope_at(-1e-6)) / 2e-6, rel=rounding)


def test_flow_reaches_every_prunable_weight_matrix(learner: Make, name: str) -> None:
    made = learner(name)
    named = dict(made.model.named_parameters())
    gradients = torch.autograd.grad(made.probes(1)[0].flow(), list(named.values()), materialize_grads=True)
    reached = {n for n, g in zip(named, gradients, strict=True) if g.abs().sum() > 0}
    assert set(made._spec.prunable) <= reached


def test_weights_put_in_before_the_first_step_are_the_ones_trained(learner: Make, name: str) -> None:
    one, other = learner(name), learner(name, replicate=1001)
    twin = learner(name, replicate=1001)
    other.model.load_state_dict(one.model.state_dict())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter[0] = 0
    before = weights(other)
    other.advance(1)
    twin.advance(1)
    rate = other.optimizer.param_groups[0]["lr"]
    assert all((a - b).abs().max() <= 1.01 * rate + 1e-7 for a, b in zip(before, weights(other), strict=True))
    assert not equal(weights(other), weights(twin))
