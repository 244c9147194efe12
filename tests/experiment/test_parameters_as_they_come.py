"""What an owner may do with parameters, optimizers, layers and copies, and still have a ticket trained as it says."""

import copy
import random
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from suite.experiment import snapshot as dense
from suite.experiment import trainee as trainees
from suite.experiment.errors import Diverged, RunError, UsageError
from suite.experiment.learner import Learner, Snapshot, Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask
from tests.experiment.toy import ToyLearner, task

CPU = torch.device("cpu")


def _made(kind: type[ToyLearner] = ToyLearner, first: int = 0, **changes: Any) -> ToyLearner:
    spec = task(changes={name.replace("__", "."): value for name, value in changes.items()}).spec
    return kind(spec, Streams(spec.hash, 0), Span(first, spec.training.total_steps), Runtime())


def _trainee(learner: Learner) -> Any:
    return trainees._Alone(learner, Streams("0", 0), CPU)


def _same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


# Parameter groups and optimizers


class TwoGroups(ToyLearner):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        first, second = self.model[0], self.model[2]
        self.optimizer = torch.optim.SGD(
            [{"params": first.parameters(), "lr": 0.1}, {"params": second.parameters()}], lr=0.02
        )


def test_every_group_follows_the_schedule_from_its_own_rate() -> None:
    learner = _made(TwoGroups)
    learner.advance(11)
    factor = learner._factor(10)
    assert 0 < factor < 1
    assert [group["lr"] for group in learner.optimizer.param_groups] == [0.1 * factor, 0.02 * factor]


def test_a_group_added_in_the_middle_of_training_has_the_rate_that_it_came_with() -> None:
    learner = _made()
    learner.advance(5)
    learner.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 0.5})
    learner.advance(11)
    assert learner.optimizer.param_groups[1]["lr"] == 0.5 * learner._factor(10)


def test_an_optimizer_that_needs_a_closure_is_refused_by_name_before_the_first_step() -> None:
    learner = _made()
    learner.optimizer = torch.optim.LBFGS(learner.model.parameters())
    with pytest.raises(UsageError, match="LBFGS needs a closure"):
        learner.advance(1)
    assert learner.step == 0


# Modes


class Normalised(ToyLearner):
    frozen = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        hidden = self.model[0].out_features
        self.model.insert(1, nn.BatchNorm1d(hidden))
        if self.frozen:
            self.model[1].eval()


class Thawed(Normalised):
    frozen = False


class LeftInEvaluation(Normalised):
    def evaluate(self, split: Split) -> Mapping[str, float]:
        self.model.eval()
        return {"accuracy": 0.5}


@pytest.mark.parametrize(("kind", "batches"), [(Normalised, 0), (Thawed, 10), (LeftInEvaluation, 0)])
def test_a_norm_frozen_by_its_owner_stays_frozen(kind: type[Normalised], batches: int) -> None:
    learner = _made(kind)
    learner.advance(5)
    learner.evaluate("validation")
    learner.advance(10)
    assert int(learner.model[1].num_batches_tracked) == batches
    assert learner.model.training


# Copies


class Averaged(ToyLearner):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.copy: Any = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(0.9))

    def weights_of_copy(self) -> list[Tensor]:
        return list(self.copy.module.parameters())

    def loss(self, step: int) -> Tensor:
        with torch.no_grad():
            for mine, own in zip(self.weights_of_copy(), self.model.parameters(), strict=True):
                mine.lerp_(own, 0.1)
        return super().loss(step)


class Target(Averaged):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.copy = [{"target": copy.deepcopy(self.model)}]

    def weights_of_copy(self) -> list[Tensor]:
        return list(self.copy[0]["target"].parameters())


class Shadow:
    def __init__(self, model: nn.Module) -> None:
        self.shadow = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


class Named(Averaged):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.copy = Shadow(self.model)

    def weights_of_copy(self) -> list[Tensor]:
        return list(self.copy.shadow.values())


class Listed(Averaged):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.copy = [parameter.detach().clone() for parameter in self.model.parameters()]

    def weights_of_copy(self) -> list[Tensor]:
        return list(self.copy)


class Flat(Averaged):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.copy = nn.utils.parameters_to_vector(self.model.parameters()).detach().clone()

    def weights_of_copy(self) -> list[Tensor]:
        own = list(self.model.parameters())
        pieces = torch.split(self.copy, [p.numel() for p in own])
        return [piece.view_as(p) for piece, p in zip(pieces, own, strict=True)]


COPIES: list[type[Averaged]] = [Averaged, Target, Named, Listed, Flat]


def _ticket(learner: ToyLearner) -> tuple[dict[str, Tensor], Mask]:
    generator = torch.Generator().manual_seed(5)
    weights = {name: torch.randn(w.shape, generator=generator) for name, w in learner.model.state_dict().items()}
    sizes = Mask.dense(learner.model, ["0.weight", "2.weight"])
    return weights, Mask({name: torch.rand(kept.shape, generator=generator) < 0.3 for name, kept in sizes.items()})


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_of_the_weights_starts_from_the_ticket_and_stays_as_sparse(kind: type[Averaged]) -> None:
    learner = _made(kind)
    weights, mask = _ticket(learner)
    running = _trainee(learner)
    running.load([weights])
    with enforce(learner.model, learner.optimizer, mask):
        running.advance(1)
        starts = {name: w * mask[name] if name in mask else w for name, w in weights.items()}
        for mine, start in zip(learner.weights_of_copy(), starts.values(), strict=True):
            assert torch.allclose(mine, start, atol=1e-6)
        running.advance(10)
    kept = [torch.ones_like(w, dtype=torch.bool) if name not in mask else mask[name] for name, w in weights.items()]
    for mine, where in zip(learner.weights_of_copy(), kept, strict=True):
        assert not mine[~where].any()


@pytest.mark.parametrize("kind", COPIES)
def test_a_run_with_a_copy_goes_on_from_a_snapshot_bit_for_bit(kind: type[Averaged]) -> None:
    whole = _made(kind)
    running = _trainee(whole)
    running.advance(7)
    middle = running.snapshot()
    running.advance(20)
    other = _made(kind)
    again = _trainee(other)
    again.restore(middle)
    again.advance(20)
    assert _same(whole.model, other.model)
    assert all(map(torch.equal, whole.weights_of_copy(), other.weights_of_copy()))


def test_another_network_is_not_taken_for_a_copy() -> None:
    class Teacher(ToyLearner):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.teacher = copy.deepcopy(self.model)
            for parameter in self.teacher.parameters():
                nn.init.normal_(parameter)
            self.zeros = torch.zeros_like(self.model[0].bias)

    learner = _made(Teacher)
    before, zeros = copy.deepcopy(learner.teacher), learner.zeros.clone()
    running = _trainee(learner)
    running.load([_ticket(learner)[0]])
    running.advance(3)
    assert _same(before, learner.teacher)
    assert torch.equal(zeros, learner.zeros)


def test_a_learner_that_cares_for_its_copies_is_told_once_and_nothing_is_looked_for() -> None:
    class Caring(Target):
        told = 0

        def weights_replaced(self) -> None:
            self.told += 1

        def loss(self, step: int) -> Tensor:
            return ToyLearner.loss(self, step)

    learner = _made(Caring)
    before = copy.deepcopy(learner.copy[0]["target"])
    running = _trainee(learner)
    running.load([_ticket(learner)[0]])
    running.advance(2)
    running.advance(4)
    assert learner.told == 1
    assert _same(before, learner.copy[0]["target"])


# Random numbers


class Drawing(ToyLearner):
    """Draws from every generator of the process, though not in every step."""

    def loss(self, step: int) -> Tensor:
        noise = float(np.random.normal()) + random.gauss(0, 1) + float(torch.randn(())) if step % 3 == 2 else 1.0
        return super().loss(step) * (1 + 0.1 * noise)


def test_numbers_drawn_in_a_step_are_the_steps_whoever_else_draws_and_wherever_the_run_pauses() -> None:
    one, other = _made(Drawing), _made(Drawing)
    one.advance(20)
    for until in (1, 3, 4, 11, 20):
        np.random.seed(until)
        random.seed(until)
        torch.manual_seed(until)
        other.advance(until)
    assert _same(one.model, other.model)


def test_the_callers_random_numbers_go_on_as_before() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    _made(Drawing).advance(5)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


class Quiet(ToyLearner):
    draws = False


class QuietButDrawing(Drawing):
    draws = False


def test_dropout_is_the_same_whether_a_learner_says_that_only_its_model_draws_or_not() -> None:
    one, other = _made(model__dropout=0.5), _made(Quiet, model__dropout=0.5)
    one.advance(20)
    other.advance(7)
    other.advance(20)
    assert _same(one.model, other.model)


def test_a_learner_that_says_it_draws_nothing_and_does_is_refused() -> None:
    with pytest.raises(RunError, match="say `draws = True` in QuietButDrawing"):
        _made(QuietButDrawing).advance(10)


def test_no_seed_is_hashed_and_no_state_kept_in_the_steps_of_a_model_that_draws_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed: list[tuple[Any, ...]] = []
    seed = Streams.seed
    monkeypatch.setattr(Streams, "seed", lambda self, *what: hashed.append(what) or seed(self, *what))
    _made(Quiet).advance(20)
    assert [what for what in hashed if what[0] == "dropout"] == [("dropout", 0)]


def test_losses_are_read_at_the_points_of_the_trace_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = _made(TwoGroups, training__total_steps=1000)  # torch's Adam reads numbers of its own
    reads = 0

    def read(self: Tensor) -> float:
        nonlocal reads
        reads += 1
        return 0.0

    monkeypatch.setattr(Tensor, "item", read)
    learner.advance(100)
    assert reads == 0
    assert len(learner.trace()) == 10


@pytest.mark.parametrize("pauses", [(200,), (8, 13, 200)])
def test_the_first_loss_that_is_no_number_is_named_though_read_later(pauses: tuple[int, ...]) -> None:
    class Bad(ToyLearner):
        def loss(self, step: int) -> Tensor:
            return super().loss(step) * (float("nan") if step == 12 else 1.0)

    learner = _made(Bad, training__total_steps=1000)
    for until in pauses[:-1]:
        learner.advance(until)
    with pytest.raises(Diverged, match="loss nan at step 12"):
        learner.advance(pauses[-1])
    assert learner.step == 20


# Optimizer state


class Keeping(torch.optim.SGD):
    """SGD by numbers that it keeps in all the places where optimizers do."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr)
        self.counter, self.recent = 0, deque([1.0], maxlen=3)
        self.param_groups[0]["k"] = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        group = self.param_groups[0]
        group["k"] += 1
        self.counter += 1
        self.recent.append(float(self.counter))
        self.state.setdefault("all", {"n": 0})["n"] += 1
        for parameter in group["params"]:
            state = self.state[parameter]
            state.setdefault("sums", [torch.zeros_like(parameter), (np.zeros(1), None, 2 + 1j)])
            state["sums"][0].add_(parameter.grad)
            rate = group["lr"] / (group["k"] + self.counter + sum(self.recent) + self.state["all"]["n"])
            parameter.sub_(state["sums"][0], alpha=rate)


def _steps(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        model(x).square().mean().backward()
        optimizer.step()


def test_state_in_groups_attributes_lists_and_under_names_is_in_a_snapshot() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    start = copy.deepcopy(model)
    optimizer = Keeping(model.parameters(), lr=0.1)
    _steps(model, optimizer, range(4))
    taken = dense.take(model, optimizer, {})
    _steps(model, optimizer, range(4, 8))
    again = Keeping(start.parameters(), lr=0.1)
    dense.put(taken, start, again)
    _steps(start, again, range(4, 8))
    assert _same(model, start)
    assert again.recent == optimizer.recent
    assert again.recent.maxlen == 3
    _, (array, nothing, number) = again.state[start.weight]["sums"]
    assert (array.tolist(), nothing, number) == ([0.0], None, 2 + 1j)


def test_state_that_no_file_can_hold_is_named() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.state[model.weight] = {"helper": object()}
    with pytest.raises(RunError, match=r"optimizer state 'helper\.weight' is a object"):
        dense.take(model, optimizer, {})


def test_a_parameter_outside_the_model_is_in_a_snapshot() -> None:
    torch.manual_seed(0)
    model, temperature = nn.Linear(4, 3), nn.Parameter(torch.ones(1))
    optimizer = torch.optim.Adam([*model.parameters(), temperature], lr=0.1)
    (model(torch.ones(1, 4)).sum() * temperature).backward()
    optimizer.step()
    taken = dense.take(model, optimizer, {})
    fresh = nn.Parameter(torch.ones(1))
    again = torch.optim.Adam([*nn.Linear(4, 3).parameters(), fresh], lr=0.1)
    other = nn.Linear(4, 3)
    again = torch.optim.Adam([*other.parameters(), fresh], lr=0.1)
    dense.put(taken, other, again)
    assert torch.equal(fresh, temperature)
    assert torch.equal(again.state[fresh]["exp_avg"], optimizer.state[temperature]["exp_avg"])


def test_a_second_network_of_a_learner_is_in_its_snapshots(tmp_path: Path) -> None:
    class WithCritic(ToyLearner):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.critic = nn.Linear(3, 1)

        def loss(self, step: int) -> Tensor:
            with torch.no_grad():
                self.critic.weight.add_(0.01)
            return super().loss(step)

    learner = _made(WithCritic)
    learner.advance(5)
    taken: Snapshot = learner.snapshot()
    other = _made(WithCritic)
    other.restore(taken)
    assert torch.equal(other.critic.weight, learner.critic.weight)
