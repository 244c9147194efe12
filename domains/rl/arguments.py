"""What stable-baselines3's A2C is called with for a task: the learner and its peer train by the same numbers."""

from typing import Any

from domains.rl.coefficients import Coefficients
from domains.rl.models import Model
from domains.rl.optimizers import Optimizer


def arguments(settings: Coefficients, model: Model, optimizer: Optimizer) -> dict[str, Any]:
    """All but the policy, the environments, the learning rate and the device."""
    return {
        "n_steps": settings.n_steps,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_lambda,
        "ent_coef": settings.ent_coef,
        "vf_coef": settings.vf_coef,
        "max_grad_norm": settings.max_grad_norm,
        "normalize_advantage": settings.normalize_advantage,
        "policy_kwargs": {
            **model.arguments,
            "optimizer_class": optimizer.torch_class,
            "optimizer_kwargs": {key: value for key, value in optimizer.arguments.items() if key != "lr"},
        },
    }
