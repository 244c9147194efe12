"""A policy at play: fresh episodes with actions sampled, for a score or to be looked at."""

from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from domains.rl.environments import make
from suite.experiment.learner import Film
from suite.experiment.task import Data


@torch.no_grad()
def mean_return(policy: ActorCriticPolicy, data: Data, episodes: int, together: int, seed: int) -> float:
    """Mean return of so many new episodes, undiscounted and unscaled, `together` environments side by side."""
    generator = torch.Generator().manual_seed(seed)
    returns: list[tuple[int, float]] = []
    with closing(make(data, min(together, episodes), [seed])) as environments:
        # Every environment has its number of episodes from the start: whoever ends first does not play for others.
        left = np.bincount(np.arange(episodes) % environments.num_envs)
        observed = environments.reset()
        while left.any():
            observed = environments.step(_sampled(policy, observed, generator))[0]
            for i, value in environments.finished:
                if left[i]:
                    returns.append((i, value))
                    left[i] -= 1
                    if not left[i]:
                        environments.rest(i)
            environments.finished.clear()
    # In the environments' order, whatever the order of their ends: a sum's bits hang on it.
    return float(np.mean([value for _, value in sorted(returns, key=lambda found: found[0])]))


@torch.no_grad()
def film(policy: ActorCriticPolicy, data: Data, seed: int, most: int) -> Film:
    """One new episode, or its first `most` - 1 steps; its score is the return so far."""
    generator = torch.Generator().manual_seed(seed)
    with closing(make(data, 1, [seed])) as environments:
        observed = environments.reset()
        pictures = [environments.picture(0)]
        while len(pictures) < most:
            observed = environments.step(_sampled(policy, observed, generator))[0]
            if environments.finished:
                break
            pictures.append(environments.picture(0))
        whole = bool(environments.finished)
        score = environments.finished[0][1] if whole else float(environments.running[0])
    return Film(pictures, environments.pictures_per_second, score, whole)


def _sampled(policy: ActorCriticPolicy, observed: object, generator: torch.Generator) -> NDArray[np.int64]:
    categorical = policy.get_distribution(torch.as_tensor(observed, device=policy.device)).distribution
    assert isinstance(categorical, torch.distributions.Categorical)
    actions: NDArray[np.int64] = torch.multinomial(categorical.probs.cpu(), 1, generator=generator).numpy().ravel()
    return actions
