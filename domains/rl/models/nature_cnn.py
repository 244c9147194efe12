"""The model `nature-cnn`."""

from typing import Any, ClassVar

from pydantic import Field
from stable_baselines3.common.policies import ActorCriticPolicy

from domains.rl.models import Model
from domains.rl.models.convolutional import Convolution, Convolutional, OneBody


class NatureCnn(Model):
    """The network of Mnih et al. 2015 (Nature 518), which stable-baselines3 calls `NatureCNN`."""

    name: ClassVar[str] = "nature-cnn"
    policy: ClassVar[type[ActorCriticPolicy]] = OneBody

    orthogonal: bool = Field(
        description="orthogonal weights and biases of zero (stable-baselines3's default), or torch's own first weights"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """Three convolutions and one layer of 512 units."""
        layers = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
        convolutions = tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in layers)
        return Convolutional(convolutions=convolutions, hidden=(512,), orthogonal=self.orthogonal).arguments
