"""Beam search: against trying every translation, one by one, and against greedy decoding."""

from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from domains.nlp.beam import Beam, largest
from domains.nlp.data import EOS, PAD
from domains.nlp.models.transformer import Transformer
from suite.experiment.errors import Diverged

TYPES = 6


def model(types: int = TYPES) -> Transformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        made = Transformer(
            types, width=16, heads=2, inner=32, encoder_layers=1, decoder_layers=2, dropout=0.0,
            normalize_before=True, shared=True,
        )  # fmt: skip
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return made.eval()


SOURCE = torch.tensor([[5, 3, 4, EOS], [2, 4, EOS, PAD], [3, EOS, PAD, PAD]])


def log_probability(network: Transformer, source: Tensor, words: tuple[int, ...]) -> float:
    target = torch.tensor([[*words, EOS]])
    with torch.no_grad():
        logs = network(source, target).log_softmax(-1)[0]
    return float(logs.gather(1, target[0][:, None]).sum())


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_all_translations_finds_the_best_of_them(penalty: float) -> None:
    network, longest = model(), 3
    others = [token for token in range(TYPES) if token not in (EOS, PAD)]
    every = [words for n in range(1, longest + 1) for words in product(others, repeat=n)]
    found = Beam(len(every), penalty, longest).search(network, SOURCE)
    for source, words in zip(SOURCE, found, strict=True):
        alone = source[source != PAD][None]
        best = max(every, key=lambda each: log_probability(network, alone, each) / (len(each) + 1) ** penalty)
        assert tuple(words) == best


class Table:
    """Stands for a network: the probabilities of <eos>, 2 and 3 after each token, whatever the source."""

    decoder = SimpleNamespace(layers=[])

    def __init__(self, after: dict[int, tuple[float, float, float]]) -> None:
        self._logs = torch.full((4, 4), -torch.inf)
        self._logs[PAD] = 0.0
        for token, probabilities in after.items():
            self._logs[token, 1:] = torch.tensor(probabilities).log()

    def encode(self, source: Tensor) -> tuple[list[object], Tensor]:
        return [], source[:, None, None]

    def step(self, tokens: Tensor, *_: object) -> Tensor:
        return self._logs[tokens]


@pytest.mark.parametrize(("penalty", "best"), [(0.0, [2]), (0.6, [2]), (1.0, [2, 3, 2])])
def test_the_penalty_decides_between_short_and_long_by_arithmetic(penalty: float, best: list[int]) -> None:
    """Of [2], [3, 2] and [2, 3, 2] with probabilities .3, .2 and .15 and, their ends counted, 2, 3 and 4 tokens."""
    network: Any = Table({EOS: (0.0, 0.6, 0.4), 2: (0.5, 0.0, 0.5), 3: (0.0, 1.0, 0.0)})
    assert Beam(4, penalty, 3).search(network, torch.tensor([[EOS]])) == [best]


def test_a_narrow_beam_stops_at_its_first_finished_hypotheses() -> None:
    """As in fairseq: with one hypothesis [2] ends first; [2, 2], of more worth here, is not looked for."""
    network: Any = Table({EOS: (0.0, 0.6, 0.4), 2: (0.5, 0.3, 0.2), 3: (0.0, 1.0, 0.0)})
    assert Beam(1, 3.0, 4).search(network, torch.tensor([[EOS]])) == [[2]]


def test_one_hypothesis_is_greedy_decoding_of_translations_that_are_not_empty() -> None:
    network = model(20)
    source = torch.randint(2, 20, (6, 5), generator=torch.Generator().manual_seed(0))
    found = Beam(1, 1.0, 8).search(network, source)
    greedy = network.greedy(source, 8).tolist()
    compared = 0
    for words, row in zip(found, greedy, strict=True):
        if EOS in row and row[0] != EOS:
            assert words == row[: row.index(EOS)]
            compared += 1
        elif EOS not in row:
            assert words == row
            compared += 1
    assert compared >= 3


def test_scores_that_are_not_finite_are_a_divergence() -> None:
    network = model(20)
    with torch.no_grad():
        for large in (network.decoder.layer_norm, network.encoder.embed_tokens):
            assert isinstance(large.weight, Tensor)
            large.weight.mul_(1e30)  # finite, unlike their product
    source = torch.tensor([[5, 6, EOS]])
    for search in (partial(Beam(2, 0.6, 4).search, network), partial(network.greedy, longest=4)):
        with pytest.raises(Diverged, match="scores of a translation are not finite"):
            search(source)


def test_sentences_searched_together_are_those_searched_alone() -> None:
    network, beam = model(), Beam(3, 0.6, 5)
    together = beam.search(network, SOURCE)
    assert together == [beam.search(network, row[row != PAD][None])[0] for row in SOURCE]
    assert len({len(words) for words in together}) > 1  # they end at different places


def test_no_translation_is_empty_or_longer_than_allowed() -> None:
    network = model()
    with torch.no_grad():
        network.encoder.embed_tokens.weight[EOS] *= 40  # type: ignore[union-attr, index]
    for longest in (1, 4):
        found = Beam(2, 1.0, longest).search(network, SOURCE)
        assert all(1 <= len(words) <= longest for words in found)
        assert all(PAD not in words and EOS not in words for words in found)


@pytest.mark.parametrize("n", [5, 60, 997, 6000])
def test_the_largest_values_are_those_of_topk(n: int) -> None:
    values = torch.randn(7, n, generator=torch.Generator().manual_seed(n))
    values[0, 2:] = -torch.inf
    values[1] = 1.0  # ties: any places with that value
    best, places = largest(values, 4)
    assert torch.equal(best, values.topk(4).values)
    assert torch.equal(values.gather(1, places), best)
    assert all(len(set(row)) == 4 for row in places.tolist())
