"""The counting models against arithmetic by hand, and as distributions."""

import math
import random
from collections.abc import Callable

import pytest

from domains.nlp.baselines import KneserNey, Unigram, reference
from suite.experiment.runtime import HERE
from suite.experiment.taskfile import Task

Tasks = Callable[..., Task]
A, B, C = 3, 4, 5


def test_unigram_adds_one() -> None:
    model = Unigram([A, A, B], size=6)
    assert model.probability(A) == 3 / 9
    assert model.probability(C) == 1 / 9
    assert model.log_perplexity([A, C]) == pytest.approx(-(math.log(3 / 9) + math.log(1 / 9)) / 2)


def test_bigram_by_hand() -> None:
    # Stream: <eos> A B A C. Too little to estimate discounts from: .75 everywhere.
    model = KneserNey([A, B, A, C], size=6, order=2)
    # Continuation counts: A after <eos> and B: 2; B after A: 1; C after A: 1. Total 4, three types.
    uniform = 1 / 6
    b = (1 - 0.75 + 3 * 0.75 * uniform) / 4
    assert model.probability(B, ()) == pytest.approx(b)
    # After A: B once, C once.
    assert model.probability(B, (A,)) == pytest.approx((1 - 0.75 + 2 * 0.75 * b) / 2)
    unseen = (0 + 3 * 0.75 * uniform) / 4
    assert model.probability(0, (A,)) == pytest.approx(2 * 0.75 * unseen / 2)
    assert model.probability(B, (C,)) == pytest.approx(b)  # a context never seen leaves it to the lower order


def test_discounts_by_hand() -> None:
    # Unigrams only: 6 types once, 2 twice, 1 three times, 1 four times; equation 26 of Chen and Goodman.
    text = [*range(10, 16), 20, 20, 21, 21, *[30] * 3, *[40] * 4]
    table = KneserNey(text, size=50, order=1)._tables[1]
    ratio = 6 / (6 + 2 * 2)
    expected = [1 - 2 * ratio * 2 / 6, 2 - 3 * ratio * 1 / 2, 3 - 4 * ratio * 1 / 1]
    assert [table.discount(n) for n in (1, 2, 3, 4)] == pytest.approx([*expected, expected[2]])


def test_trigram_is_a_distribution_after_any_context() -> None:
    generator = random.Random(0)
    model = KneserNey([generator.choices(range(20), range(20))[0] for _ in range(2_000)], size=20)
    for context in [(), (3,), (7, 19), (19, 18), (0, 0)]:
        assert math.fsum(model.probability(token, context) for token in range(20)) == pytest.approx(1)


def test_reference_reads_the_test_text_and_ranks_the_models(task: Tasks) -> None:
    found = reference(task("kjv-lstm", "quick").spec, HERE)
    values = {name: scores["log_perplexity"] for name, scores in found.items()}
    assert values["trigram"] < values["unigram"] < math.log(256)
    assert found["trigram"]["perplexity"] == pytest.approx(math.exp(values["trigram"]))
