"""What the A2C learner promises the core, and what its environments promise stable-baselines3."""

import json
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from domains.rl import environments
from domains.rl.coefficients import Coefficients
from domains.rl.cohort import A2CCohort
from domains.rl.environments.cartpole import CartPole
from domains.rl.learner import A2CLearner
from suite.experiment.errors import Diverged, RunError, UsageError
from suite.experiment.learner import Learner, Probed, Snapshot, Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data, Settings, TaskSpec
from tests.commands import lottery


def _spec(scale: str = "smoke", changes: Mapping[str, Any] | None = None) -> TaskSpec:
    """The shipped task at a scale, with some values replaced."""
    return Registry().find("rl/cartpole").at(scale, changes).spec


def _learner(span: Span, replicate: int = 1000, spec: TaskSpec | None = None, fresh: bool = False) -> A2CLearner:
    spec = spec or _spec()
    streams = Streams(spec.hash, replicate)
    return A2CLearner(spec, streams.fresh() if fresh else streams, span, Runtime())


def _short_episodes(limit: int) -> TaskSpec:
    """Episodes end by the time limit before a pole can fall (which takes at least eight steps)."""
    settings: Settings = {"max_episode_steps": limit, "reward_scale": 0.25}
    found = environments.fingerprint(Data(name="CartPole-v1", fingerprint="", settings=settings))
    return _spec("smoke", {"data.fingerprint": found, **{f"data.settings.{k}": v for k, v in settings.items()}})


def _same(one: Snapshot, two: Snapshot) -> bool:
    return (
        one.tensors.keys() == two.tensors.keys()
        and all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())
        and one.meta == two.meta
    )


def _weights(learner: A2CLearner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.parameters()])


def test_the_learner_fulfils_the_contract_and_has_no_probes() -> None:
    learner = _learner(Span(0, 3))
    assert isinstance(learner, Learner)
    assert not isinstance(learner, Probed)
    assert (learner.step, learner.total_steps) == (0, 3)


@pytest.mark.parametrize("scale", ["lite", "quick", "smoke"])
def test_the_task_names_parameters_of_the_policy(scale: str) -> None:
    spec = _spec(scale)
    shapes = {name: p.shape for name, p in _learner(Span(0, 1), spec=spec).model.named_parameters()}
    assert set(spec.prunable) <= set(shapes)
    hidden = {n for n, shape in shapes.items() if n.startswith("mlp_extractor") and len(shape) == 2}
    assert set(spec.prunable) == hidden


def test_equal_arguments_give_equal_bits_and_another_replicate_does_not() -> None:
    one, two, other = _learner(Span(0, 6)), _learner(Span(0, 6)), _learner(Span(0, 6), replicate=1001)
    torch.manual_seed(1)
    one.advance(6)
    torch.manual_seed(2)
    two.advance(6)
    other.advance(6)
    assert _same(one.snapshot(), two.snapshot())
    assert not torch.equal(_weights(one), _weights(other))


def test_one_step_is_one_optimizer_update_of_one_rollout() -> None:
    learner = _learner(Span(0, 4))
    updates: list[int] = []
    learner.optimizer.register_step_post_hook(lambda *_: updates.append(1))
    before = learner._agent.num_timesteps
    learner.advance(3)
    assert learner.step == len(updates) == 3
    assert learner._agent.num_timesteps - before == 3 * _spec().training.batch


def test_fresh_streams_draw_other_weights_and_keep_the_environment() -> None:
    winning, fresh = _learner(Span(0, 5)), _learner(Span(0, 5), fresh=True)
    assert not torch.equal(_weights(winning), _weights(fresh))
    fresh.model.load_state_dict(winning.model.state_dict())
    winning.advance(5)
    fresh.advance(5)
    assert torch.equal(_weights(winning), _weights(fresh))


def test_a_restored_learner_goes_on_bit_for_bit() -> None:
    whole = _learner(Span(0, 100))
    whole.advance(50)
    taken = whole.snapshot()
    taken = Snapshot({n: t.clone() for n, t in taken.tensors.items()}, json.loads(json.dumps(taken.meta)))
    whole.advance(100)
    again = _learner(Span(0, 100))
    again.restore(taken)
    assert again.step == 50
    again.advance(100)
    assert _same(whole.snapshot(), again.snapshot())
    assert whole.evaluate("test") == again.evaluate("test")
    assert whole.trace() == again.trace()
    assert whole.optimizer.state_dict()["param_groups"] == again.optimizer.state_dict()["param_groups"]


def test_a_snapshot_is_a_copy() -> None:
    learner = _learner(Span(0, 10))
    learner.advance(5)
    taken = learner.snapshot()
    kept = Snapshot({n: t.clone() for n, t in taken.tensors.items()}, json.loads(json.dumps(taken.meta)))
    learner.advance(10)
    assert _same(taken, kept)
    learner.restore(taken)
    learner.advance(10)
    assert _same(taken, kept)


def test_global_random_streams_are_left_alone() -> None:
    def states() -> tuple[Any, ...]:
        kind, keys, *rest = np.random.get_state()
        return torch.get_rng_state().tolist(), kind, list(keys), rest, random.getstate()

    before = states()
    learner = _learner(Span(0, 3))
    learner.advance(3)
    learner.evaluate("test")
    assert states() == before


def test_evaluation_alters_nothing_and_has_starts_of_its_own() -> None:
    learner, undisturbed = _learner(Span(0, 20)), _learner(Span(0, 20))
    learner.advance(10)
    undisturbed.advance(10)
    before, training = learner.snapshot(), learner.model.training
    validation, test = learner.evaluate("validation"), learner.evaluate("test")
    assert _same(before, learner.snapshot())
    assert learner.model.training == training
    assert learner.evaluate("test") == test
    assert validation["training_return"] == test["training_return"]
    assert validation["evaluation_return"] != test["evaluation_return"]
    learner.advance(20)
    undisturbed.advance(20)
    assert torch.equal(_weights(learner), _weights(undisturbed))


@pytest.mark.parametrize("window", [100, 7])
def test_the_training_return_is_the_mean_of_the_last_episodes_of_the_window(
    monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    ended: list[int] = []
    lengths: dict[int, int] = {}
    step_wait = CartPole.step_wait

    def counted(self: CartPole) -> Any:
        result = step_wait(self)
        for i, done in enumerate(result[2]):
            lengths[i] = lengths.get(i, 0) + 1
            if done:
                ended.append(lengths.pop(i))
        return result

    learner = _learner(Span(0, 150), spec=_spec("smoke", {"training.settings.window": window}))
    monkeypatch.setattr(CartPole, "step_wait", counted)
    learner.advance(150)
    monkeypatch.undo()
    assert len(ended) > 2 * 100
    # CartPole pays 1 a step: an undiscounted, unscaled return is an episode's length.
    assert learner.evaluate("test")["training_return"] == pytest.approx(np.mean(ended[-window:]))
    assert learner.trace()[-1] == {"step": 150, "training_return": learner.evaluate("test")["training_return"]}
    assert len(learner.trace()) <= 101


@pytest.mark.parametrize("episodes", [1, 30])
def test_the_evaluation_return_is_the_mean_of_as_many_first_episodes_as_the_task_says(
    monkeypatch: pytest.MonkeyPatch, episodes: int
) -> None:
    learner = _learner(Span(0, 20), spec=_spec("smoke", {"training.settings.evaluation_episodes": episodes}))
    learner.advance(20)
    first: dict[int, float] = {}
    step_wait = CartPole.step_wait

    def seen(self: CartPole) -> Any:
        result = step_wait(self)
        for i, value in self.finished:
            first.setdefault(i, value)
        return result

    monkeypatch.setattr(CartPole, "step_wait", seen)
    found = learner.evaluate("test")["evaluation_return"]
    assert sorted(first) == list(range(episodes))
    assert found == pytest.approx(np.mean(list(first.values())))


def test_as_many_environments_play_as_there_are_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"training.settings.evaluation_episodes": 2, "training.settings.evaluation_envs": 5}
    learner = _learner(Span(0, 2), spec=_spec("smoke", few))
    played: list[int] = []
    step_wait = CartPole.step_wait
    monkeypatch.setattr(CartPole, "step_wait", lambda self: (played.append(self.num_envs), step_wait(self))[1])
    learner.evaluate("test")
    assert set(played) == {2}


@pytest.mark.parametrize("kind", ["single", "cohort"])
def test_a_trace_begins_with_the_end_of_the_first_episode(kind: str) -> None:
    """What an episode in progress has got so far is no return: at -1 a step, Acrobot's would begin near 0 and fall.

    At the end, where a number is needed, it is the training return.
    """
    spec, span = Registry().find("rl/acrobot").at("smoke").spec, Span(0, 20)
    streams = Streams(spec.hash, 1000)
    if kind == "single":
        single = A2CLearner(spec, streams, span, Runtime())
        single.advance(20)
        trace, scores = single.trace(), single.evaluate("test")
    else:
        cohort = A2CCohort(spec, [streams], span, Runtime())
        cohort.advance(20)
        (trace,), (scores,) = cohort.traces(), cohort.evaluate("test")
    assert list(trace) == []
    assert scores["training_return"] == -20 * Coefficients.read(spec.training.settings, "training.settings").n_steps


def test_a_learner_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    learner = _learner(Span(0, 2))
    learner.advance(2)
    assert list(tmp_path.iterdir()) == []


def test_one_advantage_cannot_be_normalised() -> None:
    """Its standard deviation is no number: refused before the first step, not recorded as a run that diverged."""
    alone = {"training.batch": 1, "training.settings.n_envs": 1, "training.settings.n_steps": 1}
    with pytest.raises(UsageError, match="normalize_advantage"):
        _spec("smoke", alone | {"training.settings.normalize_advantage": True})
    training = _spec("smoke", alone).training
    settings = training.settings | {"normalize_advantage": True}
    normalised = _spec().model_copy(update={"training": training.model_copy(update={"settings": settings})})
    with pytest.raises(UsageError, match="normalize_advantage"):
        _learner(Span(0, 2), spec=normalised)
    with pytest.raises(UsageError, match="normalize_advantage"):
        A2CCohort(normalised, [Streams(normalised.hash, 1000)], Span(0, 2), Runtime())
    plain = _learner(Span(0, 2), spec=_spec("smoke", alone))
    plain.advance(2)
    assert bool(_weights(plain).isfinite().all())


def test_rewards_are_scaled_for_the_agent_only() -> None:
    learner = _learner(Span(0, 10), spec=_short_episodes(4))
    learner.advance(10)
    assert learner.evaluate("test") == {"evaluation_return": 4.0, "training_return": 4.0}
    rewards = CartPole(3, seeds=[0], reward_scale=0.25).step(np.array([0, 1, 0]))[1]
    assert isinstance(rewards, np.ndarray)
    assert rewards.tolist() == [0.25, 0.25, 0.25]


def test_environments_move_as_gymnasiums_single_one() -> None:
    vector = CartPole(6, seeds=[3])
    observed = vector.reset()
    singles = [gym.make("CartPole-v1") for _ in range(6)]
    for i, single in enumerate(singles):
        single.reset(seed=i)
        single.unwrapped.state = vector.state[:, i].copy()  # type: ignore[attr-defined]
    generator, ends = np.random.default_rng(0), 0
    for _ in range(120):
        actions = generator.integers(2, size=6)
        observed, rewards, dones, infos = vector.step(actions)  # type: ignore[assignment]
        for i, single in enumerate(singles):
            seen, reward, terminated, truncated, _ = single.step(int(actions[i]))
            assert (rewards[i], dones[i]) == (reward, terminated or truncated)
            if dones[i]:
                np.testing.assert_allclose(infos[i]["terminal_observation"], seen, rtol=1e-5)
                assert not infos[i]["TimeLimit.truncated"]
                assert np.abs(observed[i]).max() <= 0.05
                single.reset(seed=i)
                single.unwrapped.state = vector.state[:, i].copy()  # type: ignore[attr-defined]
                ends += 1
            else:
                np.testing.assert_allclose(observed[i], seen, rtol=1e-5)
    assert ends == len(vector.finished) > 6


def test_an_episode_ends_at_the_time_limit_and_the_next_one_has_its_full_length() -> None:
    vector = CartPole(2, seeds=[0], max_episode_steps=4)
    ends = []
    for t in range(12):
        _, _, dones, infos = vector.step(np.array([t % 2, t % 2]))
        if dones.any():
            ends.append(t)
            assert dones.all()
            assert all(info["TimeLimit.truncated"] for info in infos)
    assert ends == [3, 7, 11]
    assert vector.finished == [(0, 4.0), (1, 4.0)] * 3


def test_a_truncated_episode_is_bootstrapped_with_the_value_of_its_last_observation() -> None:
    spec = _short_episodes(2)
    learner = _learner(Span(0, 2), spec=spec)
    lasts: list[np.ndarray] = []
    step_wait = learner._environments.step_wait

    def watched() -> Any:
        result = step_wait()
        lasts.append(np.stack([info.get("terminal_observation", np.full(4, np.nan)) for info in result[3]]))
        return result

    learner._environments.step_wait = watched  # type: ignore[method-assign]
    agent = learner._agent
    with learner._own_random():
        agent.collect_rollouts(learner._environments, learner._callback, agent.rollout_buffer, agent.n_steps)
    with torch.no_grad():
        values = learner.model.predict_values(torch.as_tensor(lasts[1])).flatten().numpy()
    gamma = spec.training.settings["gamma"]
    assert np.isnan(lasts[0]).all()
    np.testing.assert_allclose(agent.rollout_buffer.rewards[0], 0.25)
    np.testing.assert_allclose(agent.rollout_buffer.rewards[1], 0.25 + gamma * values, rtol=1e-5)  # type: ignore[operator]
    assert np.abs(values).min() > 0


@pytest.mark.parametrize(
    ("span", "positions"), [(Span(0, 8), [0, 1, 5]), (Span(4, 8), [4, 5, 7]), (Span(4, 8, 4), [0, 1, 3])]
)
def test_the_learning_rate_follows_the_schedule(span: Span, positions: list[int]) -> None:
    spec = _spec("smoke", {"training.total_steps": 8, "training.optimizer.lr": 0.5e-3})
    assert spec.training.schedule["name"] == "linear"
    learner = _learner(span, spec=spec)
    used = []
    for position in positions:
        learner.advance(position + span.shift + 1)
        used.append(learner.optimizer.param_groups[0]["lr"])
    assert used == pytest.approx([0.5e-3 * (1 - position / 8) for position in positions])


def test_fine_tuning_keeps_the_last_rate_of_the_schedule() -> None:
    spec = _spec("smoke", {"training.total_steps": 8, "training.optimizer.lr": 0.5e-3})
    learner = _learner(Span(4, 8, held=True), spec=spec)
    for until in (5, 8):
        learner.advance(until)
        assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.5e-3 / 8)


def test_all_arms_of_a_replicate_share_the_seeds_of_their_environments() -> None:
    """A winning ticket starts at step k, a redrawn one at step 0: the difference between them is paired."""

    def starts(learner: A2CLearner) -> list[list[float]]:
        return learner.snapshot().tensors["rollout.observations"].tolist()  # type: ignore[no-any-return]

    zero, four, again = _learner(Span(0, 8)), _learner(Span(4, 8)), _learner(Span(4, 8))
    assert torch.equal(_weights(zero), _weights(four))
    other = _learner(Span(4, 8), 1001)
    assert starts(four) == starts(zero) != starts(other)
    actions = [each.snapshot().tensors["random.0"] for each in (four, zero, other)]
    assert torch.equal(actions[0], actions[1])
    assert not torch.equal(actions[0], actions[2])
    four.advance(8)
    again.advance(8)
    assert torch.equal(_weights(four), _weights(again))
    assert four._agent.num_timesteps == 4 * _spec().training.batch


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_reported_as_divergence(value: float) -> None:
    learner = _learner(Span(0, 3))
    with torch.no_grad():
        learner.model.value_net.weight[0, 0] = value
    with pytest.raises(Diverged, match="step 0"):
        learner.advance(1)
    learner = _learner(Span(0, 3))
    with torch.no_grad():
        learner.model.action_net.weight[0, 0] = value
    with pytest.raises(Diverged, match="step 0"):
        learner.advance(1)


def test_an_environment_that_behaves_otherwise_is_refused() -> None:
    spec = _spec("smoke", {"data.settings.max_episode_steps": 499})
    with pytest.raises(RunError, match=r"--set data\.fingerprint="):
        _learner(Span(0, 1), spec=spec)
    with pytest.raises(UsageError, match="CartPole-v1"):
        environments.make(Data(name="Pong", fingerprint=""), 1, [0])


def test_batch_must_be_environments_times_steps() -> None:
    with pytest.raises(UsageError, match="n_envs"):
        _learner(Span(0, 1), spec=_spec("smoke", {"training.batch": 7}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training.settings.gamma": 2.0}, r"training\.settings\.gamma = 2\.0: a number from 0 to 1 is needed"),
        ({"training.settings.n_envs": 1.5}, r"training\.settings\.n_envs = 1\.5: a whole number"),
        ({"training.settings.max_grad_norm": 0}, r"training\.settings\.max_grad_norm = 0: a number above 0 is needed"),
        ({"training.settings.normalize_advantage": 0}, r"normalize_advantage = 0: true or false is needed"),
        ({"training.optimizer.name": "rmsprob"}, r"training\.optimizer\.name = 'rmsprob'; nearest: rmsprop"),
        ({"training.optimizer.alpha": "high"}, r"training\.optimizer\.alpha = 'high': a number of at least 0"),
        ({"model.hidden": 16}, r"model\.hidden = 16: a list of whole numbers of at least 1 is needed"),
        ({"model.activation": "gelu"}, r"model\.activation = 'gelu'.*: one of relu, tanh"),
        ({"data.settings.max_episode_steps": "long"}, r"data\.settings\.max_episode_steps = 'long': a whole number"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _learner(Span(0, 1), spec=_spec("smoke", changes))


def test_a_criterion_that_needs_probes_is_refused_before_anything_runs() -> None:
    refused = lottery("run", "rl/cartpole", "--method", "snip", "--scale", "smoke")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "needs probes (fixed batches to differentiate on), which rl/cartpole has not" in refused.stderr


@pytest.mark.parametrize("together", [3, 8])
def test_environments_share_the_fresh_episodes_of_an_evaluation_evenly(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """Whoever ends first does not play for others: the mean would lean to short episodes."""
    changes = {"training.settings.evaluation_episodes": 8, "training.settings.evaluation_envs": together}
    learner = _learner(Span(0, 1), spec=_spec("smoke", changes))
    ended: dict[int, list[float]] = {i: [] for i in range(together)}
    step_wait = CartPole.step_wait

    def seen(self: CartPole) -> Any:
        result = step_wait(self)
        for i, value in self.finished:
            ended[i].append(value)
        return result

    monkeypatch.setattr(CartPole, "step_wait", seen)
    found = learner.evaluate("test")["evaluation_return"]
    share = [8 // together + (i < 8 % together) for i in range(together)]
    counted = [value for i, values in ended.items() for value in values[: share[i]]]
    assert len(counted) == 8
    assert found == pytest.approx(np.mean(counted))
