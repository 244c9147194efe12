"""Snapshots of a model and its optimizer under dense names, whatever the layers are made of by now."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from suite.experiment.errors import RunError
from suite.experiment.learner import Snapshot
from suite.experiment.optimizer_state import Packer, put_rest, take_rest, unpack
from suite.tickets.replace import parameter_names

_MODEL, _OPTIMIZER, _PARTS = "model.", "optimizer.", "optimizer-parts."


def take(model: nn.Module, optimizer: torch.optim.Optimizer, meta: dict[str, Any]) -> Snapshot:
    """Copy of weights, buffers and optimizer state; tensors are named `model.<name>` and `optimizer.<state>.<name>`.

    State in lists and tables, in parameter groups, and of parameters outside the model is kept too; RunError names what
    is of no kind that a file can hold.

    A layer that stores its weight in another form gives the dense one from its own `state_dict` and offers
    `dense_state(parameter, value)`, which writes an optimizer tensor of the stored form densely.
    """
    tensors = {_MODEL + name: value.detach().clone() for name, value in model.state_dict().items()}
    packer, scalars = Packer(_PARTS), dict[str, Any]()
    names = parameter_names(model)
    for parameter, (name, layer) in names.items():
        dense_state = getattr(layer, "dense_state", None)
        for key, value in optimizer.state.get(parameter, {}).items():
            if not isinstance(value, Tensor):
                scalars[f"{key}.{name}"] = packer.pack(f"{key}.{name}", value)
            elif value.shape == parameter.shape and dense_state is not None:
                tensors[f"{_OPTIMIZER}{key}.{name}"] = dense_state(parameter, value).detach().clone()
            else:
                tensors[f"{_OPTIMIZER}{key}.{name}"] = value.detach().clone()
    tensors.update(packer.tensors)
    rest = take_rest(optimizer, names, tensors)
    return Snapshot(tensors, {**meta, "optimizer_scalars": scalars, "optimizer_rest": rest})


def put(snapshot: Snapshot, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load a snapshot that `take` made; raises RunError naming what is missing or too much.

    A layer that stores its weight in another form loads the dense one in its own `load_state_dict` and offers
    `stored_state(parameter, value)`, the inverse of `dense_state`.
    """
    weights = {n.removeprefix(_MODEL): t for n, t in snapshot.tensors.items() if n.startswith(_MODEL)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"snapshot does not fit the model: {' '.join(str(error).split())}") from error
    by_name = {name: (parameter, layer) for parameter, (name, layer) in parameter_names(model).items()}
    # Step counts stay on the CPU unless the optimizer's kernel reads them on the device, as torch itself has it.
    on_device = {
        parameter: bool(group.get("fused") or group.get("capturable"))
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    optimizer.state.clear()
    for name, value in snapshot.tensors.items():
        if not name.startswith(_OPTIMIZER):
            continue
        key, parameter_name = name.removeprefix(_OPTIMIZER).split(".", 1)
        if parameter_name not in by_name:
            raise RunError(f"snapshot has optimizer state for {parameter_name!r}, which the model has not")
        parameter, layer = by_name[parameter_name]
        stored_state = getattr(layer, "stored_state", None)
        stored = stored_state(parameter, value) if value.dim() and stored_state is not None else value
        device = parameter.device if value.dim() or on_device.get(parameter) else torch.device("cpu")
        optimizer.state[parameter][key] = _laid_out(stored.detach().clone().to(device), parameter)
    for name, scalar in snapshot.meta["optimizer_scalars"].items():
        key, parameter_name = name.split(".", 1)
        parameter, _ = by_name[parameter_name]
        optimizer.state[parameter][key] = unpack(scalar, snapshot.tensors, parameter.device)
    put_rest(snapshot.meta["optimizer_rest"], snapshot.tensors, optimizer)


def _laid_out(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """A value of a weight's shape in the weight's memory layout: torch's fused optimizers read both in one pass."""
    if value.shape != parameter.shape or value.stride() == parameter.stride() or type(parameter) is not nn.Parameter:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and bytes, in hex: equal digests are equal bits."""
    hasher = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        hasher.update(name.encode())
        hasher.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
