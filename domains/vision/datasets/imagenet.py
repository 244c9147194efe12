"""The dataset `imagenet`."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from domains.vision.streamed import Streamed, folder_of
from domains.vision.streaming import Pictures
from suite.experiment.datafiles import PLACE, SPOILT, Files, reading
from suite.experiment.errors import RunError

DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
SYNSETS = "ILSVRC2012_devkit_t12/data/meta.mat"
META = "meta.bin"
SUFFIX = ".JPEG"


class ImageNet(Streamed):
    """ImageNet of 2012: 1,281,167 images and 50,000 for validation, of 1,000 classes (Russakovsky et al. 2015).

    As torchvision lays it out, in the folder of datasets or in `imagenet` below it: `train/<class>/*.JPEG`,
    `val/<class>/*.JPEG`, and the development kit's archive or the `meta.bin` that torchvision makes of it. A class's
    number is its place among the sorted names. It cannot be downloaded without an account at image-net.org.

    The fingerprint is of the MD5 of the three published archives, of the numbers of images and of the settings that
    choose the splits. Of these the development kit's MD5 is checked when it is there, and always which classes there
    are and how many images each has. The images' own content is not: one that cannot be decoded is named when it is
    read, another image under a published name is not noticed.
    """

    name: ClassVar[str] = "imagenet"
    published_classes: ClassVar[int] = 1000
    training_images: ClassVar[int] = 1_281_167
    test_images: ClassVar[int] = 50_000

    @classmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of the three archives."""
        from torchvision.datasets.imagenet import ARCHIVE_META

        return dict(ARCHIVE_META.values())

    def listed(self, root: Path | None) -> tuple[Pictures, Pictures]:
        """All files of both sets, in the order of classes and names."""
        folder = folder_of(root, self.name, (DEVKIT, META))
        if missing := [part for part in ("train", "val") if not (folder / part).is_dir()]:
            raise RunError(
                f"{self.name}: there is no folder {missing[0]} in {folder}: {PLACE}; its three archives come from "
                "image-net.org, and torchvision.datasets.ImageNet(DIR, 'train') and (DIR, 'val') unpack them"
            )
        of_classes = self._synsets(Files(folder, "md5"))
        training = _in_class_folders(folder / "train", of_classes)
        each = dict.fromkeys(of_classes, self.test_images // self.published_classes)
        test = _in_class_folders(folder / "val", each)
        if len(training.labels) != self.training_images:  # the devkit's numbers add up to it, meta.bin has none
            raise RunError(
                f"{folder / 'train'} has {len(training.labels)} images, not the published {self.training_images}: "
                "unpack the archive again"
            )
        return training, test

    def _synsets(self, files: Files) -> dict[str, int | None]:
        """The classes, sorted, with their numbers of training images where they are known."""
        if files.find(DEVKIT):
            files.compare({DEVKIT: self.published()[DEVKIT]})
            with reading(files.root / DEVKIT):
                found = _of_devkit(files.read(DEVKIT))
        elif (files.root / META).is_file():
            with reading(files.root / META):
                names, _ = torch.load(files.root / META, weights_only=True)
                found = dict.fromkeys(names)
        else:
            raise RunError(f"{self.name}: neither {DEVKIT} nor {META} is in {files.root}: {PLACE}")
        if len(found) != self.published_classes:
            raise RunError(f"{files.root} tells of {len(found)} classes, not the published {self.published_classes}")
        return dict(sorted(found.items()))


def _of_devkit(content: bytes) -> dict[str, int | None]:
    """Classes and their numbers of training images from the development kit's table; one with children is no class."""
    from scipy.io import loadmat

    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        table = archive.extractfile(SYNSETS)
        if table is None:
            raise ValueError(f"no file {SYNSETS}")
        synsets = np.atleast_1d(loadmat(io.BytesIO(table.read()), squeeze_me=True)["synsets"])
    return {str(s["WNID"]): int(s["num_train_images"]) for s in synsets if not int(s["num_children"])}


def _in_class_folders(folder: Path, of_classes: Mapping[str, int | None]) -> Pictures:
    """Images in a folder for each class; raises RunError that names a folder or file which is not as published."""
    there = {place.name for place in folder.iterdir()}
    for wnid in sorted(of_classes.keys() ^ there):
        what = "is missing" if wnid in of_classes else "is no class of ImageNet"
        raise RunError(f"{folder / wnid} {what}: unpack the archive again, or remove what is not its")
    names: list[str] = []
    counts: list[int] = []
    for wnid, published in of_classes.items():
        files = sorted(place.name for place in (folder / wnid).iterdir())
        if foreign := [name for name in files if not name.endswith(SUFFIX)]:
            raise RunError(f"{folder / wnid / foreign[0]} is no image of ImageNet: {SPOILT}")
        if published is not None and len(files) != published:
            raise RunError(
                f"{folder / wnid} has {len(files)} images, not the published {published}: unpack the archive again"
            )
        names += [f"{wnid}/{name}" for name in files]
        counts.append(len(files))
    return Pictures(
        folder, np.array(names, dtype=np.bytes_), torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    )
