"""Seeds: every source of randomness of a replicate has a stream of its own, rooted in the task's hash."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final, Literal

Purpose = Literal["init", "data", "dropout", "environment", "permutation", "reinit", "evaluation", "score"]

OF_A_CHILD: Final = ("data", "dropout", "environment")
"""Purposes that differ between the children of one ticket; all others they share."""


@dataclass(frozen=True)
class Streams:
    """The seeds of one training run.

    Equal over the levels and arms of a replicate, so that differences between arms are paired. The arms that draw new
    weights hand the learner a `fresh()` copy, whose `init` seed is the replicate's `reinit` seed. `child` tells the
    children of a connectivity test apart; 0 is every other run.
    """

    task_hash: str
    replicate: int
    init_from: Purpose = "init"
    child: int = 0

    def seed(self, purpose: Purpose, *index: int) -> int:
        """Seed in [0, 2**63) for a purpose, and for an index within it (an epoch, a step, a level)."""
        name: str = self.init_from if purpose == "init" else purpose
        if self.child and purpose in OF_A_CHILD:
            name = f"{name} of child {self.child}"
        text = "/".join((self.task_hash, str(self.replicate), name, *map(str, index)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

    def fresh(self) -> "Streams":
        """The same streams with initial weights drawn anew: one draw per replicate."""
        return replace(self, init_from="reinit")
