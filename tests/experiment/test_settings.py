"""A task's free tables are read strictly: what is misspelt, missing or of another kind is refused in one line."""

from collections.abc import Callable

import pytest

from suite.experiment.errors import UsageError
from suite.experiment.settings import Reader

TABLE = {"rate": 0.5, "layers": 3, "wide": 8.0, "tied": True, "init": "torch", "hidden": [4, 5.0], "pair": (1, 2)}


def reader() -> Reader:
    return Reader("model", TABLE)


def test_each_kind_is_read_as_itself() -> None:
    read = reader()
    assert read.number("rate", least=0, most=0.5) == 0.5
    assert read.number("warmup", 7) == 7
    assert (read.whole("layers", least=3), read.whole("wide")) == (3, 8)
    assert type(read.whole("wide")) is int
    assert read.flag("tied") is True
    assert read.word("init", ("glorot", "torch")) == "torch"
    assert read.wholes("hidden", least=4) == [4, 5]
    assert read.wholes("pair", count=2) == [1, 2]
    read.close()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda read: read.number("absent"), r"model\.absent is missing: a number is needed"),
        (lambda read: read.number("init"), r"model\.init = 'torch': a number is needed"),
        (lambda read: read.number("tied"), r"model\.tied = True: a number is needed"),
        (lambda read: read.number("rate", least=1), r"model\.rate = 0\.5: a number of at least 1 is needed"),
        (lambda read: read.number("layers", least=0, most=1), r"model\.layers = 3: a number from 0 to 1 is needed"),
        (lambda read: read.whole("absent"), r"model\.absent is missing: a whole number of at least 1 is needed"),
        (lambda read: read.whole("rate"), r"model\.rate = 0\.5: a whole number of at least 1 is needed"),
        (lambda read: read.whole("tied"), r"model\.tied = True: a whole number"),
        (lambda read: read.whole("hidden"), r"model\.hidden = \[4, 5\.0\]: a whole number"),
        (lambda read: read.whole("layers", least=4), r"model\.layers = 3: a whole number of at least 4 is needed"),
        (lambda read: read.wholes("layers"), r"model\.layers = 3: a list of whole numbers of at least 1 is needed"),
        (lambda read: read.wholes("hidden", least=5), r"a list of whole numbers of at least 5 is needed"),
        (lambda read: read.wholes("hidden", count=3), r"a list of 3 whole numbers of at least 1 is needed"),
        (lambda read: read.flag("layers"), r"model\.layers = 3: true or false is needed"),
        (lambda read: read.flag("absent"), r"model\.absent is missing: true or false is needed"),
        (lambda read: read.word("init", ["troch"]), r"model\.init = 'torch'; nearest: troch: one of troch"),
        (lambda read: read.word("hidden", ["torch"]), r"model\.hidden = \[4, 5\.0\]: one of torch"),
        (lambda read: read.word("absent", ["torch"]), r"model\.absent is missing: one of torch"),
    ],
)
def test_another_value_is_refused_by_name_with_what_is_needed(ask: Callable[[Reader], object], words: str) -> None:
    with pytest.raises(UsageError, match=f"{words}$" if words.endswith("needed") else words):
        ask(reader())


def test_what_nobody_asked_for_is_refused_with_the_nearest_that_somebody_did() -> None:
    read = Reader("model", {"hidden": 3, "dropoutt": 0.1})
    read.whole("hidden")
    read.number("dropout", 0)
    with pytest.raises(
        UsageError, match=r"^unknown setting model\.dropoutt; nearest: dropout: one of hidden, dropout$"
    ):
        read.close()
