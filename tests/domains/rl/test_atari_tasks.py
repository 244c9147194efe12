"""What the Atari tasks train: the networks and numbers of the paper, resumed bit for bit, with exact masks."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import NatureCNN

from domains.rl.a2c import ClippedA2C
from domains.rl.environments.atari import Games
from domains.rl.learner import A2CLearner
from domains.rl.models import Model
from suite.experiment.errors import Diverged, RunError, UsageError
from suite.experiment.learner import Snapshot, Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

GAMES = [task_id for task_id in Registry().ids if task_id.startswith("rl/atari-")]


def _spec(task_id: str = "rl/atari-seaquest", scale: str = "smoke", **changes: Any) -> TaskSpec:
    return Registry().find(task_id).at(scale, {name.replace("__", "."): value for name, value in changes.items()}).spec


def _learner(spec: TaskSpec, last: int) -> A2CLearner:
    return A2CLearner(spec, Streams(spec.hash, 1000), Span(0, last), Runtime())


def test_there_are_the_nine_games_of_the_paper() -> None:
    names = "assault berzerk breakout centipede kangaroo krull qbert seaquest space-invaders"
    assert [f"rl/atari-{name}" for name in names.split()] == GAMES


class _Repeated(Games):
    """One game seen as often as there are environments: as large a batch, without the time that emulators take."""

    def __init__(self, settings: Any, envs_per_seed: int, seeds: Any) -> None:
        super().__init__(settings, 1, seeds)
        self.games *= envs_per_seed
        self.num_envs = envs_per_seed
        self._lives *= envs_per_seed
        self._observed = np.repeat(self._observed, envs_per_seed, axis=0)

    def reset(self) -> Any:
        self.games[0].restart()
        self._observed[:, -1] = self.games[0].frame
        return self._observed

    def step_async(self, actions: Any) -> None:
        self.games[0].act(int(actions[0]))

    def step_wait(self) -> Any:
        observed = np.roll(self._observed, -1, axis=1)
        observed[:, -1] = self.games[0].frame
        self._observed = observed
        nothing = np.zeros(self.num_envs, dtype=np.float32)
        return observed, nothing, nothing.astype(bool), [{} for _ in range(self.num_envs)]


@pytest.mark.parametrize("task_id", GAMES)
def test_a_paper_task_takes_an_update_at_its_full_size(task_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P2's network and rollout: every parameter moves, and stays finite."""
    monkeypatch.setattr("domains.rl.environments.atari.Games", _Repeated)
    spec = _spec(task_id, "paper")
    learner = _learner(spec, spec.training.total_steps)
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    assert set(before) == set(spec.prunable)
    learner.advance(1)
    assert all(bool(p.isfinite().all()) and not torch.equal(p, before[n]) for n, p in learner.model.named_parameters())
    assert isinstance(learner._agent, ClippedA2C)
    assert (learner._agent.ratio_clamp, learner._agent.advantage_clip) == (1.5, 1.0)
    buffer = learner._agent.rollout_buffer
    assert buffer.observations.shape == (6, 16, 4, 84, 84)
    shapes = {name: tuple(p.shape) for name, p in before.items() if name.endswith("weight")}
    actions = learner._environments.action_space.n  # type: ignore[attr-defined]
    assert list(shapes.values()) == [
        (64, 4, 5, 5), (64, 64, 5, 5), (64, 64, 3, 3), (64, 64, 3, 3), (512, 64 * 5 * 5), (512, 512), (actions, 512),
        (1, 512),
    ]  # fmt: skip


def test_a_weight_that_actor_and_critic_share_stands_in_the_state_once() -> None:
    """stable-baselines3 holds the shared body under three names, of which a mask would cover one."""
    learner = _learner(_spec(), 2)
    state = learner.model.state_dict()
    assert list(state) == [name for name, _ in learner.model.named_parameters()]
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    observed = torch.as_tensor(learner._environments.reset())
    actions, values, log_probs = learner.model(observed)
    again = learner.model.evaluate_actions(observed, actions)
    torch.testing.assert_close((values, log_probs), again[:2])
    torch.testing.assert_close(learner.model.predict_values(observed), values)


def test_a_policy_computes_what_stable_baselines3s_does() -> None:
    """The same actions from the same random numbers, and all that the losses are made of."""
    model = _learner(_spec(), 2).model
    observed = torch.randint(0, 256, (6, 4, 42, 42), dtype=torch.uint8)
    with torch.no_grad():
        model.action_net.weight.mul_(100)
        torch.manual_seed(0)
        ours = [tensor.clone() for tensor in model(observed)]
        torch.manual_seed(0)
        theirs = ActorCriticPolicy.forward(model, observed)
        torch.testing.assert_close(ours, list(theirs))
        assert len(set(ours[0].tolist())) > 1
        greedy = ActorCriticPolicy.forward(model, observed, deterministic=True)[0]
        assert torch.equal(model(observed, deterministic=True)[0], greedy)
        torch.testing.assert_close(model.predict_values(observed), ours[1])
        assert torch.equal(model.get_distribution(observed).mode(), greedy)
    evaluated = model.evaluate_actions(observed, ours[0])
    torch.testing.assert_close(evaluated, ActorCriticPolicy.evaluate_actions(model, observed, ours[0]))
    # The body alone, as stable-baselines3 calls it: pictures scaled by 255.
    torch.testing.assert_close(model.extract_features(observed), model.features_extractor(observed.float() / 255))


def test_a_network_whose_outputs_are_no_numbers_diverges() -> None:
    learner = _learner(_spec(), 2)
    with torch.no_grad():
        learner.model.action_net.weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="logits of the actions are not finite at step 0"):
        learner.advance(1)
    assert np.isnan(learner.evaluate("test")["evaluation_return"])


def test_nature_cnn_is_stable_baselines3s() -> None:
    spec = _spec(model__name="nature-cnn", data__settings__pixels=84)
    body = _learner(spec, 1).model.features_extractor
    theirs = NatureCNN(body._observation_space)
    own, other = list(body.state_dict().values()), list(theirs.state_dict().values())
    assert [tensor.shape for tensor in own] == [tensor.shape for tensor in other]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), own, strict=True)))
    pictures = torch.rand(2, 4, 84, 84)
    torch.testing.assert_close(body(pictures), theirs(pictures))


def test_a_picture_too_small_for_the_convolutions_is_refused() -> None:
    with pytest.raises(UsageError, match=r"model\.convolutions: .* leaves nothing of 8x8 pixels"):
        _spec(data__settings__pixels=8)


def test_convolutions_are_refused_where_there_are_no_pictures() -> None:
    with pytest.raises(UsageError, match=r"need pictures, not observations of shape \(4,\): take model\.name=mlp"):
        Registry().find("rl/cartpole").at("smoke", {"model.name": "nature-cnn"})


def test_a_restored_learner_goes_on_bit_for_bit() -> None:
    """A life has been lost and a game has ended by then."""
    spec = _spec(
        "rl/atari-breakout", training__settings__n_steps=60, training__batch=120, data__settings__max_frames=900
    )
    whole = _learner(spec, 8)
    whole.advance(5)
    taken = whole.snapshot()
    taken = Snapshot({n: t.clone() for n, t in taken.tensors.items()}, json.loads(json.dumps(taken.meta)))
    assert max(taken.meta["envs"]["games"]) > 1
    whole.advance(8)
    again = _learner(spec, 8)
    again.restore(taken)
    assert again.step == 5
    again.advance(8)
    ours, theirs = whole.snapshot(), again.snapshot()
    assert ours.meta == theirs.meta
    assert all(torch.equal(tensor, theirs.tensors[name]) for name, tensor in ours.tensors.items())
    assert whole.evaluate("test") == again.evaluate("test")


def test_a_snapshot_of_another_emulator_is_refused() -> None:
    learner = _learner(_spec(), 4)
    learner.advance(2)
    taken = learner.snapshot()
    taken.meta["envs"]["emulator"] = "0.1"
    with pytest.raises(RunError, match=r"snapshot is of ale-py 0\.1, .*: delete it, or pip install 'ale-py==0\.1'"):
        _learner(_spec(), 4).restore(taken)


def test_the_settings_of_a_network_are_read_from_the_task() -> None:
    model = Model.of(_spec(scale="lite").model)
    assert [layer.filters for layer in model.convolutions] == [16, 32]  # type: ignore[attr-defined]
