"""What training an entry's cells again came to: per cell, mask and mean the verdict, and whether the claims hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from suite.experiment.plan import LADDER
from suite.experiment.result import Provenance
from suite.leaderboard.agreement import Contrast, Spread, contrasts
from suite.leaderboard.finding import Finding
from suite.leaderboard.schema import OWN, SOURCE
from suite.leaderboard.spending import CostCheck

Agreement = Literal["exact", "within", "differs"]
"""Of what is claimed and what is found: the same bits, near enough for another machine, or neither."""

Outcome = Literal["the claims hold", "scores hold, mask not made again", "the claims do not hold", "not valid"]

LEAST_SHARED = 0.9
"""Of the survivors of a mask that is made again on another type of machine, the fraction that must be the same."""

TELLING = 10_000
"""A mask of fewer prunable weights may come out equal on any machine, and says nothing of this one."""


ENOUGH_MASKS = 3
"""So many masks, all equal, say that this machine makes the entry's bits."""


@dataclass(frozen=True)
class MaskCheck:
    """The ticket's mask of a level, and the one pruned now: whether they are equal, and the survivors they share.

    `shared` is a fraction of the survivors; None when no mask could be made, or none of this shape. `telling`: it was
    pruned from trained weights and is large enough to tell machines apart.
    """

    level: int
    equal: bool
    shared: float | None
    telling: bool = False

    @property
    def agreement(self) -> Agreement:
        """`exact` for the same bits, `within` for enough shared survivors."""
        if self.equal:
            return "exact"
        return "within" if self.shared is not None and self.shared >= LEAST_SHARED else "differs"


@dataclass(frozen=True)
class CellCheck:
    """One cell: the score that the entry claims and the one found (None: diverged), and the masks pruned from it.

    `spread`: how far two runs of it may lie apart. `same_weights`: the trained weights have the digest claimed.
    `problem`: why the cell could not be trained. `sign` is -1 for a metric where lower is better.
    """

    arm: str
    level: int
    replicate: int
    claimed: float | None
    found: float | None
    spread: Spread
    same_weights: bool
    masks: tuple[MaskCheck, ...] = ()
    problem: str = ""
    sign: int = 1

    @property
    def name(self) -> str:
        """As the command line names it: arm:level:replicate."""
        return f"{self.arm}:{self.level}:{self.replicate}"

    @property
    def difference(self) -> float | None:
        """How much better the claim is than what was found; None where there is no such number."""
        if self.claimed is None or self.found is None:
            return None
        return self.sign * (self.claimed - self.found)

    def agreement(self, tolerance: float) -> Agreement:
        """`exact` for the same weights and score, `within` for a score no further off than the tolerance."""
        if self.problem:
            return "differs"
        if self.same_weights and self.claimed == self.found:
            return "exact"
        if self.difference is None:
            return "within" if self.claimed is self.found else "differs"
        assert self.claimed is not None
        assert self.found is not None
        if self.same_weights and not math.isclose(self.claimed, self.found, rel_tol=1e-4):
            return "differs"  # whatever the machine: one network has one score
        return "within" if abs(self.difference) <= tolerance else "differs"

    def holds(self, bit_for_bit: bool, tolerance: float) -> bool:
        """Whether score and masks are as claimed."""
        enough = ("exact",) if bit_for_bit else ("exact", "within")
        return all(one in enough for one in (self.agreement(tolerance), *(mask.agreement for mask in self.masks)))


def bits_owed(same_machine: bool, cells: Sequence[CellCheck], machines: int = 1) -> str:
    """Why all bits of an entry must come out here, whatever it says of its hardware; empty where others may.

    They may where `machines` of several types made it: some of its cells are those of another one.
    One cell's weights tell. Masks do if all of them came out, three or more: single ones do on other machines too
    (of four masks of 266,200 weights that another processor had made, one).
    """
    if machines > 1:
        return ""
    if same_machine:
        return "same machine type"
    for cell in cells:
        if cell.same_weights and cell.found is not None:
            return f"the weights of {cell.name} came out bit for bit here"
    telling = [mask.equal for cell in cells for mask in cell.masks if mask.telling]
    if len(telling) >= ENOUGH_MASKS and all(telling):
        return f"all {len(telling)} masks made again came out bit for bit here"
    return ""


@dataclass(frozen=True)
class Verification:
    """An entry's cells trained again.

    `owed` says why anything but the same bits is a failure (empty: it is not); `machines` are the entry's and this one.
    `seed` draws the same cells again; `chance` is the least chance that one changed cell was among those drawn (None:
    they were named). `unmade` says why no mask could be made again; `here` is this machine's provenance. An entry with
    `problems` is not trained at all.
    """

    path: Path
    entry: str
    seed: int
    owed: str
    machines: tuple[str, str]
    cells: tuple[CellCheck, ...]
    margin: float = 0.0
    chance: float | None = None
    costs: tuple[CostCheck, ...] = ()
    unmade: str = ""
    here: Provenance | None = None
    problems: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()

    @property
    def bit_for_bit(self) -> bool:
        """Whether anything but the same bits is a failure."""
        return bool(self.owed)

    def tolerance(self, cell: CellCheck) -> float:
        """How far the score of a cell may be off where other bits are owed; all cells are judged together."""
        return cell.spread.tolerance(len(self.cells))

    def as_claimed(self, cell: CellCheck) -> bool:
        """Whether a cell and the masks pruned from it hold."""
        return cell.holds(self.bit_for_bit, self.tolerance(cell))

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Means over the cells that have a number on both sides; none where bits are owed."""
        if self.bit_for_bit:
            return ()
        differences: dict[str, list[tuple[float, Spread]]] = {}
        for cell in self.cells:
            if cell.difference is not None:
                differences.setdefault(cell.arm, []).append((cell.difference, cell.spread))
        return contrasts(differences, LADDER, self.margin, (SOURCE, OWN))

    @property
    def outcome(self) -> Outcome:
        """The judgement: every cell, mean and cost that was tried by itself, and the masks made again at all."""
        if self.problems:
            return "not valid"
        tried = [self.as_claimed(cell) for cell in self.cells]
        tried += [mean.holds for mean in self.contrasts]
        tried += [cost.holds for cost in self.costs]
        if not self.cells or not all(tried):
            return "the claims do not hold"
        return "scores hold, mask not made again" if self.unmade else "the claims hold"

    @property
    def holds(self) -> bool:
        """Whether nothing of the claims that were tried is left open."""
        return self.outcome == "the claims hold"
