"""Splits share no image, hold every class alike, and are those that the task was defined on."""

import pytest
import torch

from domains.vision.data import Splits, dealt_by_class
from domains.vision.datasets.mnist5k import Mnist5k
from domains.vision.memory import InMemory, load
from suite.experiment.errors import RunError, UsageError
from suite.experiment.registry import Registry
from suite.experiment.taskfile import Task

SCALES = ("lite", "quick", "smoke")


def task(scale: str) -> Task:
    return Registry().find("vision/mnist5k-lenet300").at(scale)


def images(splits: Splits, split: str) -> set[bytes]:
    return {image.numpy().tobytes() for image in splits[split].images}


@pytest.mark.parametrize("scale", SCALES)
def test_no_image_is_in_two_splits(scale: str) -> None:
    """Seen elsewhere: a validation set that is the training set."""
    loaded = load(task(scale).spec.data)
    train, validation, test = (images(loaded, split) for split in ("train", "validation", "test"))
    assert train
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_split_is_as_the_task_says_and_equal_over_classes() -> None:
    loaded = load(task("lite").spec.data)
    counts = {split: part.labels.bincount().tolist() for split, part in loaded.items()}
    assert counts == {"train": [350] * 10, "validation": [50] * 10, "test": [100] * 10}
    assert {tuple(part.images.shape[1:]) for part in loaded.values()} == {(1, 28, 28)}


def test_smaller_scales_are_tested_on_images_of_the_larger_ones_test_set() -> None:
    assert images(load(task("smoke").spec.data), "test") <= images(load(task("lite").spec.data), "test")


def test_pixels_keep_their_background() -> None:
    data = task("smoke").spec.data
    dataset = InMemory.of_data(data.name, data.settings)
    unit = dataset.inputs(torch.device("cpu")).scaled(load(data)["train"].images)
    assert (float(unit.min()), float(unit.max())) == (0.0, 1.0)
    assert float((unit == 0).double().mean()) > 0.7


def test_other_data_than_the_task_names_is_refused() -> None:
    spec = task("smoke").spec.data
    with pytest.raises(RunError, match=r"--set data\.fingerprint="):
        load(spec.model_copy(update={"fingerprint": "0" * 64}))


def test_splits_larger_than_the_data_are_refused() -> None:
    labels = torch.arange(5000) % 10
    with pytest.raises(UsageError, match="do not fit"):
        dealt_by_class(labels, {"train": 4000, "validation": 500, "test": 1000}, 10)


def test_unknown_names_are_refused_with_those_there_are() -> None:
    spec = task("smoke").spec.data
    with pytest.raises(UsageError, match=r"data\.name = 'mnist5'; nearest: mnist5k"):
        load(spec.model_copy(update={"name": "mnist5"}))
    with pytest.raises(UsageError, match=r"data\.settings\.pixels = 'bytes': one of unit, centred"):
        load(spec.model_copy(update={"settings": {**spec.settings, "pixels": "bytes"}}))


def test_the_halves_share_no_training_image_and_everything_else() -> None:
    """By position: every other image of each class, so that both halves hold every class alike."""
    whole, a, b = (halved(half) for half in (None, "a", "b"))
    assert not images(a, "train") & images(b, "train")
    assert images(a, "train") | images(b, "train") == images(whole, "train")
    assert [a["train"].labels.bincount().tolist(), b["train"].labels.bincount().tolist()] == [[175] * 10] * 2
    assert torch.equal(a["train"].images[:3], whole["train"].images[0:6:2])
    for split in ("validation", "test"):
        assert torch.equal(a[split].images, b[split].images)
        assert torch.equal(a[split].images, whole[split].images)


def halved(half: str | None, train: int = 3500) -> Splits:
    return dataset(half, train).load(None)[0]


def dataset(half: str | None, train: int = 3500) -> InMemory:
    settings = {"train": train, "validation": 500, "test": 1000, "pixels": "unit", **({"half": half} if half else {})}
    return Mnist5k.read(settings, "data.settings")


def test_halves_have_fingerprints_of_their_own() -> None:
    assert len({dataset(half).load(None)[1] for half in (None, "a", "b")}) == 3


def test_examples_are_counted_as_they_are_dealt() -> None:
    for half in (None, "a", "b"):
        for train in (3500, 3490, 3495):
            assert dataset(half, train).examples == len(halved(half, train)["train"].labels)
