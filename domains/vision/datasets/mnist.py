"""The dataset `mnist`."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from domains.vision.idx import IdxDataset


class Mnist(IdxDataset):
    """MNIST: 60,000 and 10,000 handwritten digits (LeCun et al. 1998)."""

    name: ClassVar[str] = "mnist"
    folder: ClassVar[Literal["MNIST", "FashionMNIST"]] = "MNIST"
    digests: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
