"""Writes small datasets in the very layouts of the published ones."""

import gzip
import io
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

Part = tuple[np.ndarray, np.ndarray]
"""Images [N, H, W, C] (uint8) and labels [N]."""


def drawn(count: int, classes: int, side: int, channels: int = 3, seed: int = 0) -> Part:
    """So many images of every class, in an order that mixes classes."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(classes), count))
    return random.integers(0, 256, (len(labels), side, side, channels), dtype=np.uint8), labels


def write_idx(folder: Path, training: Part, test: Part, packed: bool = False) -> None:
    """MNIST's four files, as torchvision has them below `<folder>/raw`, with or without gzip."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    for part, (images, labels) in (("train", training), ("t10k", test)):
        for kind, array in (("images-idx3", images[..., 0]), ("labels-idx1", labels.astype(np.uint8))):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            place, content = folder / "raw" / f"{part}-{kind}-ubyte", head + array.tobytes()
            if packed:
                place.with_name(f"{place.name}.gz").write_bytes(gzip.compress(content))
            else:
                place.write_bytes(content)


def write_batch(place: Path, part: Part, labels: str) -> None:
    """A batch of CIFAR, byte by byte as python 2 and its numpy pickled it."""
    images, numbers = part
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    place.parent.mkdir(parents=True, exist_ok=True)
    entries = {"data": rows, labels: [int(n) for n in numbers], "batch_label": "training batch 1 of 5"}
    place.write_bytes(b"\x80\x02" + _pickled(entries) + b".")


def _pickled(value: object) -> bytes:
    if isinstance(value, Mapping):
        return b"}(" + b"".join(_pickled(key) + _pickled(each) for key, each in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    if isinstance(value, str | bytes):
        text = value.encode() if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(text)) + text
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    assert isinstance(value, np.ndarray)
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(map(_pickled, value.shape)) + b"t"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + _pickled(value.tobytes()) + b"tb"


def write_cifar10(root: Path, training: Part, test: Part) -> None:
    """`cifar-10-batches-py`: five training batches and one for the test."""
    for i, rows in enumerate(np.array_split(np.arange(len(training[1])), 5), 1):
        write_batch(root / "cifar-10-batches-py" / f"data_batch_{i}", (training[0][rows], training[1][rows]), "labels")
    write_batch(root / "cifar-10-batches-py" / "test_batch", test, "labels")


def write_cifar100(root: Path, training: Part, test: Part) -> None:
    """`cifar-100-python`: a file each."""
    write_batch(root / "cifar-100-python" / "train", training, "fine_labels")
    write_batch(root / "cifar-100-python" / "test", test, "fine_labels")


def write_svhn(root: Path, training: Part, test: Part) -> None:
    """Two MATLAB files with arrays X [32, 32, 3, N] and y [N, 1], in which the digit 0 has label 10."""
    from scipy.io import savemat

    for name, (images, labels) in (("train", training), ("test", test)):
        digits = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(root / f"{name}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": digits}, do_compression=True)


def write_parquet(folder: Path, training: Part, test: Part, column: str, test_name: str) -> None:
    """A dataset as the Hugging Face hub has it; images as PNG, which loses nothing."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in (("train", training), (test_name, test)):
        rows = [
            {column: {"bytes": _png(image), "path": None}, "label": int(n)}
            for image, n in zip(images, labels, strict=True)
        ]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"{name}-00000-of-00001.parquet")


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "png")
    return file.getvalue()


def write_jpeg(place: Path, seed: int, size: tuple[int, int] = (40, 30)) -> None:
    """A colour image of width and height, smooth as photographs are."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    place.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize(size, Image.Resampling.BICUBIC).save(place, "jpeg", quality=90)


def write_imagenet(root: Path, training: Mapping[str, int], test: int) -> None:
    """ImageNet's folders and development kit: so many training images of each class, and test images of each."""
    for number, (wnid, count) in enumerate(training.items()):
        for i in range(count):
            write_jpeg(root / "train" / wnid / f"{wnid}_{i}.JPEG", 100 * number + i)
        for i in range(test):
            write_jpeg(root / "val" / wnid / f"ILSVRC2012_val_{len(training) * i + number + 1:08}.JPEG", 1000 + number)
    write_devkit(root / "ILSVRC2012_devkit_t12.tar.gz", training, test)


def write_devkit(place: Path, training: Mapping[str, int], test: int) -> None:
    """The archive with the table of synsets, one of which has the others for children, and the classes of `val`."""
    from scipy.io import savemat

    fields = "ILSVRC2012_ID WNID words gloss num_children children wordnet_height num_train_images"
    rows = [
        (i, wnid, f"name {i}, other name", "", 0, [], 0, count) for i, (wnid, count) in enumerate(training.items(), 1)
    ]
    rows.append((len(rows) + 1, "n99999999", "all", "", len(rows), list(range(1, len(rows) + 1)), 1, 0))
    synsets = np.empty((len(rows), 1), dtype=[(field, object) for field in fields.split()])
    for i, row in enumerate(rows):
        synsets[i, 0] = row
    table = io.BytesIO()
    savemat(table, {"synsets": synsets})
    truth = "\n".join([str(i) for i in range(1, len(training) + 1)] * test)
    data = "ILSVRC2012_devkit_t12/data"
    with tarfile.open(place, "w:gz") as archive:
        for name, content in (
            ("meta.mat", table.getvalue()),
            ("ILSVRC2012_validation_ground_truth.txt", truth.encode()),
        ):
            entry = tarfile.TarInfo(f"{data}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def write_places365(root: Path, kinds: Mapping[str, int], test: int) -> None:
    """Places365's lists and folders of small images: so many training images of each kind of place, and test images."""
    numbers = {kind: number for number, kind in enumerate(kinds)}
    training = [(f"{kind}/{i:08}.jpg", numbers[kind]) for kind, count in kinds.items() for i in range(1, count + 1)]
    held_out = [
        (f"Places365_val_{len(kinds) * i + number + 1:08}.jpg", number)
        for i in range(test)
        for number in numbers.values()
    ]
    root.mkdir(parents=True, exist_ok=True)
    for folder, name, rows in (
        ("data_256_standard", "places365_train_standard.txt", training),
        ("val_256", "places365_val.txt", held_out),
    ):
        for seed, (image, _) in enumerate(rows):
            write_jpeg(root / folder / image.lstrip("/"), seed)
        (root / name).write_text("".join(f"{image} {number}\n" for image, number in rows))
    (root / "categories_places365.txt").write_text("".join(f"{kind} {number}\n" for kind, number in numbers.items()))
