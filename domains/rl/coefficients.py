"""What an A2C task says of itself: shape of a rollout, returns, weights of the losses, and what is measured."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from suite.experiment.component import Settings

Whole = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Coefficients(Settings):
    """The table `training.settings` of an A2C task; names are stable-baselines3's where it has them."""

    n_envs: Whole = Field(description="environments that are stepped side by side")
    n_steps: Whole = Field(description="steps of each environment in a rollout")
    gamma: Fraction = Field(description="discount factor")
    gae_lambda: Fraction = Field(description="weight of longer returns; 1: plain n-step returns")
    ent_coef: float = Field(description="weight of the policy's entropy, which is rewarded")
    vf_coef: float = Field(description="weight of the critic's loss")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(description="largest norm of the gradient")
    normalize_advantage: bool = Field(description="scale a rollout's advantages to mean 0 and standard deviation 1")
    ratio_clamp: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="largest ratio of an action's probability at the update and in the rollout"
    )
    advantage_clip: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="largest size of an advantage in the policy's loss"
    )
    normalize_rewards: bool = Field(
        default=False, description="divide rewards by the standard deviation of the discounted returns so far"
    )
    window: Whole = Field(description="last training episodes whose mean return is the training_return")
    evaluation_episodes: Whole = Field(description="fresh episodes whose mean return is the evaluation_return")
    evaluation_envs: Whole | None = Field(
        default=None, description="environments that share the fresh episodes evenly; by default each plays one"
    )

    @model_validator(mode="after")
    def _has_a_standard_deviation(self) -> Self:
        if self.normalize_advantage and self.n_envs * self.n_steps == 1:
            raise ValueError(
                "normalize_advantage = true with n_envs * n_steps = 1: one advantage has no standard deviation to be "
                "divided by; set it to false, or take more environments or steps"
            )
        return self
