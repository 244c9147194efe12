"""The dataset `fashion-mnist`."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from domains.vision.idx import IdxDataset


class FashionMnist(IdxDataset):
    """Fashion-MNIST: 60,000 and 10,000 grey images of clothes (Xiao et al. 2017, arXiv 1708.07747)."""

    name: ClassVar[str] = "fashion-mnist"
    folder: ClassVar[Literal["MNIST", "FashionMNIST"]] = "FashionMNIST"
    digests: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }
