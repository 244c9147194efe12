"""A2C (Mnih et al. 2016, arXiv 1602.01783, section 4) by stable-baselines3, as one training run of a task."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from domains.rl.a2c import ClippedA2C
from domains.rl.arguments import arguments
from domains.rl.coefficients import Coefficients
from domains.rl.environments import Environment, fingerprint, make
from domains.rl.models import Model
from domains.rl.moments import Moments, NormalizedObservations, NormalizedRewards
from domains.rl.optimizers import Optimizer
from domains.rl.playing import film, mean_return
from domains.rl.rollout import WholeRollout
from suite.experiment import snapshot as dense
from suite.experiment.component import Components
from suite.experiment.errors import Diverged, UsageError
from suite.experiment.learner import Film, Peer, Snapshot, Span, Split
from suite.experiment.runtime import Runtime
from suite.experiment.schedules import Schedule, learning_rate
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec

TRACE_POINTS = 100

SPLITS: tuple[Split, ...] = ("validation", "test", "train")


class A2CLearner:
    """Actor and critic trained by stable-baselines3's A2C; one step is one rollout and one optimizer update.

    Environments start afresh at `span.first`, from the same states in every arm of a replicate; actions are sampled
    from a random state of the learner's own. Raises UsageError for an unknown environment, optimizer or activation, and
    RunError when the environment does not have the task's fingerprint.
    """

    components: ClassVar[Components] = Components(
        data=Environment, model=Model, optimizer=Optimizer, schedule=Schedule, settings=Coefficients
    )

    @classmethod
    def parameter_shapes(cls, spec: TaskSpec) -> dict[str, tuple[int, ...]]:
        """The policy's parameters."""
        model = Model.of(spec.model)
        with torch.random.fork_rng(devices=[]):
            agent = A2C(model.policy, make(spec.data, 1, [0]), policy_kwargs=model.arguments, device="cpu")
        return {name: tuple(parameter.shape) for name, parameter in agent.policy.named_parameters()}

    def peers(self) -> Sequence[Peer]:
        """The same training by stable-baselines3 and its own environments."""
        from domains.rl.peer import StableBaselines3

        return [StableBaselines3(self._spec)]

    @classmethod
    def check_spec(cls, spec: TaskSpec) -> None:
        """Raise UsageError unless a step's batch is one rollout of all environments."""
        settings = Coefficients.read(spec.training.settings, "training.settings")
        product = settings.n_envs * settings.n_steps
        if product != spec.training.batch:
            raise UsageError(f"batch = {spec.training.batch}, but n_envs * n_steps = {product}: make them equal")

    def __init__(self, spec: TaskSpec, streams: Streams, span: Span, runtime: Runtime) -> None:
        spec.data.check(fingerprint(spec.data))
        self._spec, self._streams, self._span, self._step = spec, streams, span, span.first
        self._settings = settings = Coefficients.read(spec.training.settings, "training.settings")
        self.check_spec(spec)
        self._factor = learning_rate(spec.training.schedule, span, spec.training.total_steps)
        self._environments = make(spec.data, settings.n_envs, [streams.seed("environment")])
        moments = Moments(1) if settings.normalize_rewards else None
        if moments is not None:
            self._environments = NormalizedRewards(self._environments, moments, settings.gamma)
        optimizer = Optimizer.of(spec.training.optimizer)
        optimizer.build([nn.Parameter(torch.zeros(1))])  # stable-baselines3 builds its own: here to say what is refused
        self.rate, model = optimizer.lr, Model.of(spec.model)
        self._cuda = [torch.device(runtime.device)] if torch.device(runtime.device).type == "cuda" else []
        with torch.random.fork_rng(devices=self._cuda):
            torch.manual_seed(streams.seed("init"))
            clips: dict[str, Any] = {"ratio_clamp": settings.ratio_clamp, "advantage_clip": settings.advantage_clip}
            clips = {name: limit for name, limit in clips.items() if limit is not None}
            self._agent = (ClippedA2C if clips else A2C)(
                model.policy,
                self._environments,
                **clips,
                **arguments(settings, model, optimizer),
                learning_rate=self._learning_rate,
                rollout_buffer_class=WholeRollout,
                device=runtime.device,
            )
            if moments is not None:
                self._agent.policy.add_module("reward_moments", moments)
            self._agent.policy.to(runtime.device)
            torch.manual_seed(streams.seed("environment", 0))
            self._random = self._random_states()
        # Else stable-baselines3 makes a folder for its log, and leaves it behind.
        self._agent.set_logger(Logger(folder=None, output_formats=[]))
        _, self._callback = self._agent._setup_learn((span.last - span.first) * spec.training.batch)
        self._returns: deque[float] = deque(maxlen=settings.window)
        self._trace: list[dict[str, float]] = []

    @property
    def model(self) -> ActorCriticPolicy:
        """The policy: actor and critic."""
        return self._agent.policy

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The policy's optimizer."""
        return self._agent.policy.optimizer

    @property
    def step(self) -> int:
        """Next step to be taken."""
        return self._step

    @property
    def total_steps(self) -> int:
        """`span.last`."""
        return self._span.last

    def parameters(self) -> Iterable[nn.Parameter]:
        """What the optimizer trains; stable-baselines3 clips the norm of their gradient."""
        return self.model.parameters()

    def advance(self, until: int) -> None:
        """Train up to step `until`, exclusive. Raises `Diverged` when a loss or a weight is not finite."""
        with self._own_random():
            while self._step < until:
                self._update()
        if not all(bool(p.isfinite().all()) for p in self.parameters()):
            raise Diverged(f"a weight is not finite at step {self._step}")

    def evaluate(self, split: Split) -> dict[str, float]:
        """`evaluation_return`: mean of `evaluation_episodes` new episodes, actions sampled, starts of the split's own.

        `training_return`: mean of the last `window` training episodes (P2's metric, the same for every split), or, if
        none has ended, of what those in progress have got so far. Returns are undiscounted and unscaled. A policy whose
        logits are not finite has the return NaN.
        """
        episodes = self._settings.evaluation_episodes
        together, seed = self._settings.evaluation_envs or episodes, self._evaluation_seed(split)
        try:
            fresh = mean_return(self.model, self._spec.data, episodes, together, seed)
        except ValueError as error:
            if not _of_logits(error):
                raise
            fresh = math.nan
        return {"evaluation_return": fresh, "training_return": self._training_return()}

    def play(self, split: Split, most: int) -> Film:
        """One further episode, its start and actions from a split's seed; at most `most` pictures."""
        return film(self.model, self._spec.data, self._evaluation_seed(split), most)

    def trace(self) -> Sequence[Mapping[str, float]]:
        """`training_return` at up to 100 steps, from the end of the first episode on."""
        return list(self._trace)

    def recalibrate(self, n: int) -> None:
        """Nothing to do: no batch norm."""

    def snapshot(self) -> Snapshot:
        """Weights, optimizer, environments in mid-episode, last observations, random states and returns."""
        tensors, environments = self._environments.snapshot()
        taken = dense.take(
            self.model,
            self.optimizer,
            {"step": self._step, "returns": list(self._returns), "trace": self._trace.copy(), "envs": environments},
        )
        taken.tensors.update(tensors)
        taken.tensors["rollout.observations"] = torch.from_numpy(np.array(self._agent._last_obs))
        taken.tensors["rollout.episode_starts"] = torch.from_numpy(np.array(self._agent._last_episode_starts))
        taken.tensors.update({f"random.{i}": state.clone() for i, state in enumerate(self._random)})
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an equally constructed learner."""
        tensors, meta = snapshot.tensors, snapshot.meta
        dense.put(snapshot, self.model, self.optimizer)
        self._environments.restore(tensors, meta["envs"])
        self._agent._last_obs = tensors["rollout.observations"].numpy().copy()
        self._agent._last_episode_starts = tensors["rollout.episode_starts"].numpy().copy()
        self._random = [tensors[f"random.{i}"].clone() for i in range(1 + len(self._cuda))]
        self._step = meta["step"]
        self._returns = deque(meta["returns"], maxlen=self._settings.window)
        self._trace = [dict(point) for point in meta["trace"]]

    def _update(self) -> None:
        agent = self._agent
        try:
            agent.collect_rollouts(self._environments, self._callback, agent.rollout_buffer, agent.n_steps)
            agent.train()
        except (ValueError, RuntimeError) as error:
            if not _of_logits(error):
                raise
            raise Diverged(f"the logits of the actions are not finite at step {self._step}") from error
        logged = agent.logger.name_to_value
        if not np.isfinite([logged["train/policy_loss"], logged["train/value_loss"]]).all():
            raise Diverged(f"the loss is not finite at step {self._step}")
        self._update_moments()
        self._step += 1
        self._returns.extend(value for _, value in self._environments.finished)
        self._environments.finished.clear()
        due = (self._step - self._span.first) % trace_every(self._span) == 0 or self._step == self._span.last
        if due and self._returns:
            self._trace.append({"step": self._step, "training_return": self._training_return()})

    def _update_moments(self) -> None:
        """Take the rollout into the running mean and variance of observations and returns, where they are kept."""
        extractor = self.model.features_extractor
        if isinstance(extractor, NormalizedObservations):
            seen = torch.as_tensor(self._agent.rollout_buffer.observations, device=self.model.device)
            extractor.moments.update(seen.view(-1, extractor.features_dim))
        if isinstance(self._environments, NormalizedRewards):
            self._environments.update()

    def _learning_rate(self, _progress: float) -> float:
        return self.rate * self._factor(self._step)

    def _training_return(self) -> float:
        return float(np.mean(self._returns if self._returns else self._environments.running))

    def _evaluation_seed(self, split: Split) -> int:
        return self._streams.seed("evaluation", SPLITS.index(split))

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        """stable-baselines3 samples actions from torch's global random state: put the learner's own there meanwhile."""
        with torch.random.fork_rng(devices=self._cuda):
            torch.set_rng_state(self._random[0])
            for device, state in zip(self._cuda, self._random[1:], strict=True):
                torch.cuda.set_rng_state(state, device)
            try:
                yield
            finally:
                self._random = self._random_states()

    def _random_states(self) -> list[torch.Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self._cuda)]


def _of_logits(error: Exception) -> bool:
    """Whether torch refuses logits that are not finite: finite weights can be so large that their outputs are not."""
    return str(error).startswith(("Expected parameter logits", "probability tensor contains either"))


def trace_every(span: Span) -> int:
    """Steps between two points of a trace."""
    return -(-(span.last - span.first) // TRACE_POINTS)
