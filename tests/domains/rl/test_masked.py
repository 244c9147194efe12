"""What is pruned stays exactly zero inside stable-baselines3: weights, gradients, optimizer state, across a file."""

from pathlib import Path

import pytest
import torch

from domains.rl.learner import A2CLearner
from suite.experiment.learner import Span
from suite.experiment.registry import Registry
from suite.experiment.roles import tensors_of
from suite.experiment.runtime import Runtime
from suite.experiment.snapshotfile import read_snapshot, write_snapshot
from suite.experiment.streams import Streams
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask


def made(task: str) -> tuple[A2CLearner, Mask]:
    """A learner, and a mask that keeps about a third of what its task prunes."""
    spec = Registry().find(task).at("smoke").spec
    learner = A2CLearner(spec, Streams(spec.hash, 1000), Span(0, 20), Runtime())
    generator = torch.Generator().manual_seed(0)
    dense = Mask.dense(learner.model, spec.prunable)
    return learner, Mask({name: torch.rand(kept.shape, generator=generator) < 0.3 for name, kept in dense.items()})


def pruned(learner: A2CLearner, mask: Mask) -> dict[str, torch.Tensor]:
    """Everything of the shape of a masked weight, where the mask has nothing."""
    found = {}
    for name, kept in mask.items():
        weight = learner.model.get_parameter(name)
        assert weight.grad is not None
        tensors = {"weight": weight.detach(), "gradient": weight.grad, **learner.optimizer.state[weight]}
        found |= {f"{name} {key}": t[~kept] for key, t in tensors.items() if getattr(t, "shape", None) == kept.shape}
    return found


RMSPROP, ADAM = {"square_avg"}, {"exp_avg", "exp_avg_sq"}


@pytest.mark.parametrize(
    ("task", "state"),
    [
        ("rl/cartpole", RMSPROP),
        ("rl/acrobot", RMSPROP),
        ("rl/lunarlander", RMSPROP),
        pytest.param("rl/atari-seaquest", ADAM, id="a body that actor and critic share"),
    ],
)
def test_pruned_weights_their_gradients_and_moments_are_zero_after_training_and_after_a_file(
    task: str, state: set[str], tmp_path: Path
) -> None:
    learner, mask = made(task)
    with enforce(learner.model, learner.optimizer, mask):
        learner.advance(4)
        held = pruned(learner, mask)
        taken = learner.snapshot()
    assert {name.rpartition(" ")[2] for name in held} == {"weight", "gradient", *state}
    assert all(not tensor.any() for tensor in held.values())
    with (tmp_path / "snapshot").open("wb") as file:
        write_snapshot(file, taken)
    again, _ = made(task)
    with enforce(again.model, again.optimizer, mask):
        again.restore(read_snapshot(tmp_path / "snapshot"))
        again.advance(6)
        assert all(not tensor.any() for tensor in pruned(again, mask).values())
    assert all(bool(again.model.get_parameter(name).detach()[kept].all()) for name, kept in mask.items())


def test_a_role_of_the_task_is_what_the_method_says_of_the_actor() -> None:
    spec = Registry().find("rl/lunarlander").at("paper").spec
    bodies = {role: [n for n in spec.prunable if n.startswith(prefix)] for role, prefix in (
        ("actor", ("mlp_extractor.policy_net", "action_net")), ("critic", ("mlp_extractor.value_net", "value_net"))
    )}  # fmt: skip
    assert {role: list(tensors_of(spec, role)) for role in bodies} == bodies
    assert sum(map(len, bodies.values())) == len(spec.prunable)
