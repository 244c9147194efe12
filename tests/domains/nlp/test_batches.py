"""Batches by tokens, gradients of several batches, and smoothed labels, against fairseq's own definitions."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from domains.nlp.batches import TokenBatches
from domains.nlp.data import PAD
from domains.nlp.learner import TranslationLearner
from suite.experiment.errors import UsageError

Make = Callable[..., TranslationLearner]

SOURCE = torch.randint(1, 12, (200,), generator=torch.Generator().manual_seed(0))
TARGET = torch.randint(1, 15, (200,), generator=torch.Generator().manual_seed(1))


def batches(most_tokens: int = 40, most_pairs: int = 100, parts: int = 1) -> TokenBatches:
    return TokenBatches(
        SOURCE, TARGET, most_tokens, most_pairs, parts, lambda epoch: torch.Generator().manual_seed(epoch + 7)
    )


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("epoch", [0, 2])
def test_every_pair_is_in_one_batch_of_an_epoch(parts: int, epoch: int) -> None:
    cut = batches(parts=parts)
    steps = [cut.rows(epoch * cut.epoch_steps + step) for step in range(cut.epoch_steps)]
    assert all(len(step) == parts for step in steps[:-1])
    assert 1 <= len(steps[-1]) <= parts
    assert sorted(row for step in steps for rows in step for row in rows.tolist()) == list(range(200))


def test_no_batch_has_more_places_or_pairs_than_allowed() -> None:
    cut = batches(most_tokens=40, most_pairs=6)
    for step in range(cut.epoch_steps):
        (rows,) = cut.rows(step)
        assert len(rows) <= 6
        assert len(rows) * int(torch.maximum(SOURCE, TARGET)[rows].max()) <= 40


def test_pairs_of_a_batch_are_neighbours_in_length_and_batches_come_in_a_drawn_order() -> None:
    cut = batches()
    spans = [sorted(SOURCE[cut.rows(step)[0]].tolist()) for step in range(cut.epoch_steps)]
    in_order = sorted(spans)
    assert all(one[-1] <= other[0] for one, other in pairwise(in_order))
    assert spans != in_order
    again = [sorted(SOURCE[cut.rows(cut.epoch_steps + step)[0]].tolist()) for step in range(cut.epoch_steps)]
    assert sorted(again) == in_order
    assert again != spans
    groups = {frozenset(cut.rows(step)[0].tolist()) for step in range(3 * cut.epoch_steps)}
    assert len(groups) > cut.epoch_steps  # which of equally long pairs are together is drawn anew


def test_a_step_has_its_batches_whatever_was_asked_for_before() -> None:
    late, whole = batches(parts=2), batches(parts=2)
    seen = [whole.rows(step) for step in range(2 * whole.epoch_steps)]
    step = whole.epoch_steps + 1
    assert [rows.tolist() for rows in late.rows(step)] == [rows.tolist() for rows in seen[step]]


def test_a_pair_longer_than_a_batch_is_refused() -> None:
    with pytest.raises(UsageError, match=r"max_tokens = 10: a training pair has 14 tokens on a side: raise it, or"):
        batches(most_tokens=10)


def test_gradients_of_several_batches_are_those_of_all_their_tokens_together(learner: Make) -> None:
    changes = {"model__dropout": 0.0, "training__settings__max_tokens": 60}
    many = learner("multi30k-transformer", training__settings__accumulate=3, **changes)
    several = many.batches(0)
    assert len(several) == 3
    assert len({source.shape for source, _ in several}) > 1
    many.model.train()
    loss = many.loss(0)
    loss.backward()
    found = {name: parameter.grad for name, parameter in many.model.named_parameters()}
    many.model.zero_grad()
    tokens = sum(int((target != PAD).sum()) for _, target in several)
    parts = [many.mean_loss(source, target) * int((target != PAD).sum()) / tokens for source, target in several]
    torch.stack(parts).sum().backward()
    torch.testing.assert_close(loss, torch.stack(parts).sum())
    for name, parameter in many.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_several_batches_need_to_be_cut_by_tokens(learner: Make) -> None:
    with pytest.raises(UsageError, match=r"accumulate = 2 without max_tokens: give it, or a larger training\.batch"):
        learner("numbers-transformer", training__settings__accumulate=2)


def test_smoothed_labels_are_fairseqs(learner: Make) -> None:
    """label_smoothed_nll_loss: the target's log probability, and eps / (types - 1) of every other type's."""
    made = learner("multi30k-transformer", training__settings__label_smoothing=0.1, model__dropout=0.0)
    source, target = made.batches(0)[0]
    logs = F.log_softmax(made.model(source, target), -1)[target != PAD]
    right = logs.gather(1, target[target != PAD][:, None])[:, 0]
    others = logs.sum(1) - right
    expected = -(0.9 * right + 0.1 / (logs.shape[1] - 1) * others).mean()
    torch.testing.assert_close(made.mean_loss(source, target), expected)


def test_the_steps_of_an_epoch_by_tokens_are_known_with_the_pairs_alone(learner: Make) -> None:
    with pytest.raises(UsageError, match=r"max_tokens = 120: how many such batches there are .* give total_steps"):
        learner("multi30k-transformer", training__epochs=2)


def test_probes_are_batches_by_tokens_that_no_epoch_has(learner: Make) -> None:
    made = learner("multi30k-transformer")
    rows = [made._rows_of(-1 - number)[0].tolist() for number in range(2)]
    assert rows[0] != rows[1]
    losses = [probe.loss().item() for probe in made.probes(2)]
    made.model.eval()
    expected = [made.mean_loss(*made._padded(torch.tensor(each))).item() for each in rows]
    assert losses == expected
