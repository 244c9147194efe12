"""The rollout that A2C takes its one step on."""

from collections.abc import Generator

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples


class WholeRollout(RolloutBuffer):
    """A rollout buffer that hands out the whole rollout in its own order.

    A2C takes one step on all of it, so that stable-baselines3's shuffle would change nothing but the order of sums, at
    the price of drawing from numpy's global random state.
    """

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """One batch: the rollout, flattened environment by environment."""
        assert self.full
        assert batch_size is None
        observations = self.swap_and_flatten(self.observations).reshape(-1, *self.obs_shape)
        pictures = observations.dtype == np.uint8  # handed on as they are: as float32 they are four times as large
        yield RolloutBufferSamples(
            self.to_torch(observations if pictures else observations.astype(np.float32, copy=False), copy=not pictures),
            *(
                self.to_torch(self.swap_and_flatten(array).astype(np.float32, copy=False).reshape(shape))
                for array, shape in (
                    (self.actions, (-1, self.action_dim)),
                    (self.values, (-1,)),
                    (self.log_probs, (-1,)),
                    (self.advantages, (-1,)),
                    (self.returns, (-1,)),
                )
            ),
        )
