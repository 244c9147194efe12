"""A2C for several runs at once: stacked weights, one matrix product for all of them.

A slot computes what `domains.rl.learner.A2CLearner` (stable-baselines3) computes, from the same random numbers: the two
agree to float tolerance, which grows over a run as in any chaotic system.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from domains.rl.coefficients import Coefficients
from domains.rl.environments import make
from domains.rl.learner import SPLITS, A2CLearner, trace_every
from domains.rl.moments import NormalizedRewards
from domains.rl.stacked import StackedPolicy
from domains.rl.vectorised import Environments
from suite.experiment import snapshot as dense
from suite.experiment.errors import RunError, UsageError, told
from suite.experiment.learner import Snapshot, Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.schedules import learning_rate
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

SINGLE_ONLY = ("ratio_clamp", "advantage_clip", "evaluation_envs")
"""Settings that `A2CLearner` has and a cohort has not."""


class A2CCohort:
    """Runs of one task and span, trained together; slot i has the streams i.

    Raises as `A2CLearner` does, and UsageError for another device than the CPU and for settings of single runs.
    """

    def __init__(self, spec: TaskSpec, streams: Sequence[Streams], span: Span, runtime: Runtime) -> None:
        if runtime.device != "cpu":
            raise UsageError(
                f"device {runtime.device!r}: a cohort of A2C runs trains on the CPU; take device cpu or --exec single"
            )
        self._settings = Coefficients.read(spec.training.settings, "training.settings")
        for name in SINGLE_ONLY:
            if (value := getattr(self._settings, name)) is not None:
                raise UsageError(
                    f"training.settings.{name} = {value}: a cohort has no such setting: take --exec single"
                )
        singles = [A2CLearner(spec, each, span, runtime) for each in streams]
        self._spec, self._streams, self._span, self._step = spec, list(streams), span, span.first
        slots, single = len(streams), singles[0]
        self.model = StackedPolicy(single.model, slots)
        states = [each.model.state_dict() for each in singles]
        self.model.load_state_dict({name: torch.stack([state[name] for state in states]) for name in states[0]})
        group = single.optimizer.param_groups[0]
        arguments = {key: value for key, value in group.items() if key in single.optimizer.defaults}
        self.optimizer = type(single.optimizer)(self.model.parameters(), **arguments)
        self._rate = single.rate
        self._factor = learning_rate(spec.training.schedule, span, spec.training.total_steps)
        seeds = [each.seed("environment") for each in streams]
        self._environments = make(spec.data, self._settings.n_envs, seeds)
        self._environments.outlive_crashes()
        self._failures: dict[int, Exception] = {}
        if self._settings.normalize_rewards:
            moments = self.model.reward_moments
            self._environments = NormalizedRewards(self._environments, moments, self._settings.gamma)
        space: Any = self._environments.action_space
        self._actions = int(space.n)
        self._observed = self._environments.reset()
        # The generators that the single learners would sample with.
        self._generators = [torch.Generator().manual_seed(each.seed("environment", 0)) for each in streams]
        self._diverged = [False] * slots
        self._returns: list[deque[float]] = [deque(maxlen=self._settings.window) for _ in streams]
        self._traces: list[list[dict[str, float]]] = [[] for _ in streams]

    @property
    def step(self) -> int:
        """Next step to be taken, the same for all slots."""
        return self._step

    @property
    def total_steps(self) -> int:
        """`span.last`."""
        return self._span.last

    def advance(self, until: int) -> None:
        """Train every slot up to step `until`, exclusive; a slot that diverges does not stop the others."""
        while self._step < until:
            self._update(*self._rollout())
            self._step += 1
            self._account()
            self._note_crashes(self._environments, self._settings.n_envs)
        finite = torch.stack([p.detach().flatten(1).isfinite().all(1) for p in self.model.parameters()]).all(0)
        self._diverged = [before or not now for before, now in zip(self._diverged, finite.tolist(), strict=True)]

    def diverged(self) -> Sequence[bool]:
        """Which slots have met a loss or weight that is not finite."""
        return list(self._diverged)

    def failures(self) -> Mapping[int, Exception]:
        """Slots of whose environments one has crashed: it stands still, the slot trains on, and has no result."""
        return dict(self._failures)

    @torch.no_grad()
    def evaluate(self, split: Split) -> Sequence[Mapping[str, float]]:
        """`A2CLearner.evaluate` of each slot: no number for one whose policy gives logits that are not finite."""
        seeds = [each.seed("evaluation", SPLITS.index(split)) for each in self._streams]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        environments = make(self._spec.data, self._settings.evaluation_episodes, seeds)
        environments.outlive_crashes()
        returns, playing = np.zeros(environments.num_envs), np.ones(environments.num_envs, dtype=np.bool_)
        observed, finite = environments.reset(), torch.ones(len(seeds), dtype=torch.bool)
        while playing.any():
            probabilities = self.model.actor(self._tensor(observed)).exp()
            finite &= probabilities.isfinite().flatten(1).all(1)
            observed = environments.step(_drawn(probabilities, generators))[0]
            for i, value in environments.finished:
                if playing[i]:  # an environment's first episode only, whose return may be no number
                    returns[i], playing[i] = value, False
                    environments.rest(i)
            environments.finished.clear()
            playing[list(environments.crashed)] = False
        self._note_crashes(environments, self._settings.evaluation_episodes)
        environments.close()
        means = np.where(finite.numpy(), returns.reshape(len(seeds), -1).mean(1), np.nan)
        return [
            {"evaluation_return": float(mean), "training_return": self._training_return(i)}
            for i, mean in enumerate(means)
        ]

    def traces(self) -> Sequence[Sequence[Mapping[str, float]]]:
        """`A2CLearner.trace` of each slot."""
        return [list(trace) for trace in self._traces]

    def snapshot(self) -> Snapshot:
        """All that is needed to go on, bit for bit."""
        tensors, environments = self._environments.snapshot()
        meta = {
            "step": self._step,
            "diverged": list(self._diverged),
            "failures": {str(slot): told(error) for slot, error in self._failures.items()},
            "returns": [list(each) for each in self._returns],
            "traces": [list(each) for each in self._traces],
            "envs": environments,
        }
        taken = dense.take(self.model, self.optimizer, meta)
        taken.tensors.update(tensors)
        taken.tensors["rollout.observations"] = torch.from_numpy(np.array(self._observed))
        taken.tensors.update({f"random.{i}": each.get_state() for i, each in enumerate(self._generators)})
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed cohort."""
        tensors, meta = snapshot.tensors, snapshot.meta
        dense.put(snapshot, self.model, self.optimizer)
        self._environments.restore(tensors, meta["envs"])
        self._observed = tensors["rollout.observations"].numpy().copy()
        for i, generator in enumerate(self._generators):
            generator.set_state(tensors[f"random.{i}"])
        self._step, self._diverged = meta["step"], list(meta["diverged"])
        self._failures = {int(slot): RunError(told) for slot, told in meta["failures"].items()}
        self._returns = [deque(each, maxlen=self._settings.window) for each in meta["returns"]]
        self._traces = [[dict(point) for point in each] for each in meta["traces"]]

    @torch.no_grad()
    def _rollout(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One rollout: observations (steps + 1, slots, envs, size), actions, rewards and ends (steps, slots, envs)."""
        slots = len(self._streams)
        observations, actions, rewards, ends = [self._tensor(self._observed)], [], [], []
        for _ in range(self._settings.n_steps):
            chosen = _drawn(self.model.actor(self._tensor(self._observed)).exp(), self._generators)
            self._observed, reward, done, infos = self._environments.step(chosen)
            truncated = [i for i in np.flatnonzero(done) if infos[i]["TimeLimit.truncated"]]
            if truncated:
                # The episode would have gone on: what follows is worth what the critic says of its last observation.
                last = np.zeros_like(self._observed)
                last[truncated] = [infos[i]["terminal_observation"] for i in truncated]
                values = self.model.critic(self._tensor(last)).flatten().numpy()
                reward[truncated] += self._settings.gamma * values[truncated]
            observations.append(self._tensor(self._observed))
            actions.append(torch.from_numpy(chosen).view(slots, -1))
            rewards.append(torch.from_numpy(reward).view(slots, -1))
            ends.append(torch.from_numpy(done).view(slots, -1))
        return torch.stack(observations), torch.stack(actions), torch.stack(rewards), torch.stack(ends)

    def _update(self, observations: Tensor, actions: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """One optimizer step of every slot on its own rollout."""
        settings, slots, steps = self._settings, len(self._streams), len(rewards)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate * self._factor(self._step)
        # One pass of the critic serves the targets and the loss: the weights are the same.
        seen = observations.transpose(0, 1).reshape(slots, -1, observations.shape[3])
        values = self.model.critic(seen).view(slots, steps + 1, -1).transpose(0, 1)
        advantages = _advantages(values.detach(), rewards, ends, settings.gamma, settings.gae_lambda)
        targets = advantages + values.detach()[:-1]
        value_loss = (targets - values[:-1]).square().mean((0, 2))
        if settings.normalize_advantage:
            mean, sd = advantages.mean((0, 2), keepdim=True), _sd(advantages)
            advantages = (advantages - mean) / (sd + 1e-8)
        acted = observations[:-1].transpose(0, 1).reshape(slots, -1, observations.shape[3])
        log_probabilities = self.model.actor(acted).view(slots, steps, -1, self._actions).transpose(0, 1)
        taken = log_probabilities.gather(3, actions.unsqueeze(3)).squeeze(3)
        policy_loss = -(advantages * taken).mean((0, 2))
        entropy = -(log_probabilities.exp() * log_probabilities).sum(3).mean((0, 2))
        loss = policy_loss - settings.ent_coef * entropy + settings.vf_coef * value_loss
        self.optimizer.zero_grad()
        loss.sum().backward()  # type: ignore[no-untyped-call]
        self._clip(settings.max_grad_norm)
        self.optimizer.step()
        self.model.features_extractor.update(acted)
        if isinstance(self._environments, NormalizedRewards):
            self._environments.update()
        finite = loss.detach().isfinite().tolist()
        self._diverged = [before or not now for before, now in zip(self._diverged, finite, strict=True)]

    def _clip(self, limit: float) -> None:
        """Scale each slot's gradient to a norm of at most `limit`, as `torch.nn.utils.clip_grad_norm_` does for one."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        factors = (limit / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))

    def _note_crashes(self, environments: Environments, in_a_row: int) -> None:
        for i, error in environments.crashed.items():
            self._failures.setdefault(i // in_a_row, error)

    def _account(self) -> None:
        for i, value in self._environments.finished:
            self._returns[i // self._settings.n_envs].append(value)
        self._environments.finished.clear()
        if (self._step - self._span.first) % trace_every(self._span) == 0 or self._step == self._span.last:
            for i, trace in enumerate(self._traces):
                if self._returns[i]:
                    trace.append({"step": self._step, "training_return": self._training_return(i)})

    def _training_return(self, slot: int) -> float:
        running = self._environments.running.reshape(len(self._streams), -1)[slot]
        return float(np.mean(self._returns[slot] if self._returns[slot] else running))

    def _tensor(self, observed: Any) -> Tensor:
        return torch.from_numpy(observed).view(len(self._streams), -1, observed.shape[1])


def _advantages(values: Tensor, rewards: Tensor, ends: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """Generalised advantages (Schulman et al. 2016, arXiv 1506.02438, equation 16), (steps, slots, envs).

    `values` has one step more than `rewards` and `ends`: the observation after the rollout.
    """
    advantages, last = torch.empty_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        goes_on = (~ends[t]).float()
        delta = rewards[t] + gamma * values[t + 1] * goes_on - values[t]
        last = delta + gamma * gae_lambda * goes_on * last
        advantages[t] = last
    return advantages


def _drawn(probabilities: Tensor, generators: Sequence[torch.Generator]) -> Any:
    """Actions by their probabilities (slots, envs, actions), one generator a slot, in a row."""
    # As torch.multinomial, and thereby stable-baselines3, does: the largest of probability / exponential noise.
    noise = torch.stack([torch.empty_like(probabilities[0]).exponential_(1, generator=g) for g in generators])
    return (probabilities / noise).argmax(2).flatten().numpy()


def _sd(advantages: Tensor) -> Tensor:
    steps, slots, environments = advantages.shape
    return advantages.transpose(0, 1).reshape(slots, -1).std(1).view(1, slots, 1).expand(steps, slots, environments)
