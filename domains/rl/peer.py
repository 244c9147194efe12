"""The same training by stable-baselines3's environments, wrappers and A2C: what our speed is measured by.

The policy of a task with convolutions is this suite's on both sides, so that its gain is in no ratio.
"""

from typing import Any

from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from domains.rl.arguments import arguments
from domains.rl.coefficients import Coefficients
from domains.rl.environments import Environment
from domains.rl.models import Model
from domains.rl.models.mlp import Mlp
from domains.rl.optimizers import Optimizer
from suite.experiment.errors import UsageError
from suite.experiment.task import Data, TaskSpec

ENDLESS = 2**62


class StableBaselines3:
    """A2C with a task's network, optimizer and coefficients, in as many environments as the task has.

    Observations and rewards that the task has normalised are normalised by stable-baselines3's VecNormalize. Limits on
    the probability ratio and on advantages, which cost next to nothing, are left out.
    """

    def __init__(self, spec: TaskSpec) -> None:
        settings = Coefficients.read(spec.training.settings, "training.settings")
        model, optimizer = Model.of(spec.model), Optimizer.of(spec.training.optimizer)
        atari = spec.data.name == "atari"
        self.name = f"stable-baselines3: {'make_atari_env' if atari else 'make_vec_env'} + A2C"
        self._environments = (
            _games(spec.data, settings.n_envs) if atari else make_vec_env(spec.data.name, settings.n_envs)
        )
        observations = isinstance(model, Mlp) and model.normalize_observations
        if observations:
            model = model.model_copy(update={"normalize_observations": False})
        if observations or settings.normalize_rewards:
            self.name += " + VecNormalize"
            self._environments = VecNormalize(
                self._environments,
                norm_obs=observations,
                norm_reward=settings.normalize_rewards,
                gamma=settings.gamma,
            )
        self._agent = A2C(
            model.policy,
            self._environments,
            **arguments(settings, model, optimizer),
            learning_rate=optimizer.lr,
            device="cpu",
        )
        self._agent.set_logger(Logger(folder=None, output_formats=[]))
        _, self._callback = self._agent._setup_learn(ENDLESS)

    def advance(self, steps: int) -> None:
        """Take so many updates, as `learn` does."""
        agent = self._agent
        assert agent.env is not None
        for _ in range(steps):
            agent.collect_rollouts(agent.env, self._callback, agent.rollout_buffer, agent.n_steps)
            agent.train()


def _games(data: Data, environments: int) -> VecEnv:
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    own: Any = Environment.of_data(data.name, data.settings)
    game = "".join(word.title() for word in own.game.split("_"))
    wrapper = {
        "noop_max": own.noop_max, "frame_skip": own.frame_skip, "screen_size": own.pixels,
        "terminal_on_life_loss": own.terminal_on_life_loss, "clip_reward": own.clip_rewards,
    }  # fmt: skip
    try:
        games = make_atari_env(f"{game}NoFrameskip-v4", environments, seed=0, wrapper_kwargs=wrapper)
    except gymnasium.error.UnregisteredEnv as error:
        raise UsageError(
            f"gymnasium has no {game}NoFrameskip-v4 to compare with: name a task of another game"
        ) from error
    return VecFrameStack(games, own.frame_stack)
