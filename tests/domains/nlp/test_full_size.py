"""One training step of the papers' networks at their full size, on a batch that a test can afford."""

import math
from collections.abc import Callable

import pytest
import torch

from domains.nlp import learner as learners
from domains.nlp.data import SPECIAL, SPLITS, Corpus, Pairs, Sentences
from domains.nlp.datasets.wikitext2 import WikiText2
from domains.nlp.subwords import byte_pairs
from suite.experiment.learner import Span
from suite.experiment.loading import builder
from suite.experiment.registry import Registry
from suite.experiment.runtime import HERE
from suite.experiment.streams import Streams
from suite.experiment.supervised import SupervisedLearner
from suite.tickets.enforce import enforce
from suite.tickets.mask import Mask

TYPES = 32_768
Tasks = Callable[..., SupervisedLearner]


def built(task: str, changes: dict[str, object]) -> SupervisedLearner:
    spec = Registry().find(task).at("paper", changes).spec
    made = builder(spec)(spec, Streams(spec.hash, 1000), Span(0, 1), HERE)
    assert isinstance(made, SupervisedLearner)
    return made


def masked_step(made: SupervisedLearner) -> float:
    """Loss of a step under a mask that every second weight is out of: those stay 0, and nearly all others move.

    Of an embedding that is not tied to the softmax layer only the rows of words that were read do.
    """
    generator = torch.Generator().manual_seed(0)
    dense = Mask.dense(made.model, made._spec.prunable)
    mask = Mask({name: torch.rand(kept.shape, generator=generator) < 0.5 for name, kept in dense.items()})
    weights = {name: parameter.detach() for name, parameter in made.model.named_parameters()}
    with enforce(made.model, made.optimizer, mask):
        before = {name: weights[name].clone() for name in mask}
        made.advance(1)
    for name, kept in mask.items():
        assert not weights[name][~kept].any(), name
        moved = (weights[name] != before[name])[kept].float().mean()
        assert moved > (0.02 if name == "embedding.weight" else 0.9), name
    return made.trace()[0]["loss"]


def test_transformer_big_takes_a_masked_step(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(len(SPECIAL), TYPES, (7,), generator=generator).tolist() for _ in range(2)]
    sentences = {split: Sentences.of(rows) for split in SPLITS}
    pairs = Pairs(sentences, sentences, {}, byte_pairs(["a"], 8), TYPES, "")
    monkeypatch.setattr(learners, "pairs", lambda *_: pairs)
    made = built("nlp/wmt14-transformer-big", {"training.settings.accumulate": 1, "training.schedule.start": 1.0})
    assert round(sum(parameter.numel() for parameter in made.model.parameters()) / 1e6, 1) == 209.9
    assert masked_step(made) == pytest.approx(math.log(TYPES), rel=0.2)


def test_the_papers_lstm_takes_a_masked_step_with_its_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 33_278
    text = torch.randint(size, (WikiText2.published_length,), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(learners, "corpus", lambda *_: Corpus(dict.fromkeys(SPLITS, text), size))
    made = built("nlp/wikitext2-lstm", {})
    shapes = {name: tuple(value.shape) for name, value in made.model.named_parameters()}
    assert shapes["embedding.weight"] == shapes["decoder.weight"] == (size, 650)
    assert shapes["lstm.weight_hh_l1"] == (4 * 650, 650)
    assert set(made._spec.prunable) == shapes.keys()  # P2: all weights, biases included
    assert masked_step(made) == pytest.approx(math.log(size), rel=0.01)
