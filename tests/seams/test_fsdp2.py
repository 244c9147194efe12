"""Masks stay exact on every shard of FSDP2, and the gathered result is that of the unsharded run."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.optim import Adam, Optimizer

from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

PROCESSES, STEPS = 2, 5
ROWS = {8: [[4, 4, 2], [4, 4, 1]], 7: [[4, 4, 2], [3, 3, 1]]}
"""Rows of each masked tensor that each process holds, by hidden width; of 7 rows, and of 3, the shards are uneven."""

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")


def _net(hidden: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, hidden), nn.Tanh(), nn.Linear(hidden, 3))


def _mask(net: nn.Module) -> Mask:
    generator = torch.Generator().manual_seed(1)
    dense = Mask.dense(net, ["0.weight", "0.bias", "2.weight"])
    return Mask({name: torch.rand(tensor.shape, generator=generator) < 0.5 for name, tensor in dense.items()})


def _step(net: nn.Module, optimizer: Optimizer, step: int, part: slice) -> Tensor:
    """One step on this process's part of the batch, gradients clipped; returns the gradient norm before."""
    generator = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 6, generator=generator)[part], torch.randn(16, 3, generator=generator)[part]
    optimizer.zero_grad()
    ((net(x) - y) ** 2).mean().backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), 0.3)
    optimizer.step()
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _gather(net: nn.Module) -> dict[str, Tensor]:
    full = ((n, t.full_tensor() if isinstance(t, DTensor) else t) for n, t in net.state_dict().items())
    return {name: tensor.detach().clone() for name, tensor in full}


def _nonzero_where_pruned(net: nn.Module, optimizer: Optimizer, mask: Mask) -> int:
    """Over weights, gradients and state of all shards; every tensor is gathered so that positions are the mask's."""
    count = 0
    for name, kept in mask.items():
        parameter = net.get_parameter(name)
        tensors: list[Any] = [parameter, parameter.grad, *optimizer.state[parameter].values()]
        sharded = [tensor for tensor in tensors if isinstance(tensor, DTensor)]
        assert len(sharded) == 4, name  # weight, gradient, two moments
        count += sum(int(tensor.full_tensor().detach()[~kept].count_nonzero()) for tensor in sharded)
    return count


def _sharded_run(rank: int, hidden: int) -> dict[str, Any]:
    net = _net(hidden)
    mask = _mask(net)
    for layer in (net[0], net[2], net):
        fully_shard(layer, mesh=dist.init_device_mesh("cpu", (PROCESSES,)))
    optimizer = Adam(net.parameters(), lr=0.01)
    norms, nonzero = [], []
    with enforce(net, optimizer, mask):
        for step in range(STEPS):
            norms.append(_step(net, optimizer, step, slice(rank * 8, rank * 8 + 8)))
            nonzero.append(_nonzero_where_pruned(net, optimizer, mask))
    rows = [net.get_parameter(name).to_local().shape[0] for name in mask]  # type: ignore[operator]
    return {"nonzero": nonzero, "norms": torch.stack(norms), "rows": rows, "weights": _gather(net)}


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    try:
        torch.save({hidden: _sharded_run(rank, hidden) for hidden in ROWS}, Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[dict[int, dict[str, Any]]]:
    """What each process found, by hidden width: one start of the processes, which costs more than all their steps."""
    folder = tmp_path_factory.mktemp("fsdp2")
    mp.spawn(_process, args=(str(folder),), nprocs=PROCESSES)
    return [torch.load(folder / f"{rank}.pt") for rank in range(PROCESSES)]


@pytest.mark.parametrize("hidden", ROWS)
def test_pruned_weights_gradients_and_moments_are_zero_on_every_shard_after_every_step(
    shards: list[dict[int, dict[str, Any]]], hidden: int
) -> None:
    assert [shard[hidden]["rows"] for shard in shards] == ROWS[hidden]
    assert [shard[hidden]["nonzero"] for shard in shards] == [[0] * STEPS] * PROCESSES


@pytest.mark.parametrize("hidden", ROWS)
def test_the_gathered_weights_and_the_gradient_norms_are_those_of_one_process(
    shards: list[dict[int, dict[str, Any]]], hidden: int
) -> None:
    net = _net(hidden)
    mask, optimizer = _mask(net), Adam(net.parameters(), lr=0.01)
    with enforce(net, optimizer, mask):
        norms = torch.stack([_step(net, optimizer, step, slice(16)) for step in range(STEPS)])
    assert norms.max() > 0.3  # so clipping did something
    for shard in shards:
        torch.testing.assert_close(shard[hidden]["norms"], norms, rtol=1e-5, atol=1e-7)
        for name, value in net.state_dict().items():
            torch.testing.assert_close(shard[hidden]["weights"][name], value, rtol=1e-4, atol=1e-6)
    for name, kept in mask.items():
        assert torch.equal(shards[0][hidden]["weights"][name] != 0, kept), name
