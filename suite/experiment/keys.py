"""The form of keys: a cell or mask is known by a digest of all that decides its numbers. A change here voids stores."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import rfc8785

from suite.experiment.domain import ResultVersions
from suite.experiment.learner import Span
from suite.experiment.method import Method

CONNECTIONS = 1
"""Version of the code that measures connections: raised with every change of their numbers."""


def train_key(
    task_hash: str, replicate: int, start: Mapping[str, Any], span: Span, versions: ResultVersions,
    code: Sequence[str], execution: str, device: str,
) -> str:  # fmt: skip
    """Key of a training run: its task's hash, its start's recipe, its steps, the code, and where it computes.

    `code` are the digests of third parties' task and arm, `execution` is `single` or `cohort`, `device` a kind such as
    `cuda`. What the first results did not have (a learner's version above 1, a held rate) is added only where it is.
    """
    steps: list[int | str] = [span.first, span.last, span.shift]
    made = [versions.core, *code]
    return _digest(
        {
            "task": task_hash,
            "replicate": replicate,
            "start": start,
            "span": [*steps, "held"] if span.held else steps,
            "code": made if versions.learner == 1 else [*made, versions.learner],
            "execution": {"mode": "dense", "exec": execution, "device": device},
        }
    )


def cohort_key(keys: Sequence[str]) -> str:
    """Key of cells that are trained as one: each member takes part in the numbers of all."""
    return _digest({"cohort": list(keys)})


def slot_key(cohort: str, slot: int) -> str:
    """Key of a member of a cohort."""
    return _digest({"cohort": cohort, "slot": slot})


def connection_key(ends: Sequence[str], points: int, recalibration: int, training_error: bool) -> str:
    """Key of the errors between two runs: their keys, in order, and how the points between them are measured."""
    measured = {"points": points, "recalibration": recalibration, "training": training_error, "version": CONNECTIONS}
    return _digest({"connection": list(ends), **measured})


def mask_key(parent: str, levels: int, method: Method, code: str, given: Mapping[str, Any]) -> str:
    """Key of a mask: the run it is pruned from, the prunings at once, and what of the method decides it.

    `given` is what the criterion is handed besides the model, such as weights of the rewind step.
    """
    texts = {name: canonical(value) for name, value in (("parent", parent), ("levels", levels), ("code", code))}
    texts["method"] = _pruning(method)
    if given:
        texts["given"] = canonical(given)
    members = ",".join(f'"{name}":{texts[name]}' for name in sorted(texts))
    return sha256(f"{{{members}}}".encode()).hexdigest()


def canonical(value: object) -> str:
    """Canonical JSON (RFC 8785) of a value without fractions, its keys ASCII: a plan of 100,000 cells makes as many."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(value: object) -> str:
    return sha256(canonical(value).encode()).hexdigest()


@lru_cache(maxsize=64)
def _pruning(method: Method) -> str:
    return rfc8785.dumps(method.pruning).decode()
