"""The processor state in which cells are trained; a caller's own state comes back afterwards."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_without_denormals() -> Iterator[None]:
    """One thread, denormal floats flushed to zero: second moments of dead weights decay to them, and they are slow.

    Both settings belong to the process (or its thread), not to torch objects: left on, they reach every later float.
    """
    threads, flushing = torch.get_num_threads(), sys.float_info.min / 2 == 0.0
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)
