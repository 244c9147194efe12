"""Batches of sentence pairs by the number of their tokens (fairseq's `--max-tokens`, but no multiples of 8)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from suite.experiment.errors import UsageError


class TokenBatches:
    """Pairs of like length in batches of at most `most_tokens` places on the longer side, padding counted.

    Pairs are sorted by source and then target length, those of equal lengths in an order drawn anew for each epoch, and
    cut where the next pair would exceed `most_tokens` or `most_pairs`; so cuts are the same in every epoch, and every
    pair is in one batch of it. The order of the batches is drawn too. A step takes `parts` batches; the last step of an
    epoch takes what is left.
    """

    def __init__(
        self, source: Tensor, target: Tensor, most_tokens: int, most_pairs: int, parts: int,
        generator: Callable[[int], torch.Generator],
    ) -> None:  # fmt: skip
        self._rank = source * (int(target.max()) + 1) + target
        in_order = self._rank.argsort()
        longer = torch.maximum(source, target)
        if int(longer.max()) > most_tokens:
            raise UsageError(
                f"training.settings.max_tokens = {most_tokens}: a training pair has {int(longer.max())} tokens on a "
                "side: raise it, or leave such pairs out (multi30k and wmt14 do so by data.settings.longest)"
            )
        self._cuts = _cuts(longer[in_order].tolist(), most_tokens, most_pairs)
        self._parts, self._generator = parts, generator
        self.epoch_steps = math.ceil(len(self._cuts) / parts)
        self._epoch: tuple[int, Tensor, list[int]] | None = None

    def rows(self, step: int) -> list[Tensor]:
        """Row numbers of each batch of a step."""
        epoch, place = divmod(step, self.epoch_steps)
        if self._epoch is None or self._epoch[0] != epoch:
            generator = self._generator(epoch)
            drawn = torch.randperm(len(self._rank), generator=generator)
            in_order = drawn[self._rank[drawn].argsort(stable=True)]
            self._epoch = epoch, in_order, torch.randperm(len(self._cuts), generator=generator).tolist()
        _, in_order, batches = self._epoch
        taken = batches[place * self._parts : (place + 1) * self._parts]
        return [in_order[slice(*self._cuts[batch])] for batch in taken]


def _cuts(lengths: list[int], most_tokens: int, most_pairs: int) -> list[tuple[int, int]]:
    """First and last (exclusive) place of each batch."""
    found: list[tuple[int, int]] = []
    first, longest = 0, 0
    for place, length in enumerate(lengths):
        longest = max(longest, length)
        pairs = place - first + 1
        if pairs > most_pairs or pairs * longest > most_tokens:
            found.append((first, place))
            first, longest = place, length
    return [*found, (first, len(lengths))]
