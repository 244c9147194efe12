"""The model `convolutional`: networks for games from pixels, one body for actor and critic.

A task lists the convolutions, each with its pooling, and the units of the layers behind them. Parameters are
`features_extractor.convolutions.<i>.weight` and `.bias`, `features_extractor.hidden.<i>.…`, and those of the two output
layers, `action_net.…` and `value_net.…`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
from gymnasium import Space
from pydantic import Field
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from domains.rl.models import Model
from suite.experiment.component import Settings
from suite.experiment.errors import UsageError

Count = Annotated[int, Field(ge=1)]


class Convolution(Settings):
    """One convolution, ReLU, and a max pooling if there is one."""

    filters: Count = Field(description="channels that it gives")
    kernel: Count = Field(description="height and width of its kernel")
    stride: Count = Field(default=1, description="places between two of its outputs")
    padding: Annotated[int, Field(ge=0)] = Field(default=0, description="zeros around its input")
    pool: Count = Field(default=1, description="height and width of the max pooling behind it; 1: none")

    def gives(self, size: int) -> int:
        """Height or width of its output, for that of its input."""
        return ((size + 2 * self.padding - self.kernel) // self.stride + 1) // self.pool


class Body(BaseFeaturesExtractor):
    """[N, frames, H, W] in [0, 1] -> [N, units of the last layer].

    Raises UsageError for observations that are no pictures, and when the convolutions leave nothing of the picture.
    """

    def __init__(self, observations: Space[Any], convolutions: Sequence[Convolution], hidden: Sequence[int]) -> None:
        super().__init__(observations, hidden[-1])
        if observations.shape is None or len(observations.shape) != 3:
            raise UsageError(
                f"the model's convolutions need pictures, not observations of shape {observations.shape}: "
                "take model.name=mlp"
            )
        channels, height, width = observations.shape
        layers: list[nn.Module] = []
        for one in convolutions:
            layers += [nn.Conv2d(channels, one.filters, one.kernel, one.stride, one.padding), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(one.pool)] if one.pool > 1 else []
            channels = one.filters
            height, width = (one.gives(size) for size in (height, width))
            if min(height, width) < 1:
                pixels = "x".join(map(str, observations.shape[1:]))
                raise UsageError(f"model.convolutions: that of {one} leaves nothing of {pixels} pixels")
        self.convolutions = nn.Sequential(*layers)
        sizes = [channels * height * width, *hidden]
        linear = (nn.Linear(before, after) for before, after in pairwise(sizes))
        self.hidden = nn.Sequential(*(part for layer in linear for part in (layer, nn.ReLU(inplace=True))))

    def forward(self, observations: Tensor) -> Tensor:
        """Features of a batch of pictures."""
        features: Tensor = self.hidden(self.convolutions(observations).flatten(1))
        return features


class OneBody(ActorCriticPolicy):
    """stable-baselines3's policy with the body that actor and critic share under one name, and fewer calls.

    stable-baselines3 keeps the shared module under three, so that every weight stands in `state_dict` three times:
    under two names that no mask covers. What is computed is the same: with nothing between body and output layers, and
    actions from one categorical distribution, most of its calls are checks, and copies of the pictures.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self._modules["pi_features_extractor"], self._modules["vf_features_extractor"]
        self._pictures: dict[tuple[torch.Size, bool], Tensor] = {}

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, values and the actions' log probabilities; RuntimeError where these are no numbers."""
        features = self.extract_features(obs)
        log_probabilities = self._log_probabilities(features)
        chosen = log_probabilities.argmax(1) if deterministic else torch.multinomial(log_probabilities.exp(), 1)
        return (
            chosen.flatten(),
            self.value_net(features),
            log_probabilities.gather(1, chosen.view(-1, 1)).flatten(),
        )

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values, the actions' log probabilities, and the entropies."""
        features = self.extract_features(obs)
        log_probabilities = self._log_probabilities(features)
        entropies = -(log_probabilities.exp() * log_probabilities).sum(1)
        return self.value_net(features), log_probabilities.gather(1, actions.view(-1, 1)).flatten(), entropies

    def predict_values(self, obs: Any) -> Tensor:
        """Values alone."""
        values: Tensor = self.value_net(self.extract_features(obs))
        return values

    def get_distribution(self, obs: Any) -> Distribution:
        """The distribution of actions, as stable-baselines3 has it."""
        return self._get_action_dist_from_latent(self.extract_features(obs))

    def extract_features(self, obs: Any, features_extractor: BaseFeaturesExtractor | None = None) -> Tensor:
        """What the output layers see of pictures in [0, 255]."""
        features: Tensor = (features_extractor or self.features_extractor)(self._scaled(obs))
        return features

    def _log_probabilities(self, features: Tensor) -> Tensor:
        return torch.log_softmax(self.action_net(features), 1)

    def _scaled(self, pictures: Tensor) -> Tensor:
        """Pictures in [0, 1], in memory that the next call for as many of them writes over: to ask for it takes longer.

        The frames lie innermost where a gradient is wanted, since convolutions then take less time for it.
        """
        innermost = torch.is_grad_enabled()
        held = self._pictures.get((pictures.shape, innermost))
        if held is None or held.device != pictures.device:
            layout = torch.channels_last if innermost else torch.contiguous_format
            held = torch.empty(pictures.shape, device=pictures.device, memory_format=layout)
            self._pictures[pictures.shape, innermost] = held
        return held.copy_(pictures).div_(255)

    @property
    def pi_features_extractor(self) -> BaseFeaturesExtractor:  # type: ignore[override]  # an attribute there
        """The actor's body."""
        return self.features_extractor

    @property
    def vf_features_extractor(self) -> BaseFeaturesExtractor:  # type: ignore[override]  # an attribute there
        """The critic's body."""
        return self.features_extractor


class Convolutional(Model):
    """Convolutions, then fully connected layers, each with ReLU; actor and critic share all but their output layers."""

    name: ClassVar[str] = "convolutional"
    policy: ClassVar[type[ActorCriticPolicy]] = OneBody

    convolutions: Annotated[tuple[Convolution, ...], Field(min_length=1)] = Field(description="the convolutions")
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(description="units of the layers behind them")
    orthogonal: bool = Field(
        description="orthogonal weights and biases of zero (stable-baselines3's default), or torch's own first weights"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """The body, and nothing between it and the output layers."""
        return {
            "features_extractor_class": Body,
            "features_extractor_kwargs": {"convolutions": self.convolutions, "hidden": self.hidden},
            "net_arch": [],
            "ortho_init": self.orthogonal,
        }
