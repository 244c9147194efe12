"""The dataset `cifar10-jpeg`."""

from typing import ClassVar

from domains.vision.parquet import ParquetDataset


class Cifar10Jpeg(ParquetDataset):
    """CIFAR-10 (JPEG): CIFAR-10 whose images went through lossy JPEG, which is another dataset than CIFAR-10.

    Columns `img` and `label`, files `train*.parquet` and `test*.parquet`, as the hub has CIFAR-10.
    """

    name: ClassVar[str] = "cifar10-jpeg"
    classes: ClassVar[int] = 10
    stored_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    training_images: ClassVar[int] = 50_000
    image_column: ClassVar[str] = "img"
    test_files: ClassVar[str] = "test"
