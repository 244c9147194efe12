"""An environment that crashes or pays no number, and an agent that diverges: that cell's matter, the others go on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import torch

from domains.rl import cohort, learner
from domains.rl.cohort import A2CCohort
from domains.rl.environments import make
from domains.rl.learner import A2CLearner
from domains.rl.replayed import Replayed
from domains.rl.vectorised import Environments
from suite.experiment.errors import Diverged, told
from suite.experiment.learner import Span
from suite.experiment.plan import DENSE
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data, TaskSpec
from suite.experiment.taskfile import Task
from tests.experiment.running import run

Fault = Callable[[Environments, Any], Any]


def pays_no_number(environments: Environments, stepped: Any) -> Any:
    """The reward of the last environment is NaN."""
    observed, rewards, dones, infos = stepped
    rewards[environments.num_envs - 1] = np.nan
    return observed, rewards, dones, infos


def pays_too_much_once() -> Fault:
    """The first reward of the last environment is so large that its square is infinite."""
    paid = WeakSet[Environments]()

    def fault(environments: Environments, stepped: Any) -> Any:
        observed, rewards, dones, infos = stepped
        if environments not in paid:
            rewards[environments.num_envs - 1] = 1e30
            paid.add(environments)
        return observed, rewards, dones, infos

    return fault


def crashes(environments: Environments, stepped: Any) -> Any:
    raise OSError("the emulator is gone")


def with_fault(fault: Fault, seed: int) -> Callable[[Data, int, Sequence[int]], Environments]:
    """`make` whose environments break at every step, where one of their seeds is `seed`."""

    def made(data: Data, envs_per_seed: int, seeds: Sequence[int]) -> Environments:
        environments = make(data, envs_per_seed, seeds)
        if seed in seeds:
            step_wait = environments.step_wait
            environments.step_wait = lambda: fault(environments, step_wait())  # type: ignore[method-assign]
        return environments

    return made


def task(**changes: Any) -> Task:
    found = Registry().find("rl/cartpole").at("smoke", {"training.settings.evaluation_episodes": 4, **changes})
    options = found.options.model_copy(update={"arms": ("winning",), "replicates": 2, "executor": "inline"})
    return Task(found.spec, found.method, options)


def seed_of(spec: TaskSpec, replicate: int) -> int:
    return Streams(spec.hash, replicate).seed("environment")


def test_a_reward_that_is_no_number_makes_that_cell_diverge_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = task()
    monkeypatch.setattr(learner, "make", with_fault(pays_no_number, seed_of(own.spec, 1)))
    plan, store, outcome = run(own, tmp_path / "run")
    assert not outcome.failed
    cells = {(cell.arm, cell.replicate): store.cell(cell.key) for cell in plan}
    assert cells[DENSE, 1] is not None
    assert (cells[DENSE, 1].diverged, cells[DENSE, 1].test) == (True, {})
    for arm in (DENSE, "winning"):
        result = cells[arm, 0]
        assert result is not None
        assert not result.diverged
        assert result.value is not None
    assert cells["winning", 1] is None
    assert [name for name in outcome.lost.values() if "replicate 1" in name]


def test_an_environment_that_crashes_is_told_of_its_cell_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = task()
    monkeypatch.setattr(learner, "make", with_fault(crashes, seed_of(own.spec, 0)))
    plan, store, outcome = run(own, tmp_path / "run")
    assert list(outcome.failed.values()) == ["rl/cartpole dense replicate 0: OSError: the emulator is gone"]
    there = {(cell.arm, cell.replicate) for cell in plan if store.cell(cell.key) is not None}
    assert there == {(DENSE, 1), ("winning", 1)}
    assert len(outcome.blocked) == 1
    monkeypatch.undo()
    _, store, again = run(own, tmp_path / "run")  # the same command again: only what is missing is run
    assert (again.finished, again.skipped, again.failed) == (2, 2, {})


def test_an_agent_that_diverges_leaves_a_result_without_scores(tmp_path: Path) -> None:
    """Its weights may be finite, and so large that its logits are not."""
    plan, store, outcome = run(task(**{"training.optimizer.lr": 1e30}), tmp_path / "run")
    dense = [store.cell(cell.key) for cell in plan if cell.arm == DENSE]
    assert not outcome.failed
    assert [result is not None and result.diverged for result in dense] == [True, True]


def test_a_policy_whose_logits_are_not_finite_has_no_return() -> None:
    spec = task().spec
    agent = A2CLearner(spec, Streams(spec.hash, 1000), Span(0, 20), Runtime())
    with torch.no_grad():
        for weights in agent.parameters():
            weights.fill_(1e30)
    assert np.isnan(agent.evaluate("test")["evaluation_return"])


def test_a_slot_whose_logits_are_not_finite_has_no_return_and_its_neighbour_has() -> None:
    spec = task().spec
    streams = [Streams(spec.hash, 1000 + i) for i in range(2)]
    agents = A2CCohort(spec, streams, Span(0, 20), Runtime())
    alone = A2CLearner(spec, streams[0], Span(0, 20), Runtime())
    with torch.no_grad():
        for weights in agents.model.parameters():
            weights[1].fill_(1e30)
    sound, ruined = agents.evaluate("test")
    assert sound["evaluation_return"] == alone.evaluate("test")["evaluation_return"]
    assert np.isnan(ruined["evaluation_return"])


def test_a_slot_of_a_cohort_whose_reward_is_no_number_diverges_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = task().spec
    streams = [Streams(spec.hash, 1000 + i) for i in range(2)]
    sound = A2CCohort(spec, streams, Span(0, 20), Runtime())
    monkeypatch.setattr(cohort, "make", with_fault(pays_no_number, streams[1].seed("environment")))
    broken = A2CCohort(spec, streams, Span(0, 20), Runtime())
    sound.advance(5)
    broken.advance(5)
    assert broken.diverged() == [False, True]
    for name, weights in sound.model.state_dict().items():
        assert torch.equal(weights[0], broken.model.state_dict()[name][0]), name


def test_a_loss_that_is_not_finite_is_divergence_for_good_though_every_weight_stays_finite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The norm of the gradient is infinite, and what is scaled by it 0. A snapshot tells of it."""
    spec = task().spec
    streams = [Streams(spec.hash, 1000 + i) for i in range(2)]
    for module in (learner, cohort):
        monkeypatch.setattr(module, "make", with_fault(pays_too_much_once(), streams[1].seed("environment")))
    alone = A2CLearner(spec, streams[1], Span(0, 20), Runtime())
    with pytest.raises(Diverged, match="the loss is not finite at step 0"):
        alone.advance(1)
    whole = A2CCohort(spec, streams, Span(0, 20), Runtime())
    monkeypatch.undo()
    again = A2CCohort(spec, streams, Span(0, 20), Runtime())
    whole.advance(1)
    again.restore(whole.snapshot())
    for agents in (whole, again):
        assert agents.diverged() == [False, True]
        agents.advance(4)
        assert agents.diverged() == [False, True]
        assert all(bool(weights.isfinite().all()) for weights in agents.model.parameters())


def test_a_weight_that_the_last_update_makes_infinite_is_divergence_though_no_loss_is_computed_of_it() -> None:
    spec = task(**{"training.optimizer.lr": 1e38}).spec
    agent = A2CLearner(spec, Streams(spec.hash, 1000), Span(0, 1), Runtime())
    with pytest.raises(Diverged, match="a weight is not finite at step 1"):
        agent.advance(1)


def test_a_slot_of_which_the_last_update_makes_a_weight_infinite_diverges_alone() -> None:
    spec = task().spec
    agents = A2CCohort(spec, [Streams(spec.hash, 1000 + i) for i in range(3)], Span(0, 2), Runtime())

    @torch.no_grad()
    def ruin(*_: Any) -> None:
        if agents.step == 1:
            agents.model.get_parameter("action_net.bias")[1, 0] = torch.inf

    agents.optimizer.register_step_post_hook(ruin)
    agents.advance(2)
    assert agents.diverged() == [False, True, False]


class _Gone:
    """An environment whose engine is gone after so many steps, or at the start of its next episode."""

    def __init__(self, single: Any, steps: int) -> None:
        self.single, self.left = single, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self.single, name)

    def step(self, action: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError("the engine is gone")
        return self.single.step(action)


def crashing(seed: int, steps: int) -> Callable[[Data, int, Sequence[int]], Environments]:
    """`make` of environments, each in Python, of which the last that a seed has crashes after so many steps."""

    def made(data: Data, envs_per_seed: int, seeds: Sequence[int]) -> Environments:
        environments = make(data, envs_per_seed, seeds)
        assert isinstance(environments, Replayed)
        if seed in seeds:
            at = (list(seeds).index(seed) + 1) * envs_per_seed - 1
            environments._single[at] = _Gone(environments._single[at], steps)  # type: ignore[call-overload]
        return environments

    return made


def lander(**changes: Any) -> Task:
    found = Registry().find("rl/lunarlander").at("smoke", changes)
    options = found.options.model_copy(
        update={"arms": ("winning", "random"), "replicates": 3, "executor": "inline", "exec": "cohort"}
    )
    return Task(found.spec, found.method, options)


@pytest.mark.parametrize("steps", [3, 50])  # before the rewind step, and after it
def test_an_environment_that_crashes_in_a_cohort_is_its_cells_matter_and_the_others_results_stay_the_same(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = lander()
    _, sound, _ = run(own, tmp_path / "sound")
    monkeypatch.setattr(cohort, "make", crashing(seed_of(own.spec, 1), steps))
    plan, store, outcome = run(own, tmp_path / "run")
    assert list(outcome.failed.values()) == ["rl/lunarlander dense replicate 1: OSError: the engine is gone"]
    assert len(outcome.blocked) == 2
    assert all("replicate 1 starts from a run that failed" in why for why in outcome.blocked.values())
    for cell in plan:
        result = store.cell(cell.key)
        assert (result is None) == (cell.replicate == 1)
        if result is not None:
            expected = sound.cell(cell.key)
            assert expected is not None
            assert (result.weights_digest, result.test) == (expected.weights_digest, expected.test)
    monkeypatch.undo()
    _, store, again = run(own, tmp_path / "run")  # the same command again: cohorts that miss a cell are run whole
    assert (again.finished, again.failed, again.blocked) == (9, {}, {})
    weights = [(store.cell(cell.key), sound.cell(cell.key)) for cell in plan]
    assert all(one is not None and two is not None and one.test == two.test for one, two in weights)


def test_an_environment_that_crashes_in_an_evaluation_is_its_slots_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = lander().spec
    streams = [Streams(spec.hash, 1000 + i) for i in range(3)]
    trained = A2CCohort(spec, streams, Span(0, 20), Runtime())
    trained.advance(3)
    sound = trained.evaluate("test")
    assert trained.failures() == {}
    monkeypatch.setattr(cohort, "make", crashing(streams[2].seed("evaluation", 1), 10))
    scores = trained.evaluate("test")
    assert {slot: str(error) for slot, error in trained.failures().items()} == {2: "the engine is gone"}
    assert scores[:2] == sound[:2]


def test_the_environments_of_an_evaluation_and_of_a_film_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = lander().spec
    streams, span = Streams(spec.hash, 1000), Span(0, 20)
    alone, agents = A2CLearner(spec, streams, span, Runtime()), A2CCohort(spec, [streams], span, Runtime())
    closed, close = [], Replayed.close

    def watched(self: Replayed) -> None:
        closed.append(self.num_envs)
        close(self)

    monkeypatch.setattr(Replayed, "close", watched)
    agents.evaluate("test")
    alone.evaluate("test")
    alone.play("test", 2)
    assert closed == [4, 4, 1]


def test_a_cohort_goes_on_from_a_snapshot_with_a_slot_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = lander().spec
    streams = [Streams(spec.hash, 1000 + i) for i in range(2)]
    monkeypatch.setattr(cohort, "make", crashing(streams[0].seed("environment"), 10))
    whole, again = (A2CCohort(spec, streams, Span(0, 20), Runtime()) for _ in range(2))
    whole.advance(6)
    again.restore(whole.snapshot())
    assert {slot: told(error) for slot, error in again.failures().items()} == {0: "OSError: the engine is gone"}
    whole.advance(9)
    again.advance(9)
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights[1], again.model.state_dict()[name][1]), name


def test_an_environment_that_crashes_in_a_run_alone_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = lander().spec
    monkeypatch.setattr(learner, "make", crashing(Streams(spec.hash, 1000).seed("environment"), 3))
    with pytest.raises(OSError, match="the engine is gone"):
        A2CLearner(spec, Streams(spec.hash, 1000), Span(0, 20), Runtime()).advance(3)
