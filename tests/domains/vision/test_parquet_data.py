"""Datasets in parquet: decoded once, from a folder or from the hub."""

from pathlib import Path

import datasets
import huggingface_hub
import pytest
import torch

from domains.vision.data import Splits
from domains.vision.datasets import Dataset
from suite.experiment.errors import RunError
from tests.domains.vision import layouts
from tests.domains.vision.layouts import drawn


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lottery-suite" / "decoded"


def jpeg(root: Path, **settings: object) -> Splits:
    return Dataset.of_data("cifar10-jpeg", {"train": 10, "validation": 10, **settings}).load(root)[0]


def write(folder: Path) -> None:
    layouts.write_parquet(folder, drawn(2, 10, 32), drawn(1, 10, 32, seed=1), "img", "test")


def test_what_was_written_is_read_and_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cifar10-jpeg")
    first = jpeg(tmp_path)
    images, labels = drawn(1, 10, 32, seed=1)
    assert torch.equal(first["test"].images, torch.from_numpy(images).permute(0, 3, 1, 2))
    assert first["test"].labels.tolist() == labels.tolist()
    monkeypatch.setattr(datasets, "load_dataset", None)
    again = jpeg(tmp_path)
    assert all(torch.equal(first[name].images, again[name].images) for name in first)
    assert all(torch.equal(first[name].labels, again[name].labels) for name in first)


def test_a_damaged_cache_is_decoded_anew_and_one_that_cannot_be_written_is_done_without(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cifar10-jpeg")
    first = jpeg(tmp_path)["test"].images
    kept = list(cache.iterdir())
    assert len(kept) == 2
    for place in kept:
        place.write_bytes(place.read_bytes()[:-1])
    assert torch.equal(jpeg(tmp_path)["test"].images, first)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert torch.equal(jpeg(tmp_path)["test"].images, first)


def test_grey_images_among_coloured_ones_become_three_channels(tmp_path: Path) -> None:
    """As in Tiny-ImageNet, whose labelled validation set is the test set."""
    test = drawn(1, 200, 64, 1, seed=1)
    layouts.write_parquet(tmp_path / "tiny-imagenet", drawn(2, 200, 64, 1), test, "image", "valid")
    tiny = Dataset.of_data("tiny-imagenet", {"train": 200, "validation": 200}).load(tmp_path)[0]
    assert torch.equal(tiny["test"].images, torch.from_numpy(test[0]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1))


def test_a_truncated_file_and_one_without_the_columns_are_named(tmp_path: Path) -> None:
    write(tmp_path / "cifar10-jpeg")
    place = tmp_path / "cifar10-jpeg" / "train-00000-of-00001.parquet"
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(RunError, match=f"{place} is not what it should be .*: fetch it again"):
        jpeg(tmp_path)
    layouts.write_parquet(tmp_path / "cifar10-jpeg", drawn(2, 10, 32), drawn(1, 10, 32), "image", "test")
    with pytest.raises(RunError, match=f"{place} is not what it should be .*no column img"):
        jpeg(tmp_path)


def test_a_missing_folder_is_told_with_the_remedies(tmp_path: Path) -> None:
    names = r"train\.parquet or train-00000-of-…\.parquet"
    words = rf"cifar10-jpeg: there is no {names} in \S+/cifar10-jpeg: .*LOTTERY_DATA, .*hf download OWNER/NAME"
    with pytest.raises(RunError, match=words):
        jpeg(tmp_path)


def test_a_dataset_of_the_hub_is_read_where_no_folder_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the hub's layout files lie in a folder `data`."""
    write(tmp_path / "snapshot" / "data")
    asked = []

    def snapshot(repo: str, *, repo_type: str, allow_patterns: str) -> str:
        asked.append((repo, repo_type, allow_patterns))
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert len(jpeg(tmp_path, hub="someone/cifar")["train"].labels) == 10
    assert asked == [("someone/cifar", "dataset", "*.parquet")]

    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(RunError, match=r"the download of someone/cifar .* failed \(no network\): .*--data DIR"):
        jpeg(tmp_path, hub="someone/cifar")
