"""What counting words achieves: unigram and trigram models, scored on the very tokens the network is scored on."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from domains.nlp.data import EOS, Corpus
from domains.nlp.datasets import corpus
from suite.experiment.runtime import Runtime
from suite.experiment.task import TaskSpec

Gram = tuple[int, ...]


def reference(spec: TaskSpec, runtime: Runtime) -> dict[str, dict[str, float]]:
    """Test scores of the `unigram` and the `trigram` model of the task's training text, named as the learner's."""
    text: Corpus = corpus(spec.data, runtime.data)
    train, test = text.tokens["train"].tolist(), text.tokens["test"].tolist()
    found = {
        "unigram": Unigram(train, text.size).log_perplexity(test),
        "trigram": KneserNey(train, text.size).log_perplexity(test),
    }
    return {name: {"log_perplexity": value, "perplexity": math.exp(value)} for name, value in found.items()}


class Unigram:
    """Relative frequency with one added to the count of each of `size` types (Laplace)."""

    def __init__(self, train: Sequence[int], size: int) -> None:
        self._counts, self._total = Counter(train), len(train) + size

    def probability(self, token: int) -> float:
        """Probability of a token."""
        return (self._counts[token] + 1) / self._total

    def log_perplexity(self, tokens: Sequence[int]) -> float:
        """Mean negative log probability in nats per token."""
        return -sum(math.log(self.probability(token)) for token in tokens) / len(tokens)


class KneserNey:
    """Interpolated, modified Kneser-Ney model (Chen and Goodman 1998, section 3, equations 24-26), of order 3.

    Below the highest order a gram counts once for each different token seen before it. The lowest order is mixed with
    the uniform distribution over `size` types. Text is one stream; before its start there are ends of sentences.
    """

    def __init__(self, train: Sequence[int], size: int, order: int = 3) -> None:
        self._size, self._order = size, order
        stream = [EOS] * (order - 1) + list(train)
        counts = Counter(tuple(stream[i : i + order]) for i in range(len(train)))
        self._tables: dict[int, _Table] = {}
        for length in range(order, 0, -1):
            self._tables[length] = _Table(counts)
            counts = Counter(gram[1:] for gram in counts)

    def probability(self, token: int, context: Gram) -> float:
        """Probability of a token after a context of at most `order - 1` tokens."""
        table = self._tables[len(context) + 1]
        lower = self.probability(token, context[1:]) if context else 1 / self._size
        total = table.totals.get(context)
        if total is None:
            return lower
        count = table.counts.get((*context, token), 0)
        return (count - table.discount(count) + table.discounted[context] * lower) / total

    def log_perplexity(self, tokens: Sequence[int]) -> float:
        """Mean negative log probability in nats per token."""
        width = self._order - 1
        stream = [EOS] * width + list(tokens)
        scores = (
            math.log(self.probability(stream[i], tuple(stream[i - width : i]))) for i in range(width, len(stream))
        )
        return -sum(scores) / len(tokens)


class _Table:
    """Counts of one order, and per context their sum and the mass that discounting takes from it."""

    def __init__(self, counts: Counter[Gram]) -> None:
        self.counts = counts
        ones, twos, threes, fours = (sum(c == n for c in counts.values()) for n in (1, 2, 3, 4))
        self._discounts = (0.0, 0.75, 0.75, 0.75)  # Ney's usual one, where counts are too few to estimate them
        if ones and twos and threes:
            ratio = ones / (ones + 2 * twos)
            estimates = 1 - 2 * ratio * twos / ones, 2 - 3 * ratio * threes / twos, 3 - 4 * ratio * fours / threes
            if all(0 < estimate <= n for n, estimate in enumerate(estimates, 1)):
                self._discounts = (0.0, *estimates)
        self.totals: defaultdict[Gram, int] = defaultdict(int)
        self.discounted: defaultdict[Gram, float] = defaultdict(float)
        for gram, count in counts.items():
            self.totals[gram[:-1]] += count
            self.discounted[gram[:-1]] += self.discount(count)

    def discount(self, count: int) -> float:
        """What is taken from a count: D1, D2 or D3+ of Chen and Goodman's equation 26."""
        return self._discounts[min(count, 3)]
