"""The learning rate of P2's Transformer is fairseq's, update by update."""

from argparse import Namespace

import pytest
import torch
from torch import nn

from domains.nlp.fairseq_backend import library
from suite.experiment.registry import Registry
from suite.experiment.schedules import Schedule


def fairseq_rates(updates: int, lr: float, warmup: int, init: float) -> list[float]:
    """`step_update(num_updates)` of fairseq's InverseSquareRootSchedule: the rate with which update n + 1 is made."""
    rates = []
    for done in range(updates):
        if done < warmup:
            rates.append(init + done * (lr - init) / warmup)
        else:
            rates.append(lr * warmup**0.5 * done**-0.5)
    return rates


@pytest.mark.fairseq
@pytest.mark.parametrize("variant", ["base", "big"])
def test_fairseqs_own_schedule_says_the_same(variant: str) -> None:
    library()
    from fairseq.optim import FairseqOptimizer
    from fairseq.optim.lr_scheduler.inverse_square_root_schedule import InverseSquareRootSchedule

    training = Registry().find(f"nlp/wmt14-transformer-{variant}").at("paper").spec.training
    schedule, base = Schedule.of(training.schedule), float(str(training.optimizer["lr"]))
    optimizer = FairseqOptimizer(Namespace())
    optimizer._optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = InverseSquareRootSchedule(Namespace(warmup_updates=4_000, warmup_init_lr=1e-7, lr=[5e-4]), optimizer)
    for step in range(training.total_steps):
        assert base * schedule.factor(step, training.total_steps) == pytest.approx(theirs.step_update(step), rel=1e-9)


@pytest.mark.parametrize("variant", ["base", "big"])
def test_the_rate_of_every_update_is_fairseqs(variant: str) -> None:
    training = Registry().find(f"nlp/wmt14-transformer-{variant}").at("paper").spec.training
    schedule, base = Schedule.of(training.schedule), float(str(training.optimizer["lr"]))
    assert training.total_steps == 50_000
    expected = fairseq_rates(training.total_steps, lr=5e-4, warmup=4_000, init=1e-7)
    for step in [*range(0, 50_000, 97), 3_999, 4_000, 4_001, 49_999]:
        assert base * schedule.factor(step, training.total_steps) == pytest.approx(expected[step], rel=1e-9)
