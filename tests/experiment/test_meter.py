"""Peak memory is what was resident, since the last reset."""

import sys

import pytest
import torch

from suite.experiment import meter

MEGABYTES = 64 * 2**20


def test_the_peak_holds_what_was_allocated_and_freed() -> None:
    meter.reset_peak()
    before = meter.peak()
    torch.ones(MEGABYTES // 4)  # float32, written and let go
    assert before > MEGABYTES // 4  # torch itself is larger
    assert meter.peak() >= before + MEGABYTES // 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets the peak")
def test_a_reset_forgets_an_earlier_peak() -> None:
    torch.ones(MEGABYTES // 4)
    high = meter.peak()
    meter.reset_peak()
    assert 0 < meter.peak() <= high - MEGABYTES // 2
