"""What a run says of stability, in plain words and as JSON."""

from typing import Any

from suite.printing import count, jsonable, wrapped
from suite.results import words
from suite.results.stability import THRESHOLD, Stability, StabilityTest, stabilities
from suite.results.view import RunView


def sentences(found: Stability) -> list[str]:
    """The rewind step from which on tickets are stable, then one sentence for every step and density."""
    return [_summary(found), *map(sentence, found.tested)]


def sentence(test: StabilityTest) -> str:
    """`At k = 100 tickets of density 11 % are stable: barrier 0.4 points [0.1, 0.7], 3 replicates.`"""
    what = f"tickets of density {words.percent(test.density)}" if test.level else "dense networks"
    measured = (
        "no barrier is measured yet"
        if test.estimate.mean is None
        else f"barrier {words.number(test.estimate.mean)} points{_bounds(test)}"
    )
    because = f" ({test.reason})" if test.reason else ""
    more = f"; about {test.replicates_needed} replicates would decide" if test.replicates_needed else ""
    verdict = "are undecided" if test.verdict == "undecided" else f"are {test.verdict}"
    return f"At k = {test.rewind_step} {what} {verdict}{because}: {measured}{more}."


def _bounds(test: StabilityTest) -> str:
    known = count(test.estimate.n, "replicate")
    return f", {known}" if test.estimate.interval is None else f" {words.interval(test.estimate.interval)}, {known}"


def _summary(found: Stability) -> str:
    at = f"all {count(len(found.levels), 'tested density', 'tested densities')}"
    if found.stable_from is not None:
        return f"Tickets from k = {found.stable_from} are the earliest that are stable at {at}."
    open_ = [test for test in found.tested if test.verdict == "undecided"]
    rest = f"; {count(len(open_), 'test')} of {len(found.tested)} undecided" if open_ else ""
    return f"From no tested rewind step on are tickets shown to be stable at {at}{rest}."


def as_json(found: Stability) -> dict[str, Any]:
    """Finite numbers or null: barriers in percentage points, errors along the paths as shares of 1."""
    method = found.views[0].method.model_dump(mode="json", exclude={"name", "rewind_step"})
    table: dict[str, Any] = jsonable(
        {
            "task": found.spec.id,
            "hash": found.spec.hash,
            "scale": found.spec.scale,
            "method": method,
            "split": "validation",
            "threshold_points": THRESHOLD,
            "recalibration_batches": found.recalibration,
            "stable_from": found.stable_from,
            "tested": [_test_json(test) for test in found.tested],
        }
    )
    return table


def _test_json(test: StabilityTest) -> dict[str, Any]:
    return {
        "rewind_step": test.rewind_step,
        "level": test.level,
        "density": test.density,
        "replicates": test.replicates,
        "barriers": test.barriers,
        "missing": test.missing,
        "diverged": test.diverged,
        "n": test.estimate.n,
        "mean": test.estimate.mean,
        "sd": test.estimate.sd,
        "ci95": test.estimate.interval,
        "verdict": test.verdict,
        "reason": test.reason,
        "replicates_needed": test.replicates_needed,
        "paths": [
            {
                "replicate": path.replicate,
                "validation_errors": path.validation_errors,
                "training_errors": path.training_errors,
                "training_barrier": None if path.training_barrier is None else 100 * path.training_barrier,
            }
            for path in test.paths
        ],
    }


def stability_lines(run: RunView, width: int) -> list[str]:
    """For the terminal: a heading for each task and method that was tested, its sentences wrapped below."""
    shown: list[str] = []
    for found in stabilities(run):
        shown.append(f"{found.spec.id} {found.spec.scale}: stability of tickets")
        shown += [wrapped(text, width, "  ") for text in sentences(found)]
    return shown
