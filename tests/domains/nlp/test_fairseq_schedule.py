"""The learning rate of P2's Transformer is fairseq's, update by update."""

import pytest

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


@pytest.mark.parametrize("variant", ["base", "big"])
def test_the_rate_of_every_update_is_fairseqs(variant: str) -> None:
    training = Registry().find(f"nlp/wmt14-transformer-{variant}").at("paper").spec.training
    schedule, base = Schedule.of(training.schedule), float(str(training.optimizer["lr"]))
    assert training.total_steps == 50_000
    expected = fairseq_rates(training.total_steps, lr=5e-4, warmup=4_000, init=1e-7)
    for step in [*range(0, 50_000, 97), 3_999, 4_000, 4_001, 49_999]:
        assert base * schedule.factor(step, training.total_steps) == pytest.approx(expected[step], rel=1e-9)
