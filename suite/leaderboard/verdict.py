"""What training an entry's cells again came to: per cell and mask the verdict, and whether the claims hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from statistics import variance
from typing import Any, Literal

from scipy.special import stdtrit

from suite.leaderboard.validate import Finding

Verdict = Literal["exact", "within", "differs"]

LEAST_SHARED = 0.9
"""Of the survivors of a mask that is made again on another type of machine, the fraction that must be the same."""

NEIGHBOURS = 2
"""So many densities to either side of a cell's own lend it their spread: few replicates have little of their own."""

FLATTERY = 2.33 / 1.96
"""Of the tolerance, divided by the root of the number of cells: honest claims are so far above in 1 of 100 tries."""


@dataclass(frozen=True)
class MaskCheck:
    """The ticket's mask of a level, and the one pruned now: whether they are equal, and the survivors they share.

    `shared` is a fraction of the survivors; None when no mask could be made, or none of this shape.
    """

    level: int
    equal: bool
    shared: float | None

    @property
    def verdict(self) -> Verdict:
        """`exact` for the same bits, `within` for enough shared survivors."""
        if self.equal:
            return "exact"
        return "within" if self.shared is not None and self.shared >= LEAST_SHARED else "differs"


@dataclass(frozen=True)
class CellCheck:
    """One cell: the score that the entry claims and the one found (None: diverged), and the masks pruned from it.

    `same_weights`: the trained weights have the digest claimed. `problem`: why the cell could not be trained. `sign` is
    -1 for a metric where lower is better.
    """

    arm: str
    level: int
    replicate: int
    claimed: float | None
    found: float | None
    tolerance: float
    same_weights: bool
    masks: tuple[MaskCheck, ...] = ()
    problem: str = ""
    sign: int = 1

    @property
    def name(self) -> str:
        """As the command line names it: arm:level:replicate."""
        return f"{self.arm}:{self.level}:{self.replicate}"

    @property
    def verdict(self) -> Verdict:
        """`exact` for the same weights and score, `within` for a score no further off than the tolerance."""
        if self.problem:
            return "differs"
        if self.same_weights and self.claimed == self.found:
            return "exact"
        if self.claimed is None or self.found is None:
            return "within" if self.claimed is self.found else "differs"
        if self.same_weights and not math.isclose(self.claimed, self.found, rel_tol=1e-4):
            return "differs"  # whatever the machine: one network has one score
        return "within" if abs(self.claimed - self.found) <= self.tolerance else "differs"

    @property
    def flattery(self) -> float | None:
        """How much better the claim is than what was found, in tolerances; None where there is no such number."""
        if self.claimed is None or self.found is None or self.tolerance == 0:
            return None
        return self.sign * (self.claimed - self.found) / self.tolerance

    def holds(self, bit_for_bit: bool) -> bool:
        """Whether score and masks are as claimed."""
        enough = ("exact",) if bit_for_bit else ("exact", "within")
        return all(verdict in enough for verdict in (self.verdict, *(mask.verdict for mask in self.masks)))


@dataclass(frozen=True)
class Verification:
    """An entry's cells trained again.

    `bit_for_bit`: this machine is of the entry's type, so that anything but the same bits is a failure; `machines` are
    the entry's and this one. `seed` draws the same cells again. An entry with `problems` is not trained at all.
    """

    path: Path
    entry: str
    seed: int
    bit_for_bit: bool
    machines: tuple[str, str]
    cells: tuple[CellCheck, ...]
    problems: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the entry is valid and every claim that was tried holds, by itself and all taken together."""
        each = bool(self.cells) and all(cell.holds(self.bit_for_bit) for cell in self.cells)
        return not self.problems and each and not self.flatters

    @property
    def flatters(self) -> bool:
        """Whether the claims, each close enough, are better than what was found by more than chance gives."""
        known = [cell.flattery for cell in self.cells if cell.flattery is not None]
        return not self.bit_for_bit and bool(known) and fsum(known) / len(known) > FLATTERY / math.sqrt(len(known))

    def as_json(self) -> dict[str, Any]:
        """What `lottery verify --json` prints."""
        return {
            "schema": 1,
            "file": str(self.path),
            "entry": self.entry,
            "seed": self.seed,
            "bit_for_bit": self.bit_for_bit,
            "machines": {"claimed": self.machines[0], "here": self.machines[1]},
            "holds": self.holds,
            "flatters": self.flatters,
            "problems": [{"check": finding.check, "line": finding.line} for finding in self.problems],
            "remarks": [{"check": finding.check, "line": finding.line} for finding in self.remarks],
            "cells": [self._cell_json(cell) for cell in self.cells],
        }

    def _cell_json(self, cell: CellCheck) -> dict[str, Any]:
        return {
            "cell": cell.name,
            "claimed": cell.claimed,
            "found": cell.found,
            "tolerance": cell.tolerance,
            "same_weights": cell.same_weights,
            "verdict": cell.verdict,
            "holds": cell.holds(self.bit_for_bit),
            "problem": cell.problem,
            "masks": [
                {"level": mask.level, "equal": mask.equal, "shared": mask.shared, "verdict": mask.verdict}
                for mask in cell.masks
            ],
        }

    def lines(self) -> list[str]:
        """For people: what was tried and found, the judgement last."""
        lines = [f"{finding.check}: {finding.line}" for finding in self.problems]
        lines += [f"remark, {finding.check}: {finding.line}" for finding in self.remarks]
        for cell in self.cells:
            lines.append(_cell_line(cell, cell.holds(self.bit_for_bit)))
            lines += [f"  {_mask_line(mask)}" for mask in cell.masks]
        if self.problems:
            return [*lines, f"{self.entry} is not valid: nothing was trained"]
        mode = (
            f"same machine type ({self.machines[1]}): anything but the same bits is a failure"
            if self.bit_for_bit
            else f"NOT bit for bit: made on {self.machines[0]}, this is {self.machines[1]}: close is enough"
        )
        failed = sum(not cell.holds(self.bit_for_bit) for cell in self.cells)
        judged = "the claims hold" if self.holds else f"{failed} of {len(self.cells)} cells are not as claimed"
        if self.flatters and not failed:
            judged = "every claim is close, but all together they are better than what was found, beyond chance"
        return [*lines, mode, f"{self.entry}: {judged} (cells drawn with seed {self.seed})"]


def tolerance(curve: Sequence[Sequence[float | None]], place: int, replicate: int, margin: float) -> float:
    """How far the score of another run of one replicate may be off: 95 % of two runs of this point differ by less.

    `curve` has the values of every density, `place` is the one in question. Student-t from the spread over replicates,
    pooled over the density and its `NEIGHBOURS`. The score in question is left out: a forged one would excuse itself.
    Where there is no spread it is the metric's margin.
    """
    squares, df = 0.0, 0
    for at in range(max(0, place - NEIGHBOURS), min(len(curve), place + NEIGHBOURS + 1)):
        known = [v for i, v in enumerate(curve[at]) if v is not None and (at, i) != (place, replicate)]
        if len(known) > 1:
            squares += variance(known) * (len(known) - 1)
            df += len(known) - 1
    if squares == 0:
        return margin
    return float(stdtrit(df, 0.975)) * math.sqrt(2 * squares / df)


def _cell_line(cell: CellCheck, holds: bool) -> str:
    if cell.problem:
        return f"✗ {cell.name}: {cell.problem}"
    weights = "the same weights" if cell.same_weights else "other weights"
    claimed, found = ("diverged" if value is None else f"{value:.6g}" for value in (cell.claimed, cell.found))
    near = "" if cell.verdict == "exact" else f" (tolerance {cell.tolerance:.3g})"
    return f"{'✓' if holds else '✗'} {cell.name}: {cell.verdict}: claimed {claimed}, found {found}{near}, {weights}"


def _mask_line(mask: MaskCheck) -> str:
    what = f"mask of level {mask.level} pruned from it"
    if mask.equal:
        return f"{what}: the same bits"
    if mask.shared is None:
        return f"{what}: differs: none like the ticket's could be made"
    return f"{what}: {mask.verdict}: shares {mask.shared:.1%} of its survivors with the ticket's"
