"""Sentence pairs from files: pieces, pairs that are left out and counted, and what is said of pairs that cannot be."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from domains.nlp.data import EOS, PAD, SPLITS, Pairs, Sentences
from domains.nlp.datasets import PairDataset, pairs
from domains.nlp.datasets.wmt14 import Wmt14
from suite.experiment.errors import RunError, UsageError
from suite.experiment.task import Data
from tests.domains.nlp.text_files import Pair, write_pairs

TRAIN: list[Pair] = [
    ("A dog runs.", "Ein Hund rennt."),
    ("A cat sleeps.", "Eine Katze schläft."),
    ("A dog sleeps in the sun.", "Ein Hund schläft in der Sonne."),
]
HELD_OUT: dict[str, Sequence[Pair]] = {
    "validation": [("A dog sleeps.", "Ein Hund schläft.")],
    "test": [("A cat runs.", "Eine Katze rennt.")],
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    return place


def write(root: Path, train: Sequence[Pair] = TRAIN, **held_out: Sequence[Pair]) -> None:
    write_pairs(root / "multi30k", {"train": train, **HELD_OUT, **held_out})


def read(root: Path, name: str = "multi30k", train: int = 3, **settings: object) -> Pairs:
    return PairDataset.of_data(name, {"vocabulary": 200, "train": train, **settings}).load(root)


def test_pieces_join_to_the_sentences_in_both_languages(tmp_path: Path) -> None:
    write(tmp_path)
    found = read(tmp_path)
    english = [found.text(row) for row in found.source["train"].padded().tolist()]
    german = [found.text(row) for row in found.target["train"].padded().tolist()]
    assert list(zip(english, german, strict=True)) == TRAIN
    assert found.references == {"validation": ("Ein Hund schläft.",), "test": ("Eine Katze rennt.",)}
    assert found.notes["data"] == "3 training pairs; left out: none"


def test_one_sided_empty_and_overlong_training_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    one_sided: list[Pair] = [("Only this.", None), (" \n", "Nur das."), ("", "")]
    long: list[Pair] = [("dog " * 30, "Hund " * 30), ("dog", "Hund " * 9)]
    write(tmp_path, [*TRAIN, *one_sided, *long])
    found = read(tmp_path, train=8, longest=20, ratio=4)
    assert len(found.source["train"]) == len(found.target["train"]) == 3
    assert found.notes["data"] == (
        "3 training pairs; left out: 3 (a side empty or missing), 1 (longer than 20 tokens), "
        "1 (one side more than 4 times as long)"
    )


def test_limits_count_pieces_without_the_end_of_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, [("dog", "dog dog"), ("dog dog", "dog dog dog"), ("dog", "dog")])
    assert "left out: 1 (one side more than 1.5 times as long);" in read(tmp_path, ratio=1.5).notes["data"]
    assert "left out: 1 (longer than 2 tokens);" in read(tmp_path, longest=2).notes["data"]


def test_a_sentences_own_end_mark_is_text_and_unknown_signs_are_counted(tmp_path: Path) -> None:
    write(tmp_path, [*TRAIN, ("A <eos> dog <pad>.", "Ein <unk> Hund.")], test=[("A 日 dog.", "Ein Hund 本.")])
    found = read(tmp_path, train=4)
    assert found.text(found.source["train"].padded()[3].tolist()) == "A <eos> dog <pad>."
    assert found.text(found.target["train"].padded()[3].tolist()) == "Ein <unk> Hund."
    assert found.notes["data"] == "4 training pairs; left out: none; <unk>: 2 (test)"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_unusable_pair_to_score_on_is_an_error(tmp_path: Path, split: str) -> None:
    write(tmp_path, **{split: [*HELD_OUT[split], ("A dog.", None)]})
    with pytest.raises(RunError, match=rf"{split} of \S+ has an empty side in row 1 \(1 such in all\): remove it"):
        read(tmp_path)


def test_pairs_of_which_none_can_be_used_are_refused(tmp_path: Path) -> None:
    write(tmp_path, [("A dog.", None)])
    with pytest.raises(RunError, match=r"train of .* has no pair with text on both sides"):
        read(tmp_path, train=1)
    write(tmp_path)
    with pytest.raises(RunError, match=r"no training pair in .* can be used \(3 \(longer than 2 tokens\)\)"):
        read(tmp_path, longest=2)


def test_other_numbers_of_pairs_than_published_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(RunError, match=r"multi30k has 3 pairs in train of .*, not the published 29000: fetch it again"):
        PairDataset.of_data("multi30k", {"vocabulary": 200}).load(tmp_path)
    with pytest.raises(UsageError, match=r"data\.settings\.train = 4: multi30k has 3 training pairs in .*: lower it"):
        read(tmp_path, train=4)


def test_the_fingerprint_is_of_texts_and_pieces_and_is_checked(tmp_path: Path) -> None:
    write(tmp_path)
    first = read(tmp_path)
    assert read(tmp_path).fingerprint == first.fingerprint
    assert read(tmp_path, vocabulary=40).fingerprint != first.fingerprint
    (tmp_path / "other").mkdir()
    write(tmp_path / "other", test=[("A cat runs.", "Eine Katze läuft.")])
    assert read(tmp_path / "other").fingerprint != first.fingerprint
    settings = {"vocabulary": 200, "train": 3}
    assert pairs(Data(name="multi30k", fingerprint=first.fingerprint, settings=settings), tmp_path).size == first.size
    with pytest.raises(RunError, match="data multi30k have fingerprint"):
        pairs(Data(name="multi30k", fingerprint="0" * 64, settings=settings), tmp_path)


def test_wmt14_is_known_by_what_is_published_of_it_and_says_what_was_read(tmp_path: Path) -> None:
    write_pairs(tmp_path / "wmt14", {"train": TRAIN, **HELD_OUT})
    found = read(tmp_path, "wmt14")
    assert found.fingerprint == Wmt14(vocabulary=200, train=3).declared
    assert found.fingerprint != Wmt14(vocabulary=200, train=3, longest=250).declared
    write(tmp_path)
    assert found.notes["data content"] == read(tmp_path).fingerprint


def test_sentences_are_padded_to_the_longest_of_those_asked_for() -> None:
    sentences = Sentences.of([[5, 6, 7], [8], []])
    assert sentences.lengths.tolist() == [4, 2, 1]
    assert sentences.padded().tolist() == [[5, 6, 7, EOS], [8, EOS, PAD, PAD], [EOS, PAD, PAD, PAD]]
    assert sentences.padded(torch.tensor([2, 1])).tolist() == [[EOS, PAD], [8, EOS]]
    assert len(sentences) == 3


def test_a_published_dataset_of_pairs_that_is_missing_is_told_with_the_remedies(tmp_path: Path) -> None:
    with pytest.raises(
        RunError,
        match=r"multi30k: there is no train\.parquet or train-00000-of-….parquet in \S+: .*--data DIR or LOTTERY_DATA",
    ):
        read(tmp_path)


def test_the_rows_of_a_split_may_be_in_several_files(tmp_path: Path) -> None:
    write(tmp_path)
    folder = tmp_path / "multi30k"
    for number, rows in enumerate((TRAIN[:1], TRAIN[1:])):
        write_pairs(folder, {"train": rows})
        (folder / "train-00000-of-00001.parquet").rename(folder / f"train-0000{number}-of-00002.parquet")
    assert len(read(tmp_path).source["train"]) == 3


def test_files_of_another_test_set_beside_are_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    write_pairs(tmp_path / "multi30k", {"test_2017": TRAIN, "test-2017": TRAIN})
    assert len(read(tmp_path).target["test"]) == 1


def test_a_file_without_rows_is_said_to_be_empty(tmp_path: Path) -> None:
    write(tmp_path, test=[])
    with pytest.raises(RunError, match=r"test of \S+ has no pair with text on both sides: fetch it again"):
        read(tmp_path)
    write(tmp_path, [])
    with pytest.raises(UsageError, match=r"train = 3: multi30k has 0 training pairs"):
        read(tmp_path)


def test_pairs_are_cut_once_for_equal_files_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    first = read(tmp_path)
    monkeypatch.setattr("domains.nlp.pair_files.byte_pairs", None)  # to cut them again would fail
    again = read(tmp_path)
    for split in SPLITS:
        for one, other in ((first.source, again.source), (first.target, again.target)):
            assert torch.equal(one[split].ids, other[split].ids)
            assert torch.equal(one[split].starts, other[split].starts)
    assert (again.references, again.notes, again.size) == (first.references, first.notes, first.size)
    assert again.fingerprint == first.fingerprint
    assert again.text(again.target["test"].padded()[0].tolist()) == "Eine Katze rennt."
    with pytest.raises(TypeError, match="NoneType"):
        read(tmp_path, vocabulary=40)
    write(tmp_path, test=[("A cat runs.", "Eine Katze läuft.")])
    with pytest.raises(TypeError, match="NoneType"):
        read(tmp_path)


def test_what_is_kept_and_damaged_is_cut_again(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path)
    first = read(tmp_path)
    (place,) = own_cache.rglob("*.safetensors")
    place.write_bytes(place.read_bytes()[:100])
    assert read(tmp_path).fingerprint == first.fingerprint
    assert len(place.read_bytes()) > 100
