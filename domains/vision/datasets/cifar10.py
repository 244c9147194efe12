"""The dataset `cifar10`."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from domains.vision.cifar import CifarDataset


class Cifar10(CifarDataset):
    """CIFAR-10: 50,000 and 10,000 colour images of ten classes (Krizhevsky 2009)."""

    name: ClassVar[str] = "cifar10"
    classes: ClassVar[int] = 10
    source: ClassVar[Literal["CIFAR10", "CIFAR100"]] = "CIFAR10"
    folder: ClassVar[str] = "cifar-10-batches-py"
    training_files: ClassVar[Sequence[str]] = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_files: ClassVar[Sequence[str]] = ("test_batch",)
    labels: ClassVar[str] = "labels"
