"""A verification as people and as programs read it."""

from typing import Any

from suite.leaderboard.agreement import Contrast
from suite.leaderboard.spending import CostCheck
from suite.leaderboard.verdict import LEAST_SHARED, CellCheck, MaskCheck, Verification


def as_json(found: Verification) -> dict[str, Any]:
    """What `lottery verify --json` prints."""
    return {
        "schema": 1,
        "file": str(found.path),
        "entry": found.entry,
        "seed": found.seed,
        "bit_for_bit": found.bit_for_bit,
        "bits_owed": found.owed,
        "machines": {"claimed": found.machines[0], "here": found.machines[1]},
        "holds": found.holds,
        "outcome": found.outcome,
        "unmade": found.unmade,
        "power": {"chance_of_one_cell": found.chance, "smallest_shift": smallest_shift(found)},
        "problems": [{"check": finding.check, "line": finding.line} for finding in found.problems],
        "remarks": [{"check": finding.check, "line": finding.line} for finding in found.remarks],
        "cells": [_cell_json(found, cell) for cell in found.cells],
        "means": [{**vars(mean), "holds": mean.holds} for mean in found.contrasts],
        "costs": [{**vars(cost), "holds": cost.holds} for cost in found.costs],
    }


def _cell_json(found: Verification, cell: CellCheck) -> dict[str, Any]:
    tolerance = found.tolerance(cell)
    return {
        "cell": cell.name,
        "claimed": cell.claimed,
        "found": cell.found,
        "tolerance": tolerance,
        "same_weights": cell.same_weights,
        "agreement": cell.agreement(tolerance),
        "holds": found.as_claimed(cell),
        "problem": cell.problem,
        "masks": [
            {"level": mask.level, "equal": mask.equal, "shared": mask.shared, "agreement": mask.agreement}
            for mask in cell.masks
        ],
    }


def smallest_shift(found: Verification) -> dict[str, float]:
    """By mean, the smallest uniform shift that is caught in 95 of 100 cases; empty where any change of a bit is."""
    return {mean.name: mean.caught for mean in found.contrasts}


def as_lines(found: Verification) -> list[str]:
    """For people: what was tried and found, what would have been seen, the judgement last."""
    lines = [f"{finding.check}: {finding.line}" for finding in found.problems]
    lines += [f"remark, {finding.check}: {finding.line}" for finding in found.remarks]
    if found.problems:
        return [*lines, f"{found.entry} is not valid: nothing was trained"]
    for cell in found.cells:
        lines.append(_cell_line(found, cell))
        lines += [f"  {_mask_line(mask)}" for mask in cell.masks]
    lines += [_mean_line(mean) for mean in found.contrasts]
    lines += [_cost_line(cost) for cost in found.costs if not cost.holds]
    lines.append(_mode(found))
    lines.append(_power(found))
    return [*lines, f"{found.entry}: {_judged(found)} (cells drawn with seed {found.seed})"]


def _judged(found: Verification) -> str:
    if found.outcome != "the claims do not hold":
        return f"{found.outcome}{f': {found.unmade}' if found.unmade else ''}"
    parts = [
        f"{sum(not found.as_claimed(cell) for cell in found.cells)} of {len(found.cells)} cells are not as claimed"
    ]
    parts += [f"the mean of {mean.name} is not" for mean in found.contrasts if not mean.holds]
    parts += [f"{cost.name} are not" for cost in found.costs if not cost.holds]
    return f"{found.outcome}: {', '.join(parts)}"


def _mode(found: Verification) -> str:
    if found.bit_for_bit:
        return f"{found.owed} ({found.machines[1]}): anything but the same bits is a failure"
    return f"NOT bit for bit: made on {found.machines[0]}, this is {found.machines[1]}: close is enough"


def _power(found: Verification) -> str:
    """What would have been seen: of one cell, and of a shift of all scores of an arm."""
    one = "" if found.chance is None else f"; {_drawn(found.chance)}"
    if found.bit_for_bit:
        return f"power: any change of a cell trained again is seen{one}"
    shifts = ", ".join(f"{name} {shift:.3g}" for name, shift in smallest_shift(found).items())
    far = max((found.tolerance(cell) for cell in found.cells), default=0.0)
    return (
        f"power: a shift of all scores is seen in 95 of 100 cases from: {shifts}; of one cell drawn beyond {far:.3g}; "
        f"of a mask beyond {1 - LEAST_SHARED:.0%} of its survivors{one}"
    )


def _drawn(chance: float) -> str:
    if not chance:
        return "the one cell that was drawn is of winning: one that is changed in another arm need not be seen"
    return f"one changed cell was drawn with a chance of {chance:.{0 if chance >= 0.01 else 2}%} or more"


def _cell_line(found: Verification, cell: CellCheck) -> str:
    if cell.problem:
        return f"✗ {cell.name}: {cell.problem}"
    tolerance = found.tolerance(cell)
    agreement = cell.agreement(tolerance)
    weights = "the same weights" if cell.same_weights else "other weights"
    claimed, made = ("diverged" if value is None else f"{value:.6g}" for value in (cell.claimed, cell.found))
    near = "" if agreement == "exact" else f" (tolerance {tolerance:.3g})"
    sign = "✓" if found.as_claimed(cell) else "✗"
    return f"{sign} {cell.name}: {agreement}: claimed {claimed}, found {made}{near}, {weights}"


def _mask_line(mask: MaskCheck) -> str:
    what = f"mask of level {mask.level} pruned from it"
    if mask.equal:
        return f"{what}: the same bits"
    if mask.shared is None:
        return f"{what}: differs: none like the ticket's could be made"
    return f"{what}: {mask.agreement}: shares {mask.shared:.1%} of its survivors with the ticket's"


def _mean_line(mean: Contrast) -> str:
    sign = "✓" if mean.holds else "✗"
    better = f"claimed {abs(mean.mean):.3g} {'better' if mean.mean > 0 else 'worse'} than found"
    return f"{sign} {mean.name}, mean of {mean.cells} cells: {better} (tolerance {mean.tolerance:.3g})"


def _cost_line(cost: CostCheck) -> str:
    bounds = f"{cost.least:.4g}" if cost.least == cost.most else f"{cost.least:.4g} to {cost.most:.4g}"
    return f"✗ {cost.name}: claimed {cost.claimed:.4g}, by the cells trained again {bounds}"
