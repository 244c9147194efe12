"""The smoothed loss against torch's, its gradients of first and second order, and a second way back."""

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from domains.nlp.loss import smoothed_cross_entropy

IGNORED = 0
TARGETS = torch.tensor([3, 1, IGNORED, 10, 1])


def _scores() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 11, dtype=torch.float64, generator=generator).requires_grad_()


def _loss(scores: Tensor) -> Tensor:
    return smoothed_cross_entropy(scores, TARGETS, 0.13, IGNORED)


def test_value_and_gradient_are_those_of_torch() -> None:
    scores = _scores()
    theirs = F.cross_entropy(scores, TARGETS, ignore_index=IGNORED, label_smoothing=0.13)
    ours = _loss(scores)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(loss, scores)[0] for loss in (ours, theirs)))


def test_gradients_of_both_orders_are_those_of_differences() -> None:
    assert gradcheck(_loss, _scores())
    assert gradgradcheck(_loss, _scores())


def test_a_second_way_back_through_one_graph_gives_the_same() -> None:
    scores = _scores()
    loss = _loss(scores)
    first, second = (torch.autograd.grad(loss, scores, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, second)


def test_scores_of_half_precision_get_a_gradient_of_their_own_type() -> None:
    scores = torch.randn(5, 11, dtype=torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = _loss(scores)
    loss.backward()
    assert loss.dtype == torch.float32
    assert scores.grad is not None
    assert scores.grad.dtype == torch.bfloat16
