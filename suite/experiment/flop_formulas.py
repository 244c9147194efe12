"""What torch's own FLOP counter does not know: further products, and which arguments of a product are its factors."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten
Formula = Callable[..., int]


def _recurrent(backward: bool) -> Formula:
    """oneDNN's fused recurrent layer: one step multiplies the input's and the state's weights, backward twice."""

    def flops(x: Any, w_input: Any, w_hidden: Any, *_: Any, **__: Any) -> int:
        return int((2 if backward else 1) * 2 * prod(x.shape[:2]) * (w_input.numel() + w_hidden.numel()))

    return flops


def _cudnn_rnn(x: Any, weights: Any, *_: Any, **__: Any) -> int:
    """cuDNN's stack of recurrent layers: every step multiplies every matrix."""
    return int(2 * prod(x.shape[:-1]) * sum(w.numel() for w in weights if w.dim() > 1))


def _cudnn_rnn_backward(x: Any, weights: Any, *_: Any, **__: Any) -> int:
    return 2 * _cudnn_rnn(x, weights)


def _matrix_vector(matrix: Any, vector: Any, *_: Any, **__: Any) -> int:
    return int(2 * matrix.numel())


def _trilinear(one: Any, weight: Any, other: Any, *_: Any, out_val: Any = None, **__: Any) -> int:
    """A bilinear layer: input x weight, then x other input. [N, 1, I, 1], [1, O, I, J], [N, 1, 1, J]."""
    return int(2 * one.shape[0] * weight.numel() + 2 * out_val.numel() * other.shape[-1])


def _convolution(x: Any, weight: Any, *rest: Any, out_val: Any = None, **__: Any) -> int:
    """Every weight meets every output position, or every input position of a transposed convolution."""
    transposed = bool(rest[4])  # bias, stride, padding, dilation, transposed
    return int(2 * x.shape[0] * prod((x if transposed else out_val).shape[2:]) * weight.numel())


def _convolution_backward(grad: Any, x: Any, weight: Any, *rest: Any, **__: Any) -> int:
    """The same for each gradient that is asked for; torch's own formula forgets the groups in the weight's."""
    transposed, wanted = bool(rest[4]), rest[7]  # bias sizes, stride, padding, dilation, transposed, …, groups, mask
    return int(2 * x.shape[0] * prod((x if transposed else grad).shape[2:]) * weight.numel() * sum(wanted[:2]))


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))  # type: ignore[no-untyped-call]


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    shapes = grad.shape, query.shape, key.shape, value.shape
    return int(sdpa_backward_flop_count(*shapes))  # type: ignore[no-untyped-call]


FORMULAS: dict[Any, Formula] = {
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten.convolution_backward: _convolution_backward,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten.mkldnn_rnn_layer: _recurrent(backward=False),
    aten.mkldnn_rnn_layer_backward: _recurrent(backward=True),
    aten._cudnn_rnn: _cudnn_rnn,
    aten._cudnn_rnn_backward: _cudnn_rnn_backward,
    aten.mv: _matrix_vector,
    aten.addmv: lambda _, matrix, vector, *__, **___: _matrix_vector(matrix, vector),
    aten.dot: lambda one, *_, **__: int(2 * one.numel()),
    aten.addbmm: lambda _, one, other, *__, **___: int(2 * one.numel() * other.shape[-1]),
    aten._trilinear: _trilinear,
}

OPERANDS: dict[Any, tuple[slice, bool]] = {
    aten.mm: (slice(0, 2), True),
    aten.bmm: (slice(0, 2), True),
    aten.mv: (slice(0, 2), True),
    aten.dot: (slice(0, 2), True),
    aten.addmm: (slice(1, 3), True),
    aten.baddbmm: (slice(1, 3), True),
    aten.addbmm: (slice(1, 3), True),
    aten.addmv: (slice(1, 3), True),
    aten._scaled_mm: (slice(0, 2), True),
    aten._trilinear: (slice(1, 2), True),
    aten.convolution: (slice(1, 2), False),
    aten._convolution: (slice(1, 2), False),
    aten.cudnn_convolution: (slice(1, 2), False),
    aten.convolution_overrideable: (slice(1, 2), False),
    aten._slow_conv2d_forward: (slice(1, 2), False),
    aten.convolution_backward: (slice(2, 3), False),
    aten.mkldnn_rnn_layer: (slice(1, 3), False),
    aten.mkldnn_rnn_layer_backward: (slice(1, 3), False),
}
"""Arguments that are factors, a bias not among them; whether the weight's gradient is a product of its own later on."""

PASSES_WEIGHTS_ON = {
    aten._to_copy, aten.clone, aten.contiguous, aten.mul, aten.div, aten.cat, aten.stack, aten._weight_norm_interface,
    aten._reshape_copy, aten.t_copy, aten.transpose_copy, aten.permute_copy, aten.where, aten.masked_fill,
    aten.constant_pad_nd,
}  # fmt: skip
"""Operations whose result holds the weights that they are given, zeros staying zeros."""
