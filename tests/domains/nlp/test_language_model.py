"""The LSTM learner: batches, carried state, evaluation of every token once."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from domains.nlp.data import EOS
from domains.nlp.learner import LanguageModelLearner
from domains.nlp.models import LanguageModel
from domains.nlp.models.lstm import LSTMLanguageModel
from suite.experiment.errors import UsageError

Make = Callable[..., LanguageModelLearner]


def test_targets_are_the_inputs_one_token_later(learner: Make) -> None:
    made = learner("kjv-lstm")
    inputs, targets = made.batch(3)
    assert inputs.shape == targets.shape == (8, 4)
    assert torch.equal(inputs[1:], targets[:-1])


def test_an_epoch_reads_the_text_in_columns_that_go_on(learner: Make) -> None:
    made = learner("kjv-lstm")
    windows = [made.batch(step)[0] for step in range(made._epoch_steps)]
    columns = torch.cat(windows).T.flatten().tolist()
    text = made._text.tokens["train"].tolist() * 2
    rows = len(columns) // 4
    for column in range(4):
        piece = columns[column * rows : (column + 1) * rows]
        assert any(text[i : i + rows] == piece for i in range(len(text) // 2))


def test_the_hidden_state_is_carried_on_within_an_epoch(learner: Make) -> None:
    carried, fresh = learner("kjv-lstm"), learner("kjv-lstm")
    for made in (carried, fresh):
        made.advance(5)
    fresh._state = None
    assert carried.loss(5).item() != fresh.loss(5).item()


def test_the_hidden_state_starts_from_zeros_at_an_epoch_and_at_the_first_step(learner: Make) -> None:
    made = learner("kjv-lstm", last=200)
    made.advance(5)
    boundary = made._epoch_steps
    loss = made.loss(boundary).item()
    made._state = None
    assert made.loss(boundary).item() == loss
    assert learner("kjv-lstm", first=7)._state is None


@pytest.mark.parametrize("columns", [1, 7])
def test_evaluation_scores_every_token_once(learner: Make, columns: int) -> None:
    made = learner("kjv-lstm", training__settings__evaluation_columns=columns)
    made.advance(10)
    tokens = made._text.tokens["test"]
    rows = math.ceil(len(tokens) / columns)
    shifted = torch.cat([torch.tensor([EOS]), tokens[:-1]])
    total = 0.0
    with torch.no_grad():
        for first in range(0, len(tokens), rows):
            scores, _ = made.model(shifted[first : first + rows, None])
            total += F.cross_entropy(scores[:, 0], tokens[first : first + rows], reduction="sum").item()
    found = made.evaluate("test")
    assert found["log_perplexity"] == pytest.approx(total / len(tokens), rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(found["log_perplexity"]))


def test_tying_needs_equal_widths() -> None:
    settings = {"embedding": 8, "hidden": 16, "layers": 1, "dropout": 0.0, "tied": True, "init": 0.1}
    with pytest.raises(UsageError, match=r"^model\.tied = true with embedding = 8, hidden = 16: make them equal$"):
        LanguageModel.of(settings)


def test_a_softmax_layer_of_its_own_is_a_setting() -> None:
    model = LSTMLanguageModel(10, 8, 16, 2, 0.0, tied=False, init=0.1)
    scores, (hidden, cell) = model(torch.zeros(3, 2, dtype=torch.long))
    assert scores.shape == (3, 2, 10)
    assert hidden.shape == cell.shape == (2, 2, 16)
    assert {"decoder.weight", "decoder.bias"} <= dict(model.named_parameters()).keys()


def test_a_batch_wider_than_the_text_is_refused(learner: Make) -> None:
    with pytest.raises(UsageError, match="exceed the text"):
        learner("kjv-lstm", training__batch=10_000)
