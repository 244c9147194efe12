"""Training FLOPs of a step: as executed densely, and what they would be if pruned weights cost nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from suite.tickets.mask import Mask


class StepFlops:
    """FLOPs of the steps counted: `dense` all products, `per_weight` those that one weight of a tensor causes."""

    def __init__(self) -> None:
        self.dense = 0.0
        self.per_weight: dict[str, float] = {}

    def sparse(self, mask: Mask) -> float:
        """All products less those with pruned weights."""
        pruned = (float((~mask[name]).sum()) * each for name, each in self.per_weight.items() if name in mask)
        return self.dense - sum(pruned)


@contextmanager
def count(model: nn.Module) -> Iterator[StepFlops]:
    """Count a training step run inside: two FLOPs a multiply-add, forward and backward; no number is changed.

    Dense products are torch's own count (its LSTM kernel on the CPU added). A weight of a linear, convolution or
    recurrent layer causes its forward product, its own gradient's and, where the input has a gradient, that one's.
    """
    flops = StepFlops()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    handles = [
        layer.register_forward_hook(_counting(layer, names, flops))
        for layer in model.modules()
        if isinstance(layer, nn.modules.conv._ConvNd | nn.RNNBase)
    ]
    counter = FlopCounterMode(display=False, custom_mapping=_lstm_kernels())
    try:
        with counter, _Linear(names, flops):
            yield flops
    finally:
        for handle in handles:
            handle.remove()
        flops.dense = float(counter.get_total_flops())


class _Linear(TorchFunctionMode):
    """Sees every `linear`, in a layer or by itself, so that a weight used twice (tied embeddings) is counted twice."""

    def __init__(self, names: Mapping[int, str], flops: StepFlops) -> None:
        super().__init__()
        self._names, self._flops = names, flops

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.linear and id(args[1]) in self._names:
            given: Tensor = args[0]
            _add(self._flops, self._names[id(args[1])], given.numel() // given.shape[-1], given.requires_grad)
        return func(*args, **(kwargs or {}))


def _counting(layer: nn.Module, names: Mapping[int, str], flops: StepFlops) -> Callable[[nn.Module, Any, Any], None]:
    matrices = [names[id(parameter)] for parameter in layer.parameters(recurse=False) if parameter.dim() > 1]

    def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given: Tensor = inputs[0]
        recurrent = isinstance(layer, nn.RNNBase)
        uses = given.numel() // given.shape[-1] if recurrent else output.numel() // output.shape[1]
        for name in matrices:
            _add(flops, name, uses, recurrent or given.requires_grad)

    return hook


def _add(flops: StepFlops, name: str, uses: int, with_input_gradient: bool) -> None:
    products = 1 if not torch.is_grad_enabled() else 3 if with_input_gradient else 2
    flops.per_weight[name] = flops.per_weight.get(name, 0.0) + 2.0 * products * uses


def _lstm_kernels() -> dict[Any, Callable[..., int]]:
    """torch's counter knows no fused recurrent kernel: one step multiplies the input's and the state's weights."""

    def forward(x: Any, w_input: Any, w_hidden: Any, *_: Any, **__: Any) -> int:
        return int(2 * x[0] * x[1] * (w_input[0] * w_input[1] + w_hidden[0] * w_hidden[1]))

    def backward(*shapes: Any, **kwargs: Any) -> int:
        return 2 * forward(*shapes, **kwargs)

    aten = torch.ops.aten
    return {aten.mkldnn_rnn_layer: forward, aten.mkldnn_rnn_layer_backward: backward}
