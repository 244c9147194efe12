"""Small ImageNet and Places365, written as the published ones, and runs on them."""

import hashlib
from pathlib import Path

import pytest
import torchvision
from torchvision.datasets import imagenet

from domains.vision.batches import Reading
from domains.vision.datasets.imagenet import ImageNet
from domains.vision.datasets.places365 import Places365
from domains.vision.streamed import Streamed
from domains.vision.streaming import StreamedBatches
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data
from tests.domains.vision import layouts

WNIDS = {"n01440764": 7, "n01443537": 5, "n02085620": 6}
KINDS = {"/a/airfield": 4, "/a/airplane_cabin": 5, "/b/bar": 6}
SETTINGS = {"train": 9, "validation": 3, "resolution": 8, "resize": 10, "mean": [0.5], "std": [0.25], "flip": True}


def md5(place: Path) -> str:
    return hashlib.md5(place.read_bytes(), usedforsecurity=False).hexdigest()


def small_imagenet(root: Path, patch: pytest.MonkeyPatch) -> ImageNet:
    """Three classes, in a folder of that name below `root`; what is published of the whole one is said of this one."""
    folder = root / "imagenet"
    layouts.write_imagenet(folder, WNIDS, 2)
    devkit = ("ILSVRC2012_devkit_t12.tar.gz", md5(folder / "ILSVRC2012_devkit_t12.tar.gz"))
    patch.setitem(imagenet.ARCHIVE_META, "devkit", devkit)
    for name, value in {"published_classes": 3, "training_images": 18, "test_images": 6}.items():
        patch.setattr(ImageNet, name, value)
    return ImageNet.read(SETTINGS, "data.settings")


def small_places365(root: Path, patch: pytest.MonkeyPatch) -> Places365:
    """Three kinds of places; see `small_imagenet`."""
    folder, known = root / "places365", torchvision.datasets.Places365
    layouts.write_places365(folder, KINDS, 2)
    lists = {"train-standard": "places365_train_standard.txt", "val": "places365_val.txt"}
    patch.setattr(known, "_FILE_LIST_META", {part: (name, md5(folder / name)) for part, name in lists.items()})
    patch.setattr(known, "_CATEGORIES_META", ("categories_places365.txt", md5(folder / "categories_places365.txt")))
    for name, value in {"published_classes": 3, "training_images": 15, "test_images": 6}.items():
        patch.setattr(Places365, name, value)
    return Places365.read(SETTINGS, "data.settings")


SMALL = {"imagenet": small_imagenet, "places365": small_places365}


def opened(dataset: Streamed, root: Path, workers: int = 0, batch: int = 4, last: int = 8) -> StreamedBatches:
    """The batches of a run on a dataset."""
    data = Data(name=dataset.name, fingerprint=dataset.published_fingerprint)
    return dataset.batches(data, Reading(batch, last, Streams("a task", 1000), Runtime(data=root, workers=workers)))
