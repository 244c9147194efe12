"""WikiText-2 from its files: words, ends of lines and `<unk>`; what is wrong with a file is said of it."""

from pathlib import Path

import huggingface_hub
import pytest
import torch

from domains.nlp.data import Corpus
from domains.nlp.datasets import TextDataset
from domains.nlp.datasets.wikitext2 import WikiText2
from domains.nlp.vocabulary import Vocabulary
from suite.experiment.errors import RunError, UsageError
from tests.domains.nlp.text_files import write_column, write_text

LINES = {
    "train": [" \n", " = the title = \n", " the cat sat , the <unk> ran . \n", " \n", " the cat \n"],
    "validation": [" the dog sat \n"],
    "test": [" the bird sat . \n", " \n"],
}
LENGTH = 19
"""Fourteen words and five ends of lines."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_text(tmp_path / "wikitext-2", LINES)
    return tmp_path


def read(root: Path, **settings: object) -> Corpus:
    return TextDataset.of_data("wikitext2-toy", {"types": 100, "train_tokens": LENGTH, **settings}).load(root)


def test_the_words_are_numbered_by_their_count_and_every_line_ends(folder: Path) -> None:
    text = read(folder)
    # 0 <unk>, 1 <eos>, then the (4), = and cat (2), and what occurs once, in the order of their signs
    assert Vocabulary([line.split() for line in LINES["train"]], 100).words[:6] == [
        "<unk>",
        "<eos>",
        "the",
        "=",
        "cat",
        ",",
    ]
    assert text.tokens["train"].tolist()[:5] == [1, 3, 2, 9, 3]
    assert len(text.tokens["train"]) == LENGTH
    assert int((text.tokens["train"] == 1).sum()) == 5
    assert text.tokens["validation"].tolist() == [2, 0, 8, 1]  # no dog in training
    assert text.size == 10


def test_rare_words_become_unknown_and_the_share_of_them_is_reported(folder: Path) -> None:
    text = read(folder, types=5)
    assert text.size == 5
    assert text.tokens["test"].tolist() == [2, 0, 0, 0, 1, 1]
    assert "5 types; <unk> is 31.6% of train, 50.0% of validation, 50.0% of test" in text.notes["data"]
    assert "3 empty lines, each an <eos> of its own" in text.notes["data"]


def test_the_first_tokens_of_the_training_text_alone_make_the_vocabulary(folder: Path) -> None:
    text = read(folder, train_tokens=6)
    assert text.tokens["train"].tolist() == [1, 2, 3, 4, 2, 1]
    assert text.size == 5  # <unk>, <eos>, =, the, title
    assert len(text.tokens["test"]) == 6


def test_counts_are_kept_with_the_vocabulary() -> None:
    vocabulary = Vocabulary([["b", "a", "b"], ["c"]], 4)
    assert vocabulary.counts == {"a": 1, "b": 2, "c": 1}
    assert vocabulary.words == ["<unk>", "<eos>", "b", "a"]
    assert vocabulary.ids([["c", "b"], []]).tolist() == [0, 2, 1, 1]
    assert vocabulary.unknown(torch.tensor([0, 2, 1, 1])) == 0.25


def test_an_epoch_is_counted_without_the_text() -> None:
    whole, part = WikiText2(types=33_278), WikiText2(types=4_000, train_tokens=500_000)
    settings = type("Settings", (), {"bptt": 50})
    assert whole.epoch_steps(30, settings) == 1_392
    assert part.epoch_steps(30, settings) == 333


def test_another_length_than_the_published_one_is_refused(folder: Path) -> None:
    with pytest.raises(
        RunError, match=rf"has {LENGTH} training tokens in .*, not the published 2088628: fetch it again"
    ):
        read(folder, train_tokens=None)
    with pytest.raises(UsageError, match=r"train_tokens = 20: wikitext2 has 19 in .*: lower it"):
        read(folder, train_tokens=20)


def test_a_text_without_a_word_is_refused(folder: Path) -> None:
    write_text(folder / "wikitext-2", {"test": [" \n", ""]})
    with pytest.raises(RunError, match=r"test of wikitext2 in \S+: there is not one word in 2 rows: fetch it again"):
        read(folder)


def test_a_row_without_text_is_named(folder: Path) -> None:
    write_text(folder / "wikitext-2", {"validation": ["a b", None]})
    with pytest.raises(RunError, match=r"validation of wikitext2 in \S+: row 1 holds no text but None"):
        read(folder)


def test_bytes_that_are_no_utf8_are_refused_with_the_file(folder: Path) -> None:
    write_text(folder / "wikitext-2", {"train": ["the cat", b"caf\xe9 noir"]})
    with pytest.raises(RunError, match=r"train-00000-of-00001\.parquet is not what it should be .*: fetch it again"):
        read(folder)


def test_files_that_are_missing_cut_off_or_of_another_column_are_named(folder: Path) -> None:
    place = folder / "wikitext-2" / "test-00000-of-00001.parquet"
    whole = place.read_bytes()
    place.write_bytes(whole[:-20])
    with pytest.raises(RunError, match=rf"{place} is not what it should be"):
        read(folder)
    write_column(place, "words", ["a"])
    with pytest.raises(RunError, match=rf"{place} is not what it should be \(no column text\)"):
        read(folder)
    place.unlink()
    with pytest.raises(
        RunError,
        match=r"wikitext-2: there is no test\.parquet or test-00000-of-…\.parquet in .*--data DIR or LOTTERY_DATA",
    ):
        read(folder)


def test_the_hubs_dataset_is_read_where_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "snapshot" / "wikitext-2-v1", LINES)
    asked = []

    def snapshot(repo: str, *, repo_type: str, allow_patterns: str) -> str:
        asked.append((repo, repo_type, allow_patterns))
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert len(read(tmp_path, hub="Salesforce/wikitext").tokens["train"]) == LENGTH
    assert asked == [("Salesforce/wikitext", "dataset", "wikitext-2-v1/*.parquet")]
