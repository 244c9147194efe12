"""FLOPs of one training step of a learner: without its arithmetic where possible, without a result lost otherwise."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from suite.experiment.flops import StepFlops, count
from suite.experiment.learner import Learner
from suite.experiment.randomness import own_random
from suite.experiment.supervised import SupervisedLearner

logger = logging.getLogger(__name__)


def step_flops(make: Callable[[], Learner], device: torch.device) -> StepFlops | None:
    """FLOPs of the first step of a learner that `make` builds anew; None where they cannot be counted.

    A learner that follows a loss has its loss and gradients taken with fake weights, which have shapes and no numbers:
    a step of any size takes seconds. Where its code needs the numbers, they are taken with real weights; a learner with
    a loop of its own takes one step. Each time it is a learner that is thrown away, and no random number is lost.
    """
    ways = (_without_arithmetic, _with_arithmetic, _by_a_step)
    for way in ways:
        try:
            with own_random(device, 0):
                found = way(make())
        except Exception as error:  # whatever a learner's code raises: its result does not hang on this number
            logger.debug("FLOPs were not counted by %s: %s", way.__name__, error)
            continue
        if found is not None:
            return found
    return None


def _without_arithmetic(learner: Learner) -> StepFlops | None:
    if not _follows_its_loss(learner):
        return None
    _fake_weights(learner.model)
    return _loss_and_gradients(learner)


def _with_arithmetic(learner: Learner) -> StepFlops | None:
    return _loss_and_gradients(learner) if _follows_its_loss(learner) else None


def _by_a_step(learner: Learner) -> StepFlops:
    with count(learner.model) as flops:
        learner.advance(learner.step + 1)
    return flops


def _follows_its_loss(learner: Learner) -> bool:
    """Whether a step is one loss and its gradients; a learner that overrides the loop may take more of them."""
    own = (type(learner).advance, getattr(type(learner), "_take_step", None))
    return own == (SupervisedLearner.advance, SupervisedLearner._take_step)


def _loss_and_gradients(learner: Any) -> StepFlops:
    with count(learner.model) as flops:
        loss: Tensor = learner.loss(learner.step)
        loss.backward()  # type: ignore[no-untyped-call]
    return flops


def _fake_weights(model: nn.Module) -> None:
    """Put shapes in the place of all parameters and buffers; what shares a tensor goes on sharing it."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    fakes: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if id(parameter) not in fakes:
                fake = mode.from_tensor(parameter.detach())
                fakes[id(parameter)] = nn.Parameter(fake, requires_grad=parameter.requires_grad)
            setattr(module, name, fakes[id(parameter)])
        for name, buffer in list(module.named_buffers(recurse=False, remove_duplicate=False)):
            module._buffers[name] = mode.from_tensor(buffer)
