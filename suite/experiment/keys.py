"""The form of keys: a cell or mask is known by a digest of all that decides its numbers. A change here voids stores."""

from collections.abc import Mapping, Sequence
from typing import Any

from suite.experiment.domain import ResultVersions
from suite.experiment.frozen import digest
from suite.experiment.learner import Span
from suite.experiment.method import Method


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
    return digest(
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
    return digest({"cohort": list(keys)})


def slot_key(cohort: str, slot: int) -> str:
    """Key of a member of a cohort."""
    return digest({"cohort": cohort, "slot": slot})


def mask_key(parent: str, levels: int, method: Method, code: str, given: Mapping[str, Any]) -> str:
    """Key of a mask: the run it is pruned from, the prunings at once, and what of the method decides it.

    `given` is what the criterion is handed besides the model, such as weights of the rewind step.
    """
    made = {"parent": parent, "levels": levels, "method": method.pruning, "code": code}
    return digest({**made, "given": given} if given else made)
