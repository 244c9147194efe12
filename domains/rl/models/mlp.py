"""The model `mlp`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from domains.rl.models import Model

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

    @property
    def arguments(self) -> dict[str, Any]:
        """Layers, activation and first weights."""
        activation = ACTIVATIONS[self.activation]
        return {"net_arch": list(self.hidden), "activation_fn": activation, "ortho_init": self.orthogonal}
