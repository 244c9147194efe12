"""Splits share no image, hold every class alike, and are those that the task was defined on."""

import pytest

from domains.vision import data
from suite.experiment.errors import RunError, UsageError
from suite.experiment.registry import Registry
from suite.experiment.taskfile import Task

SCALES = ("lite", "quick", "smoke")


def task(scale: str) -> Task:
    return Registry().find("vision/mnist5k-lenet300").at(scale)


def images(dataset: data.Dataset, split: str) -> set[bytes]:
    return {image.numpy().tobytes() for image in dataset.splits[split].images}


@pytest.mark.parametrize("scale", SCALES)
def test_no_image_is_in_two_splits(scale: str) -> None:
    """Seen elsewhere: a validation set that is the training set."""
    loaded = data.load(task(scale).spec.data)
    train, validation, test = (images(loaded, split) for split in ("train", "validation", "test"))
    assert train
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_split_is_as_the_task_says_and_equal_over_classes() -> None:
    loaded = data.load(task("lite").spec.data)
    counts = {split: part.labels.bincount().tolist() for split, part in loaded.splits.items()}
    assert counts == {"train": [350] * 10, "validation": [50] * 10, "test": [100] * 10}
    assert {tuple(part.images.shape[1:]) for part in loaded.splits.values()} == {(1, 28, 28)}


def test_smaller_scales_are_tested_on_images_of_the_larger_ones_test_set() -> None:
    assert images(data.load(task("smoke").spec.data), "test") <= images(data.load(task("lite").spec.data), "test")


def test_pixels_keep_their_background() -> None:
    unit = data.load(task("smoke").spec.data).splits["train"].images
    assert (float(unit.min()), float(unit.max())) == (0.0, 1.0)
    assert float((unit == 0).double().mean()) > 0.7


def test_other_data_than_the_task_names_is_refused() -> None:
    spec = task("smoke").spec.data
    with pytest.raises(RunError, match=r"--set data\.fingerprint="):
        data.load(spec.model_copy(update={"fingerprint": "0" * 64}))


def test_splits_larger_than_the_data_are_refused() -> None:
    pixels, labels = data._mnist5k()
    with pytest.raises(UsageError, match="do not fit"):
        data._split(pixels.float(), labels, {"train": 4000, "validation": 500, "test": 1000})


def test_unknown_names_are_refused_with_those_there_are() -> None:
    spec = task("smoke").spec.data
    with pytest.raises(UsageError, match="mnist5k"):
        data.load(spec.model_copy(update={"name": "mnist"}))
    with pytest.raises(UsageError, match=r"pixels = 'bytes': one of unit, centred"):
        data.load(spec.model_copy(update={"settings": {**spec.settings, "pixels": "bytes"}}))
