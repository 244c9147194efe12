"""The dataset `cifar100`."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from domains.vision.cifar import CifarDataset


class Cifar100(CifarDataset):
    """CIFAR-100: 50,000 and 10,000 colour images of a hundred classes (Krizhevsky 2009), by its fine labels."""

    name: ClassVar[str] = "cifar100"
    classes: ClassVar[int] = 100
    source: ClassVar[Literal["CIFAR10", "CIFAR100"]] = "CIFAR100"
    folder: ClassVar[str] = "cifar-100-python"
    training_files: ClassVar[Sequence[str]] = ("train",)
    test_files: ClassVar[Sequence[str]] = ("test",)
    labels: ClassVar[str] = "fine_labels"
