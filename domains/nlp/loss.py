"""The smoothed cross-entropy of a translation, in fewer passes over its scores than torch's own.

With thousands of types most of a small Transformer's memory traffic is that of its scores. torch's loss of smoothed
labels fills four tensors of their size beside them; this one fills one, and turns it into the gradient where it lies.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def smoothed_cross_entropy(scores: Tensor, target: Tensor, smoothing: float, ignored: int) -> Tensor:
    """Mean cross-entropy, in nats, of targets [n] that are not `ignored`, given scores [n, types].

    `smoothing` is the share spread evenly over all types, the target among them: the value is that of
    `torch.nn.functional.cross_entropy`, and it can be differentiated twice.
    """
    loss: Tensor = _Smoothed.apply(scores, target, smoothing, ignored)
    return loss


class _Smoothed(Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, target: Tensor, smoothing: float, ignored: int) -> Tensor:
        logs = scores.log_softmax(-1, dtype=_precise(scores))
        kept = target != ignored
        weights = kept.to(logs.dtype) / kept.sum()
        places = torch.where(kept, target, 0)[:, None]
        likelihoods = (1 - smoothing) * logs.gather(-1, places)[:, 0] + smoothing / logs.shape[-1] * logs.sum(-1)
        ctx.save_for_backward(scores, places, weights)
        ctx.smoothing, ctx.logs = smoothing, logs
        return -(likelihoods * weights).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        scores, places, weights = ctx.saved_tensors
        rows = (gradients[0] * weights)[:, None]
        if torch.is_grad_enabled():  # to be differentiated again: of tensors that know their past
            change = (scores.softmax(-1, dtype=_precise(scores)) - ctx.smoothing / scores.shape[-1]) * rows
            return change.scatter_add(-1, places, (ctx.smoothing - 1) * rows).to(scores.dtype), None, None, None
        logs = scores.log_softmax(-1, dtype=_precise(scores)) if ctx.logs is None else ctx.logs
        ctx.logs = None  # its place is taken by the gradient
        change = logs.exp_().sub_(ctx.smoothing / logs.shape[-1]).mul_(rows)
        return change.scatter_add_(-1, places, (ctx.smoothing - 1) * rows).to(scores.dtype), None, None, None


def _precise(scores: Tensor) -> torch.dtype:
    return torch.promote_types(scores.dtype, torch.float32)
