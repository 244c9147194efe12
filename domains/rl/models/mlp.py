"""The model `mlp`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from domains.rl.models import Model
from domains.rl.moments import NormalizedObservations

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class Mlp(Model):
    """Two multilayer perceptrons, one for the actor and one for the critic."""

    name: ClassVar[str] = "mlp"
    policy: ClassVar[str] = "MlpPolicy"

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(description="units of the hidden layers, the same in both")
    activation: Literal["relu", "tanh"] = Field(description="what follows each hidden layer")
    orthogonal: bool = Field(
        description="orthogonal weights and biases of zero (stable-baselines3's default), or torch's own first weights"
    )
    normalize_observations: bool = Field(
        default=False, description="bring observations to mean 0 and variance 1, by those of the training so far"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """Layers, activation, first weights, and what stands in front of the first layer."""
        activation = ACTIVATIONS[self.activation]
        plain = {"net_arch": list(self.hidden), "activation_fn": activation, "ortho_init": self.orthogonal}
        return plain | ({"features_extractor_class": NormalizedObservations} if self.normalize_observations else {})
