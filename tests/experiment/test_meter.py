"""Peak memory is what was resident, since the last reset."""

import mmap
import sys

import pytest

from suite.experiment import meter

MEGABYTES = 64 * 2**20


def use_memory() -> None:
    """Write to fresh pages and let them go: an allocator may have free ones that are resident already."""
    with mmap.mmap(-1, MEGABYTES) as memory:
        for page in range(0, MEGABYTES, mmap.PAGESIZE):
            memory[page] = 1


def test_the_peak_holds_what_was_allocated_and_freed() -> None:
    meter.reset_peak()
    before = meter.peak()
    use_memory()
    assert before > MEGABYTES // 4  # the interpreter and pytest are larger
    assert meter.peak() >= before + MEGABYTES // 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets the peak")
def test_a_reset_forgets_an_earlier_peak() -> None:
    use_memory()
    high = meter.peak()
    meter.reset_peak()
    assert 0 < meter.peak() <= high - MEGABYTES // 2
