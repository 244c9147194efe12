"""Measures a connection: the error at points on the straight line between the final weights of two runs."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from suite.experiment import meter
from suite.experiment.arithmetic import reproducible
from suite.experiment.barrier import POINTS, error_of
from suite.experiment.connection import Connection
from suite.experiment.errors import RunError
from suite.experiment.learner import Learner, Split
from suite.experiment.pacing import Terminated, on_termination
from suite.experiment.provenance import provenance
from suite.experiment.randomness import own_random
from suite.experiment.result import CellResult, ConnectionResult, Spent
from suite.experiment.runtime import HERE, Runtime
from suite.experiment.snapshot import digest_of
from suite.experiment.starting import check_same, weights_at
from suite.experiment.store import Store
from suite.experiment.trainee import build


def connect(
    connection: Connection, store: Store, tell: Callable[[int, int], None], runtime: Runtime = HERE
) -> None:  # fmt: skip
    """Measure a connection, unless the store has it, and keep its result; `tell` hears of the points measured.

    Final weights that are no longer in the store's cache are trained again. A child that diverged leaves no path.
    Raises RunError for a child that is not finished or comes out otherwise, and for a learner that leaves batch norm as
    it was; Terminated at SIGTERM, between two points.
    """
    if store.connection(connection.key) is None:
        with reproducible(runtime):
            store.put_connection(_measured(connection, store, tell, runtime))


def _measured(
    connection: Connection, store: Store, tell: Callable[[int, int], None], runtime: Runtime
) -> ConnectionResult:  # fmt: skip
    spent = meter.Meter()
    cell, spec = connection.ends[0].cell, connection.spec
    children = [_finished(key, store) for key in connection.needs]
    splits: tuple[Split, ...] = ("validation", "train") if connection.training_error else ("validation",)
    diverged = any(child.diverged for child in children)
    errors = {} if diverged else _errors(connection, splits, store, tell, runtime)
    wall, cpu = spent.seconds
    return ConnectionResult(
        key=connection.key,
        task=spec.id,
        task_version=spec.version,
        task_hash=spec.hash,
        scale=spec.scale,
        method=connection.method.name,
        method_hash=connection.method.hash,
        rewind_step=connection.method.rewind_step,
        level=connection.level,
        replicate=connection.replicate,
        density=children[0].density,
        children=(children[0].key, children[1].key),
        metric=spec.metric.name,
        recalibration=connection.recalibration,
        diverged=diverged,
        validation_errors=tuple(errors.get("validation", ())),
        training_errors=tuple(errors.get("train", ())),
        spent=Spent(
            wall_seconds=wall, cpu_seconds=cpu, flops_dense=None, flops_sparse=None, peak_memory=meter.peak()
        ),
        provenance=provenance(spec.data.fingerprint, cell.device, torch.get_num_threads(), "single"),
    )  # fmt: skip


def _finished(key: str, store: Store) -> CellResult:
    result = store.cell(key)
    if result is None:
        raise RunError(f"cell {key[:12]} of a connection is not finished: run the same command again")
    return result


def _errors(
    connection: Connection, splits: tuple[Split, ...], store: Store, tell: Callable[[int, int], None], runtime: Runtime
) -> dict[Split, list[float]]:
    """The errors on each split at equally spaced points, from child 0 to child 1."""
    metric, streams, device = connection.spec.metric, connection.ends[0].cell.streams, torch.device(runtime.device)
    first, last = (weights_at(end, store, runtime) for end in connection.ends)
    for end, weights in zip(connection.ends, (first, last), strict=True):
        check_same(end.cell, digest_of(weights), store)
    learner = build(connection.ends[0].cell, runtime)
    found: dict[Split, list[float]] = {split: [] for split in splits}
    with on_termination() as termination:
        for point in range(POINTS):
            learner.model.load_state_dict(between(first, last, point / (POINTS - 1)))
            with own_random(device, streams.seed("evaluation")):
                recalibrate(learner, connection.recalibration)
            for split in splits:
                with own_random(device, streams.seed("evaluation")):
                    error = error_of(metric, learner.evaluate(split)[metric.name])
                if not math.isfinite(error):
                    raise RunError(f"{metric.name} is {error} at point {point} of {POINTS}: {connection.name}")
                found[split].append(error)
            tell(point + 1, POINTS)
            if termination.asked:
                raise Terminated
    return found


def between(first: Mapping[str, Tensor], last: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights at a share of the way from one state of a model to another; counts are those of the first."""
    return {
        name: torch.lerp(value, last[name], share) if value.is_floating_point() else value
        for name, value in first.items()
    }


def recalibrate(learner: Learner, batches: int) -> None:
    """Batch norm's statistics of the weights as they stand, where there is any.

    Statistics that are interpolated are those of no network (Izmailov et al. 2018, section 3.2, of averaged weights).
    Raises RunError for a learner that leaves them as they were; layers in evaluation mode are frozen, and stay so.
    """
    norms = [
        layer
        for layer in learner.model.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training and layer.track_running_stats
    ]
    for norm in norms:
        norm.reset_running_stats()
    learner.recalibrate(batches)
    if any(norm.num_batches_tracked == 0 for norm in norms):
        raise RunError(
            f"{type(learner).__name__} has batch norm and does not recalibrate it: its method `recalibrate` has to "
            "recompute the statistics on training batches"
        )
