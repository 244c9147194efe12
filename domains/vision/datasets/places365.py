"""The dataset `places365`."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from domains.vision.streamed import Streamed, folder_of
from domains.vision.streaming import Pictures
from suite.experiment.datafiles import Files, fetched, reading
from suite.experiment.errors import RunError

TRAINING, TEST, CATEGORIES = "places365_train_standard.txt", "places365_val.txt", "categories_places365.txt"
FOLDERS = {TRAINING: "data_256_standard", TEST: "val_256"}


class Places365(Streamed):
    """Places365-Standard: 1,803,460 images and 36,500 for validation, of 365 kinds of places (Zhou et al. 2018).

    The images that are published at 256 by 256 pixels. As torchvision lays them out, in the folder of datasets or in
    `places365` below it: the lists `places365_train_standard.txt`, `places365_val.txt` and `categories_places365.txt`,
    and the images in `data_256_standard` and `val_256`. They are downloaded where they are not there (30 GB).

    The fingerprint is of the MD5 of the lists, which name every image and its class, of the MD5 of both archives of
    images, of the numbers of images and of the settings that choose the splits. The lists' MD5 are checked. The images
    are not: one that is missing or cannot be decoded is named when it is read, another one in its place is not noticed.
    """

    name: ClassVar[str] = "places365"
    published_classes: ClassVar[int] = 365
    training_images: ClassVar[int] = 1_803_460
    test_images: ClassVar[int] = 36_500

    @classmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of the three lists and of both archives."""
        from torchvision.datasets import Places365 as Known

        archives = (Known._IMAGES_META[part, True] for part in ("train-standard", "val"))
        lists = (Known._FILE_LIST_META["train-standard"], Known._FILE_LIST_META["val"], Known._CATEGORIES_META)
        return dict((*lists, *archives))

    def listed(self, root: Path | None) -> tuple[Pictures, Pictures]:
        """All files of both sets, in the order of the lists."""
        folder = folder_of(root, self.name, (TRAINING,))
        files = fetched(folder, self.name, (TRAINING, TEST, CATEGORIES), self.fetch, "md5")
        published = self.published()
        files.compare({name: published[name] for name in (TRAINING, TEST, CATEGORIES)})
        return self._set(files, TRAINING, self.training_images), self._set(files, TEST, self.test_images)

    def fetch(self, folder: Path) -> None:
        """Download lists and images into a folder."""
        from torchvision.datasets import Places365 as Known

        for part in ("train-standard", "val"):
            Known(folder, part, small=True, download=True)

    def _set(self, files: Files, name: str, published: int) -> Pictures:
        """The files of a list: a line is a name, below the folder of images or beginning with a slash, and a class."""
        folder = files.root / FOLDERS[name]
        if not folder.is_dir():
            raise RunError(
                f"{self.name}: there is no folder {folder.name} in {files.root}: unpack the archive of images, or "
                f"remove {files.root / name} so that all is downloaded"
            )
        content = files.read(name)
        with reading(files.root / name):
            words = content.split()
            labels = torch.from_numpy(np.array(words[1::2], dtype=np.int64))
            if len(words) != 2 * published or int(labels.min()) < 0 or int(labels.max()) >= self.published_classes:
                raise ValueError(f"not {published} names, each with a class from 0 to {self.published_classes - 1}")
            return Pictures(folder, np.char.lstrip(np.array(words[::2], dtype=np.bytes_), b"/"), labels)
