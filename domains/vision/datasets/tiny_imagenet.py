"""The dataset `tiny-imagenet`."""

from typing import ClassVar

from pydantic import Field

from domains.vision.data import Size
from domains.vision.parquet import ParquetDataset


class TinyImagenet(ParquetDataset):
    """Tiny-ImageNet: 64 by 64 pixels, 200 classes of ImageNet; its labelled validation set is the test set here.

    Columns `image` and `label`, files `train*.parquet` and `valid*.parquet`, as the hub has it. Whole, it has 500
    training images of a class; parts of it are in use, so the number of training images is always set.
    """

    name: ClassVar[str] = "tiny-imagenet"
    classes: ClassVar[int] = 200
    stored_shape: ClassVar[tuple[int, int, int]] = (3, 64, 64)
    training_images: ClassVar[int] = 100_000
    image_column: ClassVar[str] = "image"
    test_files: ClassVar[str] = "valid"

    train: Size = Field(description="training images, equally many of each class")
