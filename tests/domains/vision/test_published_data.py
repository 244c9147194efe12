"""Every dataset is read from its genuine layout, dealt out without overlap, and known by its files."""

import gzip
import pickle
import shutil
from collections.abc import Callable, Sequence
from hashlib import md5
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from domains.vision.cifar import unpickled
from domains.vision.data import Images, Splits
from domains.vision.datasets import Dataset
from domains.vision.datasets.mnist import Mnist
from domains.vision.memory import load
from domains.vision.stored import Stored
from suite.experiment.errors import RunError, UsageError
from suite.experiment.task import Data
from tests.domains.vision import layouts
from tests.domains.vision.layouts import Part, drawn

Write = Callable[[Path, Part, Part], None]


def idx(folder: str, packed: bool = False) -> Write:
    return lambda root, training, test: layouts.write_idx(root / folder, training, test, packed)


WRITERS: dict[str, tuple[str, Write, int, int, int]] = {
    "mnist": ("mnist", idx("MNIST"), 10, 28, 1),
    "mnist.gz": ("mnist", idx("MNIST", True), 10, 28, 1),
    "fashion-mnist": ("fashion-mnist", idx("FashionMNIST"), 10, 28, 1),
    "cifar10": ("cifar10", layouts.write_cifar10, 10, 32, 3),
    "cifar100": ("cifar100", layouts.write_cifar100, 100, 32, 3),
    "svhn": ("svhn", layouts.write_svhn, 10, 32, 3),
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    for known in (torchvision.datasets.MNIST, torchvision.datasets.CIFAR10, torchvision.datasets.SVHN):
        monkeypatch.setattr(known, "download", refuse)


def dataset(name: str, **settings: object) -> Stored:
    made = Dataset.of_data(name, settings)
    assert isinstance(made, Stored)
    return made


def rows(parts: Sequence[Images]) -> list[tuple[bytes, int]]:
    return sorted(
        (image.numpy().tobytes(), int(label))
        for part in parts
        for image, label in zip(part.images, part.labels, strict=True)
    )


def written(part: Part) -> list[tuple[bytes, int]]:
    return sorted((image.transpose(2, 0, 1).tobytes(), int(label)) for image, label in zip(*part, strict=True))


@pytest.mark.parametrize("layout", WRITERS)
def test_what_was_written_is_read(layout: str, tmp_path: Path) -> None:
    name, write, classes, side, channels = WRITERS[layout]
    training, test = drawn(3, classes, side, channels), drawn(1, classes, side, channels, seed=1)
    write(tmp_path, training, test)
    before = sorted(tmp_path.rglob("*"))
    splits, _ = dataset(name, train=2 * classes, validation=classes).load(tmp_path)
    assert rows([splits["train"], splits["validation"]]) == written(training)
    assert torch.equal(splits["test"].images, torch.from_numpy(test[0]).permute(0, 3, 1, 2))
    assert splits["test"].labels.tolist() == test[1].tolist()
    assert all(part.images.dtype is torch.uint8 for part in splits.values())
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written into the folder"


@pytest.mark.parametrize("layout", WRITERS)
def test_a_truncated_file_is_named(layout: str, tmp_path: Path) -> None:
    name, write, classes, side, channels = WRITERS[layout]
    write(tmp_path, drawn(2, classes, side, channels), drawn(1, classes, side, channels))
    largest = max((place for place in tmp_path.rglob("*") if place.is_file()), key=lambda place: place.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-100])
    with pytest.raises(RunError, match=f"{largest} is (truncated or damaged|not what it should be) .*: fetch it again"):
        dataset(name, train=classes, validation=classes).load(tmp_path)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_missing_file_is_told_with_where_it_was_looked_for_and_how_to_get_it(layout: str, tmp_path: Path) -> None:
    name, write, classes, side, channels = WRITERS[layout]
    write(tmp_path, drawn(2, classes, side, channels), drawn(1, classes, side, channels))
    gone = max(place for place in tmp_path.rglob("*") if place.is_file())
    gone.unlink()
    missing = str(gone.relative_to(tmp_path)).removesuffix(".gz")
    words = rf"{name}: {missing} is not in {tmp_path}, and the download failed \(.*no network.*\): .*--data DIR"
    with pytest.raises(RunError, match=words) as told:
        dataset(name, train=classes, validation=classes).load(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_file_that_is_not_the_published_one_is_named(layout: str, tmp_path: Path) -> None:
    name, write, classes, side, channels = WRITERS[layout]
    write(tmp_path, drawn(2, classes, side, channels), drawn(1, classes, side, channels))
    data = Data(name=name, fingerprint="0" * 64, settings={"train": classes, "validation": classes})
    with pytest.raises(
        RunError, match=rf"{tmp_path}/\S+ is not the published file \(MD5 \w{{32}}, published \w{{32}}\)"
    ):
        load(data, tmp_path)


def test_the_fingerprint_of_published_files_is_known_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataset("mnist", train=10, validation=10)
    assert isinstance(made, Mnist)
    layouts.write_idx(tmp_path / "MNIST", drawn(2, 10, 28, 1), drawn(1, 10, 28, 1))
    files = {place.name: place.read_bytes() for place in (tmp_path / "MNIST" / "raw").iterdir()}
    assert made.load(tmp_path)[1] != made.published_fingerprint
    monkeypatch.setattr(Mnist, "digests", {name: md5(content).hexdigest() for name, content in files.items()})
    assert made.load(tmp_path)[1] == made.published_fingerprint


def test_files_are_downloaded_once_where_none_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a named folder they go to the suite's own in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fetched = []

    def fetch(self: torchvision.datasets.MNIST) -> None:
        fetched.append(self.root)
        layouts.write_idx(Path(self.raw_folder).parent, drawn(2, 10, 28, 1), drawn(1, 10, 28, 1))

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", fetch)
    made = dataset("mnist", train=10, validation=10)
    assert torch.equal(made.load(None)[0]["train"].images, made.load(None)[0]["train"].images)
    assert fetched == [tmp_path / "lottery-suite"]


def test_packed_and_unpacked_files_are_the_same_data(tmp_path: Path) -> None:
    training, test = drawn(2, 10, 28, 1), drawn(1, 10, 28, 1)
    idx("MNIST")(tmp_path / "plain", training, test)
    idx("MNIST", True)(tmp_path / "packed", training, test)
    made = dataset("mnist", train=10, validation=10)
    assert made.load(tmp_path / "plain")[1] == made.load(tmp_path / "packed")[1]


def test_files_of_another_format_are_named(tmp_path: Path) -> None:
    idx("MNIST", True)(tmp_path, drawn(2, 10, 28, 1), drawn(1, 10, 28, 1))
    images = tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(b"\x00\x00\x0d\x01" + bytes(100)))  # floats
    with pytest.raises(RunError, match=rf"{images} is not what it should be \(no IDX file of unsigned bytes\)"):
        dataset("mnist", train=10, validation=10).load(tmp_path)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_batch_that_would_run_a_program_is_refused_and_runs_nothing(
    protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layouts.write_cifar10(tmp_path, drawn(5, 10, 32), drawn(1, 10, 32))
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(pickle.dumps({"data": Evil(), "labels": []}, protocol))
    with pytest.raises(
        RunError, match=rf"{batch} is not what it should be \(it names \S+, which no batch of CIFAR does"
    ):
        dataset("cifar10", train=10, validation=10).load(tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", [b"cbuiltins\neval\n", b"cos\nsystem\n", b"cnumpy\nload\n", b"cnumpy.f2py\ncompile\n"])
def test_a_pickle_may_name_numpys_arrays_and_nothing_else(name: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="which no batch of CIFAR does"):
        unpickled(b"\x80\x02" + name + b".")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve training and three test images of each of ten digits."""
    root = tmp_path_factory.mktemp("digits")
    idx("MNIST")(root, drawn(12, 10, 28, 1), drawn(3, 10, 28, 1, seed=1))
    return root


def mnist(root: Path, **settings: object) -> Splits:
    return dataset("mnist", **settings).load(root)[0]


def test_halves_are_equal_in_every_class_and_share_no_image(digits: Path) -> None:
    a, b = (mnist(digits, train=40, validation=20, half=half) for half in ("a", "b"))
    for half in (a, b):
        assert half["train"].labels.bincount().tolist() == [4] * 10
        assert half["validation"].labels.bincount().tolist() == [2] * 10
    one, other = (rows([half["train"], half["validation"]]) for half in (a, b))
    assert not set(one) & set(other)
    assert torch.equal(a["test"].images, b["test"].images)


def test_training_and_validation_set_share_no_image_and_smaller_sets_are_parts_of_larger_ones(digits: Path) -> None:
    small, large = (mnist(digits, train=train, validation=30) for train in (20, 90))
    assert not set(rows([large["train"]])) & set(rows([large["validation"]]))
    assert set(rows([small["train"]])) < set(rows([large["train"]]))
    assert rows([small["validation"]]) == rows([large["validation"]])


def test_another_split_seed_holds_out_other_images(digits: Path) -> None:
    zero, again, one = (mnist(digits, train=20, validation=30, split_seed=seed) for seed in (0, 0, 1))
    assert rows([zero["validation"]]) == rows([again["validation"]]) != rows([one["validation"]])


def test_a_smaller_test_set_has_the_first_images_of_each_class(digits: Path) -> None:
    whole, part = (
        mnist(digits, train=20, validation=10)["test"],
        mnist(digits, train=20, validation=10, test=20)["test"],
    )
    assert part.labels.tolist() == sorted([*range(10)] * 2)
    assert torch.equal(part.images[:2], whole.images[whole.labels == 0][:2])


def test_all_images_that_are_not_held_out_are_trained_on_unless_a_number_is_named(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataset("mnist", validation=20, half="b")
    with pytest.raises(RunError, match=r"mnist has 120 training images in .*, not the published 60000"):
        made.load(digits)
    monkeypatch.setattr(type(made), "training_images", 120)
    assert made.examples == len(made.load(digits)[0]["train"].labels) == 40


def test_grey_images_get_three_channels_and_the_resolution_of_the_task(digits: Path) -> None:
    made = dataset("mnist", train=20, validation=10, channels=3, resolution=14)
    images = made.load(digits)[0]["test"].images
    assert (made.shape, tuple(images.shape)) == ((3, 14, 14), (30, 3, 14, 14))
    assert torch.equal(images[:, 0], images[:, 2])
    grey = mnist(digits, train=20, validation=10)["test"].images.float()
    assert images[:, :1].float().mean().item() == pytest.approx(grey.mean().item(), rel=0.01)
    assert images.dtype is torch.uint8


def test_the_fingerprint_follows_files_and_splits_and_nothing_else(digits: Path, tmp_path: Path) -> None:
    settings = {"train": 20, "validation": 10}
    plain = dataset("mnist", **settings).load(digits)[1]
    others = [{"train": 30}, {"validation": 20}, {"test": 10}, {"half": "a"}, {"split_seed": 1}]
    assert len({plain, *(dataset("mnist", **{**settings, **other}).load(digits)[1] for other in others)}) == 6
    assert dataset("mnist", **settings, flip=True, pad=2, mean=[0.5], resolution=14).load(digits)[1] == plain
    shutil.copytree(digits / "MNIST", tmp_path / "MNIST")
    pixels = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    content = pixels.read_bytes()
    pixels.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert dataset("mnist", **settings).load(tmp_path)[1] != plain


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": 110, "validation": 20}, r"2 validation and 11 training images of a class do not fit into its 12"),
        ({"train": 50, "validation": 20, "half": "a"}, r"do not fit into its 6 in mnist, half a"),
        (
            {"train": 50, "validation": 5},
            r"data\.settings\.validation = 5: at least one of each of 10 classes is needed",
        ),
        ({"train": 50, "validation": 10, "test": 40}, r"data\.settings\.test = 40: .* only 3 test images"),
        (
            {"validation": 10, "mean": [0.1, 0.2]},
            r"data\.settings\.mean = \[0\.1, 0\.2\]: one number, or one for each of 1",
        ),
        ({"validation": 10, "std": [0.0]}, r"data\.settings\.std"),
        ({"validation": 10, "channels": 2}, r"data\.settings\.channels = 2: one of 1, 3"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings: dict[str, object], words: str, digits: Path) -> None:
    with pytest.raises(UsageError, match=words):
        mnist(digits, **settings)


def test_labels_that_are_no_class_are_refused_with_their_file(tmp_path: Path) -> None:
    images, labels = drawn(2, 10, 28, 1)
    idx("MNIST")(tmp_path, (images, np.where(labels == 3, 10, labels)), (images, labels))
    with pytest.raises(RunError, match=r"train-labels-idx1-ubyte is not what it should be \(.*not all from 0 to 9"):
        mnist(tmp_path, train=10, validation=10)
