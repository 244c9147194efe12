"""First weights of convolutional networks, by name."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Init = Literal["glorot-normal", "he-normal-in", "he-normal-out", "torch"]
ABOUT_INIT = (
    "convolutions from a normal distribution of variance 2 / (inputs + outputs) (glorot-normal, also called Xavier: "
    "Glorot and Bengio 2010, equation 12), 2 / inputs (he-normal-in: He et al. 2015, equation 10) or 2 / outputs "
    "(he-normal-out: equation 14), biases 0, the linear layer's weights as torch draws them; torch: everything so"
)

_DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "glorot-normal": nn.init.xavier_normal_,
    "he-normal-in": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu"),
    "he-normal-out": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu"),
}


def draw_weights(network: nn.Module, init: Init) -> None:
    """Draw a network's weights from torch's default generator, in place; batch norm keeps weight 1 and bias 0."""
    if init == "torch":
        return
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            _DRAWS[init](layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
