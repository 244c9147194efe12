"""BLEU and chrF by sacrebleu, and how it was set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

Tokens = Literal["char", "13a"]
"""What BLEU counts: characters, or the words and signs that sacrebleu's `13a`, mteval's way, cuts."""


def text_scores(hypotheses: Sequence[str], references: Sequence[str], tokens: Tokens) -> dict[str, float]:
    """Corpus BLEU and chrF (Post 2018; Popovic 2015), 0 to 100.

    Raises ValueError for lists of unequal length, of which sacrebleu would compare the shorter one's alone.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references: one for each is needed")
    return {
        name: float(metric.corpus_score(hypotheses, [references]).score) for name, metric in _metrics(tokens).items()
    }


def signatures(tokens: Tokens) -> dict[str, str]:
    """sacrebleu's signatures of `bleu` and `chrf`: settings and version."""
    found: dict[str, str] = {}
    for name, metric in _metrics(tokens).items():
        metric.corpus_score(["a"], [["a"]])  # a signature counts the references of the last score
        found[name] = str(metric.get_signature())
    return found


def _metrics(tokens: Tokens) -> "dict[str, BLEU | CHRF]":
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return {"bleu": BLEU(tokenize=tokens), "chrf": CHRF()}
