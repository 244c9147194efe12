"""The state of the processor, and of CUDA, in which cells are trained; a caller's own state comes back afterwards."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch

from suite.experiment.runtime import HERE, Runtime

WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""What cuBLAS needs to give the same bits twice (NVIDIA's cuBLAS documentation, "Results reproducibility")."""


def environment(runtime: Runtime) -> dict[str, str]:
    """Variables of a process that runs cells; its libraries read them once, when they are loaded.

    The order of a set of words follows from the hash seed, which is drawn anew for every process that is given none.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    threads = {name: str(runtime.threads) for name in names}
    return threads | {"PYTHONHASHSEED": "0"} | (WORKSPACE if runtime.kind == "cuda" else {})


def gpus(runtime: Runtime) -> int:
    """GPUs of this machine that a run may use: none where it computes elsewhere."""
    return torch.cuda.device_count() if runtime.kind == "cuda" else 0


@contextmanager
def reproducible(runtime: Runtime = HERE) -> Iterator[None]:
    """The runtime's number of threads, denormal floats flushed to zero, and on CUDA deterministic algorithms alone.

    Equal bits are promised for equal numbers of threads, since sums are split among them. Second moments of dead
    weights decay to denormal floats, and these are slow. On CUDA an operation without a deterministic algorithm fails,
    naming itself, and convolutions of float32 tensors are computed in float32: precision is part of the task.

    All of it belongs to the process (or its thread), not to torch objects: left on, it reaches every later number.
    """
    threads, flushing = torch.get_num_threads(), sys.float_info.min / 2 == 0.0
    torch.set_num_threads(runtime.threads)
    torch.set_flush_denormal(True)
    try:
        with _deterministic() if runtime.kind == "cuda" else nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)


@contextmanager
def _deterministic() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.allow_tf32
    variables: Mapping[str, str | None] = {name: os.environ.get(name) for name in WORKSPACE}
    os.environ.update({name: WORKSPACE[name] for name, value in variables.items() if value is None})
    torch.use_deterministic_algorithms(True)
    cudnn.benchmark = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.benchmark, cudnn.allow_tf32 = before[1:]
        for name, value in variables.items():
            if value is None:
                del os.environ[name]
