"""The policies of several runs in one: every layer's weights stacked, the slots in front."""

import torch
from torch import Tensor, nn

from domains.rl.moments import Moments, NormalizedObservations
from suite.experiment.errors import UsageError


class StackedLinear(nn.Module):
    """`slots` linear layers side by side: (slots, batch, in) -> (slots, batch, out)."""

    def __init__(self, slots: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(slots, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(slots, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The layers' outputs."""
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight.transpose(1, 2))


class StackedFeatures(nn.Module):
    """What the slots' policies see of their observations, (slots, batch, size): as they are, or normalised."""

    def __init__(self, single: nn.Module, slots: int) -> None:
        super().__init__()
        if isinstance(single, NormalizedObservations):
            self.moments = Moments(single.features_dim, (slots,))
        elif single.state_dict():
            raise UsageError(f"a cohort stacks multilayer perceptrons, not {type(single).__name__}: take --exec single")

    def forward(self, observations: Tensor) -> Tensor:
        """Features of the same shape."""
        return self.moments(observations) if hasattr(self, "moments") else observations

    def update(self, observations: Tensor) -> None:
        """Take in what the slots observed, (slots, n, size)."""
        if hasattr(self, "moments"):
            self.moments.update(observations)


class StackedPolicy(nn.Module):
    """stable-baselines3's actor-critic policy for several slots, under the same parameter names.

    Raises UsageError for another policy than one of multilayer perceptrons.
    """

    def __init__(self, single: nn.Module, slots: int) -> None:
        super().__init__()
        self.features_extractor = StackedFeatures(single.get_submodule("features_extractor"), slots)
        # stable-baselines3 has the one module under three names.
        self.pi_features_extractor = self.vf_features_extractor = self.features_extractor
        extractor = single.get_submodule("mlp_extractor")
        self.mlp_extractor = nn.Module()
        for name in ("policy_net", "value_net"):
            layers = (_stacked(layer, slots) for layer in extractor.get_submodule(name).children())
            self.mlp_extractor.add_module(name, nn.Sequential(*layers))
        self.action_net = _stacked(single.get_submodule("action_net"), slots)
        self.value_net = _stacked(single.get_submodule("value_net"), slots)
        if hasattr(single, "reward_moments"):
            self.reward_moments = Moments(1, (slots,))

    def actor(self, observations: Tensor) -> Tensor:
        """Log probabilities, (slots, batch, actions)."""
        hidden = self.mlp_extractor.get_submodule("policy_net")(self.features_extractor(observations))
        return torch.log_softmax(self.action_net(hidden), 2)

    def critic(self, observations: Tensor) -> Tensor:
        """Values, (slots, batch)."""
        hidden = self.mlp_extractor.get_submodule("value_net")(self.features_extractor(observations))
        values: Tensor = self.value_net(hidden).squeeze(2)
        return values


def _stacked(layer: nn.Module, slots: int) -> nn.Module:
    return StackedLinear(slots, layer.in_features, layer.out_features) if isinstance(layer, nn.Linear) else layer
