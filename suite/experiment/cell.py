"""Runs a cell, or a cohort of cells: learner + ticket -> result, and the masks that are pruned from it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from suite.experiment import meter
from suite.experiment.arithmetic import reproducible
from suite.experiment.errors import CellsFailed, RunError, told
from suite.experiment.flops import StepFlops
from suite.experiment.learner import Snapshot, Span
from suite.experiment.loading import builder
from suite.experiment.pacing import Pace, Terminated, on_termination
from suite.experiment.plan import DENSE, Cell, Prune
from suite.experiment.provenance import provenance
from suite.experiment.prune import make_masks
from suite.experiment.result import CellResult, Layer, Spent
from suite.experiment.roles import sizes
from suite.experiment.runtime import HERE, Runtime
from suite.experiment.snapshot import digest_of
from suite.experiment.starting import check_same, dense_origin, kept_name, mask_of, notes_of, started, weights_at
from suite.experiment.step_flops import step_flops
from suite.experiment.store import Store
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec
from suite.experiment.trainee import Weights, build
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask, TicketError

Tell = Callable[[int, int], None]
"""Told now and then how far a cell is: (steps taken, steps in all)."""

SNAPSHOT_SECONDS = 60.0
"""Time between two snapshots of a half-trained cell."""


def run_cells(cells: Sequence[Cell], store: Store, tell: Tell, runtime: Runtime = HERE) -> None:
    """Train, evaluate and prune one cell, or one whole cohort, as far as the store does not have it.

    A cohort is always trained whole, since its arithmetic is part of its numbers: a member whose ladder diverged, so
    that it has no ticket, fills its slot unpruned and leaves no result. Raises RunError when the learner cannot be
    built, a needed mask is missing, or a cell trained again (because a mask of it is wanted that was not made) does not
    come out as it did; and TicketError, what was trained being kept, when a mask that is not optional cannot be made.
    What befalls members of a cohort alone is raised as CellsFailed when the others have their results.
    """
    with reproducible(runtime):
        _run_cells(cells, store, tell, runtime)


def _run_cells(cells: Sequence[Cell], store: Store, tell: Tell, runtime: Runtime) -> None:
    remarks: dict[str, list[str]] = {cell.key: [] for cell in cells}
    _raise_first([error for cell in cells for error in _prune(cell, None, cells, store, runtime, remarks[cell.key])])
    known = [store.cell(cell.key) for cell in cells]
    fillers = [bool(cell.cohort) and store.ticketless(cell) for cell in cells]
    ends = [_cached_end(cell, store) for cell in cells]
    trained = None
    missing = [result is None and not filler for result, filler in zip(known, fillers, strict=True)]
    unpruned = [_needs_end(*each, store) for each in zip(cells, known, ends, strict=True)]
    if any(missing) or any(unpruned):
        trained = _Training(cells, store, tell, runtime).run()
        ends = [one.weights for one in trained]
    impossible: list[TicketError] = []
    failed: dict[str, str] = {}
    for i, cell in enumerate(cells):
        if fillers[i]:
            continue
        if trained and (failure := trained[i].failure) is not None:
            failed[cell.key] = told(failure)
            continue
        result = known[i] or (trained[i].result if trained else None)
        assert result is not None
        if trained:
            check_same(cell, trained[i].result.weights_digest, store)
        end = ends[i]
        if end is not None and not result.diverged:
            impossible += _prune(cell, end, cells, store, runtime, remarks[cell.key])
        if known[i] is None:
            notes = {**result.notes, **({"pruning": "; ".join(remarks[cell.key])} if remarks[cell.key] else {})}
            result = result.model_copy(update={"notes": notes})
            store.put_cell(result)  # last: a cell that is there has all its masks, but those that cannot be
    store.drop_snapshot(_partial(cells))
    _raise_first(impossible)
    if failed:
        raise CellsFailed(failed)


def _raise_first(errors: Sequence[TicketError]) -> None:
    if errors:
        raise errors[0]


@dataclass(frozen=True)
class _Trained:
    result: CellResult
    weights: Weights
    failure: Exception | None = None


class _Training:
    """One program of training: built, started from its tickets, advanced with snapshots, measured."""

    def __init__(self, cells: Sequence[Cell], store: Store, tell: Tell, runtime: Runtime) -> None:
        self._cells, self._first, self._store, self._tell = cells, cells[0], store, tell
        self._runtime = runtime
        begun = started(cells, store, runtime)
        self._trainee, self._masks, self._single = begun.trainee, begun.masks, begun.model

    def run(self) -> list[_Trained]:
        """Train to the end and measure; a diverged run has no scores, and what a failed one has is not used."""
        self._meter = meter.Meter()
        self._advance()
        weights = self._trainee.weights()
        lost = [
            lost or not all(bool(torch.isfinite(value).all()) for value in own.values())
            for lost, own in zip(self._trainee.diverged(), weights, strict=True)
        ]
        validation, test = (
            [{} for _ in lost] if all(lost) else self._trainee.evaluate(split) for split in ("validation", "test")
        )
        lost = [
            gone or not all(map(math.isfinite, (*own.values(), *other.values())))
            for gone, own, other in zip(lost, validation, test, strict=True)
        ]
        _check_metric(self._first.spec, [s for s, gone in zip(test, lost, strict=True) if not gone])
        traces, failures = self._trainee.traces(), self._trainee.failures()
        share = len(self._cells)
        wall, cpu = (seconds / share for seconds in self._meter.seconds)
        peak = meter.peak()  # before FLOPs are counted on a learner of their own
        each_step = _step_flops(self._first.spec.model_dump_json(), self._runtime.data)
        trained = []
        for i, cell in enumerate(self._cells):
            if cell.span.last in cell.kept_steps and not lost[i] and i not in failures:
                self._store.put_snapshot(kept_name(cell, cell.span.last), Snapshot(weights[i], {}))
            mask = self._masks[i]
            result = CellResult(
                key=cell.key,
                task=cell.spec.id,
                task_version=cell.spec.version,
                task_hash=cell.spec.hash,
                scale=cell.spec.scale,
                method=DENSE if cell.arm == DENSE else cell.method.name,
                method_hash="" if cell.arm == DENSE else cell.method.hash,
                arm=cell.arm,
                level=cell.level,
                replicate=cell.replicate,
                first_step=cell.span.first,
                steps=cell.steps,
                metric=cell.spec.metric.name,
                diverged=lost[i],
                validation={} if lost[i] else dict(validation[i]),
                test={} if lost[i] else dict(test[i]),
                trace=() if lost[i] else tuple(dict(point) for point in traces[i]),
                density=mask.density,
                total_density=mask.total_density(self._single),
                layers={name: Layer(remaining=int(kept.sum()), size=kept.numel()) for name, kept in mask.items()},
                roles=_roles(cell.spec, mask, self._single),
                notes=self._trainee.notes() | notes_of(cell, self._runtime),
                weights_digest=digest_of(weights[i]),
                mask_digest=mask.digest,
                spent=Spent(
                    wall_seconds=wall,
                    cpu_seconds=cpu,
                    flops_dense=each_step.dense * cell.steps if each_step else None,
                    flops_sparse=each_step.sparse(mask) * cell.steps if each_step else None,
                    peak_memory=peak,
                ),
                provenance=provenance(
                    cell.spec.data.fingerprint,
                    cell.device,
                    torch.get_num_threads(),
                    "cohort" if cell.cohort else "single",
                ),
                result_versions=cell.versions,
            )
            trained.append(_Trained(result, weights[i], failures.get(i)))
        return trained

    def _advance(self) -> None:
        """Train to the end with the masks enforced, going on from a snapshot when one is there.

        Snapshots follow the clock; at SIGTERM one is kept, and Terminated is raised.
        """
        first, running, span = self._first, self._trainee, self._first.span
        mask = running.mask(self._masks)
        with enforce(running.model, running.optimizer, mask), on_termination() as termination:
            self._go_on()
            pace, saved = Pace(), time.monotonic()
            self._keep_weights()
            while running.step < span.last:
                kept = [step for step in first.kept_steps if step > running.step]
                stop = min(running.step + pace.steps(), span.last, *kept)
                running.advance(stop)
                if running.step < stop:
                    break  # it diverged
                self._keep_weights()
                self._tell(stop - span.first, first.steps)
                if termination.asked or (stop < span.last and time.monotonic() - saved > SNAPSHOT_SECONDS):
                    self._keep_half_trained()
                    saved = time.monotonic()
                if termination.asked:
                    raise Terminated

    def _go_on(self) -> None:
        half_trained = self._store.snapshot(_partial(self._cells))
        if half_trained is not None:
            self._trainee.restore(half_trained)
            self._meter.add(half_trained.meta["seconds"])

    def _keep_half_trained(self) -> None:
        taken = self._trainee.snapshot()
        taken.meta["seconds"] = self._meter.seconds
        self._store.put_snapshot(_partial(self._cells), taken)

    def _keep_weights(self) -> None:
        step = self._trainee.step
        if step in self._first.kept_steps and step < self._first.span.last:
            failures = self._trainee.failures()
            for i, (cell, weights) in enumerate(zip(self._cells, self._trainee.weights(), strict=True)):
                if i not in failures:
                    self._store.put_snapshot(kept_name(cell, step), Snapshot(weights, {}))


def _roles(spec: TaskSpec, mask: Mask, model: nn.Module) -> dict[str, Layer]:
    """Survivors of every role; tensors that the mask has not are whole."""
    known = dict(model.named_parameters())
    kept = {
        name: (int(mask[name].sum()) if name in mask else known[name].numel(), known[name].numel())
        for name in spec.prunable
    }
    return {role: Layer(remaining=left, size=size) for role, (left, size) in sizes(spec, kept).items()}


def _check_metric(spec: TaskSpec, scores: Sequence[Mapping[str, float]]) -> None:
    for found in scores:
        if spec.metric.name not in found:
            has = ", ".join(found) or "none"
            raise RunError(f"{spec.id} is measured by {spec.metric.name!r}, but its learner gives only: {has}")


@lru_cache(maxsize=8)
def _step_flops(spec_json: str, data: Path | None) -> StepFlops | None:
    """FLOPs of a step, counted once a process; None where they cannot be, which costs no result."""
    spec, runtime = TaskSpec.model_validate_json(spec_json), Runtime(data=data)
    span = Span(0, spec.training.total_steps)
    return step_flops(lambda: builder(spec)(spec, Streams(spec.hash, 0), span, runtime), torch.device(runtime.device))


def _prune(
    cell: Cell, end: Weights | None, unit: Sequence[Cell], store: Store, runtime: Runtime, remarks: list[str]
) -> list[TicketError]:
    """Make the masks that are still to be made from a cell's trained weights or (None) from its initial ones."""
    unpruned = _unpruned(cell, "start" if end is None else "end", store)
    if not unpruned:
        return []
    learner = build(cell, runtime)
    if end is not None:
        learner.model.load_state_dict(end)
    mask = mask_of(cell, store, learner.model, runtime)
    dense = dense_origin(cell, unit)
    return make_masks(
        cell, learner, mask, unpruned, store, lambda step: weights_at(replace(dense, step=step), store, runtime),
        remarks,
    )  # fmt: skip


def _unpruned(cell: Cell, score_at: str, store: Store) -> list[Prune]:
    return [prune for prune in cell.prunes if prune.method.score_at == score_at and not store.has_mask(prune.key)]


def _needs_end(cell: Cell, known: CellResult | None, end: Weights | None, store: Store) -> bool:
    """Whether a finished cell is to be pruned and its trained weights are gone; a diverged one never is."""
    return known is not None and not known.diverged and end is None and bool(_unpruned(cell, "end", store))


def _cached_end(cell: Cell, store: Store) -> Weights | None:
    """Trained weights of a finished run, where they are kept: a dense run's, since every method prunes it."""
    end = store.snapshot(kept_name(cell, cell.span.last)) if cell.span.last in cell.kept_steps else None
    return None if end is None else end.tensors


def _partial(cells: Sequence[Cell]) -> str:
    return f"{cells[0].cohort or cells[0].key}-partial"
