"""Datasets in the files that torchvision fetches, laid out as it lays them out, and known by the MD5 it publishes."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from domains.vision.stored import Stored
from suite.experiment.datafiles import Files, fetched


class TorchvisionDataset(Stored):
    """Images in files whose MD5 torchvision publishes: their fingerprint is known without them."""

    @classmethod
    @abstractmethod
    def published(cls) -> Mapping[str, str]:
        """MD5 of every file that is read, unpacked, by its name below the folder of datasets."""

    @abstractmethod
    def fetch(self, root: Path) -> None:
        """Download the files into a folder of datasets."""

    def files(self, root: Path | None) -> Files:
        """The files, fetched if they are not there; raises RunError when they cannot be had."""
        return fetched(root, self.name, self.published(), self.fetch, "md5")

    def check_files(self, root: Path | None) -> None:
        """Raise RunError that names a file which is not the published one."""
        self.files(root).compare(self.published())

    @property
    def published_fingerprint(self) -> str:
        """The fingerprint that the published files give."""
        return self.fingerprint(self.published())
