"""Splits share nothing, the fingerprint is checked, and pieces join to the text they were cut from."""

from collections.abc import Callable

import pytest

from domains.nlp import data
from domains.nlp.datasets import TextDataset, corpus, pairs
from domains.nlp.datasets.kjv import KingJames
from domains.nlp.datasets.number_words import NumberWords, draw
from suite.experiment.errors import RunError, UsageError
from suite.experiment.taskfile import Task

Tasks = Callable[..., Task]
SCALES = ("lite", "quick", "smoke")


@pytest.mark.parametrize("scale", SCALES)
def test_no_verse_is_in_two_splits(task: Tasks, scale: str) -> None:
    spec = task("kjv-lstm", scale).spec.data
    verses = KingJames.of_data(spec.name, spec.settings).verses()
    assert all(verses[split] for split in data.SPLITS)
    assert len(set().union(*verses.values())) == sum(map(len, verses.values()))


@pytest.mark.parametrize("scale", SCALES)
def test_chapters_are_held_out_whole(task: Tasks, scale: str) -> None:
    spec = task("kjv-lstm", scale).spec.data
    verses = KingJames.of_data(spec.name, spec.settings).verses()
    chapters = [{verse // 1_000 for verse in verses[split]} for split in data.SPLITS]
    assert len(set().union(*chapters)) == sum(map(len, chapters))


@pytest.mark.parametrize("changes", [{"test": []}, {"validation": []}, {"books": [65, 65]}])
def test_a_split_without_a_verse_is_refused(task: Tasks, changes: dict[str, object]) -> None:
    settings = {**task("kjv-lstm").spec.data.settings, **changes}
    with pytest.raises(UsageError, match=r"kjv: books \d+ to \d+ leave no verse in (validation|test): take more books"):
        TextDataset.of_data("kjv", settings).load(None)


@pytest.mark.parametrize("scale", SCALES)
def test_no_number_is_in_two_splits(task: Tasks, scale: str) -> None:
    spec = task("numbers-transformer", scale).spec.data
    numbers = NumberWords.of_data(spec.name, spec.settings).numbers()
    everything = [n for split in data.SPLITS for n in numbers[split]]
    assert len(set(everything)) == len(everything) == sum(len(numbers[split]) for split in data.SPLITS)


def test_every_verse_ends_once(task: Tasks) -> None:
    spec = task("kjv-lstm").spec.data
    text, verses = corpus(spec), KingJames.of_data(spec.name, spec.settings).verses()
    for split in data.SPLITS:
        assert int((text.tokens[split] == data.EOS).sum()) == len(verses[split])


def test_evaluation_tokens_cut_validation_and_test_alone(task: Tasks) -> None:
    spec = task("kjv-lstm").spec.data
    whole = corpus(spec)
    cut = TextDataset.of_data(spec.name, {**spec.settings, "evaluation_tokens": 50}).load(None)
    assert (len(cut.tokens["validation"]), len(cut.tokens["test"])) == (50, 50)
    assert cut.tokens["train"].equal(whole.tokens["train"])


@pytest.mark.parametrize(("name", "load"), [("kjv-lstm", corpus), ("numbers-transformer", pairs)])
def test_other_data_than_the_task_names_is_refused(task: Tasks, name: str, load: object) -> None:
    spec = task(name).spec.data
    assert callable(load)
    load(spec)
    with pytest.raises(RunError, match=r"--set data\.fingerprint="):
        load(spec.model_copy(update={"fingerprint": "0" * 64}))


def test_pieces_join_to_the_translation(task: Tasks) -> None:
    found = pairs(task("numbers-transformer", "quick").spec.data)
    for split in data.SPLITS:
        assert tuple(found.text(row) for row in found.target[split].padded().tolist()) == found.references[split]


def test_german_is_the_translation_of_the_number_at_its_place(task: Tasks) -> None:
    spec = task("numbers-transformer").spec.data
    found, numbers = pairs(spec), NumberWords.of_data(spec.name, spec.settings).numbers()["train"]
    place = numbers.index(next(n for n in numbers if 30 < n < 40))
    assert found.references["train"][place].endswith("unddreißig")
    assert found.text(found.source["train"].padded()[place].tolist()).startswith("thirty-")


def test_a_draw_is_distinct_and_below_its_limit() -> None:
    drawn = draw(3, 50, 50)
    assert sorted(drawn) == list(range(50))
    assert draw(3, 50, 10) == drawn[:10] != draw(4, 50, 10)
    with pytest.raises(UsageError, match="51 different numbers"):
        draw(0, 50, 51)
