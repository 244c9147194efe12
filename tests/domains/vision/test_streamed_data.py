"""ImageNet and Places365 are found in torchvision's own layout, dealt out without overlap, and checked as said."""

import shutil
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torchvision.datasets import imagenet

from domains.vision.batches import Reading
from domains.vision.datasets import Dataset
from domains.vision.datasets.imagenet import ImageNet
from domains.vision.datasets.places365 import Places365
from domains.vision.streamed import Streamed
from domains.vision.streaming import Pictures
from suite.experiment.errors import RunError, UsageError
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data
from tests.domains.vision.streams import SETTINGS, SMALL, opened, small_imagenet, small_places365


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.datasets.places365, "download_and_extract_archive", refuse)


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Streamed:
    return SMALL[request.param](tmp_path, monkeypatch)


def files(pictures: Pictures) -> list[tuple[str, int]]:
    places = (str(pictures.folder / name.decode()) for name in pictures.names)
    return list(zip(places, pictures.labels.tolist(), strict=True))


def test_the_files_and_labels_of_imagenet_are_those_that_torchvision_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, test = small_imagenet(tmp_path, monkeypatch).listed(tmp_path)
    for part, split in ((training, "train"), (test, "val")):
        assert files(part) == torchvision.datasets.ImageNet(tmp_path / "imagenet", split).imgs


def test_imagenet_is_read_without_its_devkit_from_what_torchvision_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from the folder of datasets itself."""
    made, folder = small_imagenet(tmp_path, monkeypatch), tmp_path / "imagenet"
    training, test = made.listed(tmp_path)
    imagenet.parse_devkit_archive(folder)
    (folder / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    again = made.listed(folder)
    assert (files(again[0]), files(again[1])) == (files(training), files(test))
    (folder / "train/n01440764/n01440764_0.JPEG").unlink()
    with pytest.raises(RunError, match=rf"{folder}/train has 17 images, not the published 18: unpack"):
        made.listed(folder)


def test_a_meta_file_that_would_run_a_program_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = small_imagenet(tmp_path, monkeypatch), tmp_path / "imagenet"
    monkeypatch.chdir(tmp_path)
    (folder / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    torch.save(Evil(), folder / "meta.bin")
    with pytest.raises(RunError, match=rf"{folder}/meta\.bin is not what it should be"):
        made.listed(tmp_path)
    assert not (tmp_path / "executed").exists()


class Evil:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("executed"),)


def test_the_files_and_labels_of_places365_are_those_that_torchvision_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, test = small_places365(tmp_path, monkeypatch).listed(tmp_path)
    for part, split in ((training, "train-standard"), (test, "val")):
        known = torchvision.datasets.Places365(tmp_path / "places365", split, small=True)
        assert files(part) == known.imgs


def test_splits_are_of_equal_classes_and_share_no_image(small: Streamed, tmp_path: Path) -> None:
    batches = opened(small, tmp_path)
    seen = {name: files(each.pictures) for name, each in batches._evaluations.items()}
    assert {name: torch.tensor([label for _, label in each]).bincount().tolist() for name, each in seen.items()} == {
        "train": [3, 3, 3], "validation": [1, 1, 1], "test": [2, 2, 2],
    }  # fmt: skip
    assert not set(seen["train"]) & set(seen["validation"])
    held_out = {place for place, _ in seen["test"]}
    assert all("/val" in place for place in held_out)
    assert not any("/val" in place for place, _ in (*seen["train"], *seen["validation"]))


def test_the_first_classes_alone_may_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_imagenet(tmp_path, monkeypatch)
    made = ImageNet.read({**SETTINGS, "train": 4, "validation": 2, "first_classes": 2}, "data.settings")
    batches = opened(made, tmp_path, batch=2)
    assert made.classes == 2
    assert {name: each.pictures.labels.tolist() for name, each in batches._evaluations.items()} == {
        "train": [0, 0, 1, 1], "validation": [0, 1], "test": [0, 0, 1, 1],
    }  # fmt: skip


def test_all_images_but_the_validation_sets_are_trained_on_unless_a_number_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_imagenet(tmp_path, monkeypatch)
    made = ImageNet.read({key: value for key, value in SETTINGS.items() if key != "train"}, "data.settings")
    assert made.examples == len(opened(made, tmp_path)._training.pictures.labels) == 15


def test_missing_data_are_told_with_where_they_were_looked_for_and_how_to_get_them(tmp_path: Path) -> None:
    made = Dataset.of_data("imagenet", {**SETTINGS, "train": 2000, "validation": 1000})
    with pytest.raises(
        RunError, match=rf"no folder train in {tmp_path}/imagenet: .*--data DIR.*image-net\.org"
    ) as told:
        made.listed(tmp_path)  # type: ignore[attr-defined]
    assert "\n" not in str(told.value)
    made = Dataset.of_data("places365", {**SETTINGS, "train": 730, "validation": 365})
    with pytest.raises(
        RunError,
        match=rf"places365_train_standard\.txt is not in {tmp_path}/places365, and the download failed .*--data DIR",
    ):
        made.listed(tmp_path)  # type: ignore[attr-defined]


def test_folders_and_files_that_are_not_as_published_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, folder = small_imagenet(tmp_path, monkeypatch), tmp_path / "imagenet"
    shutil.move(folder / "train/n01443537", folder / "train/n00000001")
    with pytest.raises(RunError, match=r"train/n00000001 is no class of ImageNet"):
        made.listed(tmp_path)
    shutil.move(folder / "train/n00000001", tmp_path / "aside")
    with pytest.raises(RunError, match=r"train/n01443537 is missing: unpack the archive again"):
        made.listed(tmp_path)
    shutil.move(tmp_path / "aside", folder / "train/n01443537")
    (folder / "train/n01443537/notes.txt").write_text("")
    with pytest.raises(RunError, match=r"train/n01443537/notes\.txt is no image of ImageNet"):
        made.listed(tmp_path)
    (folder / "train/n01443537/notes.txt").unlink()
    (folder / "val/n01443537/ILSVRC2012_val_00000002.JPEG").unlink()
    with pytest.raises(RunError, match=r"val/n01443537 has 1 images, not the published 2"):
        made.listed(tmp_path)
    devkit = folder / "ILSVRC2012_devkit_t12.tar.gz"
    devkit.write_bytes(devkit.read_bytes()[:-20])
    with pytest.raises(RunError, match=rf"{devkit} is not the published file \(MD5 \w+, published \w+\)"):
        made.listed(tmp_path)
    devkit.unlink()
    with pytest.raises(RunError, match=rf"neither {devkit.name} nor meta\.bin is in {folder}"):
        made.listed(tmp_path)


def test_a_list_of_places365_that_is_not_the_published_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = small_places365(tmp_path, monkeypatch), tmp_path / "places365"
    shutil.rmtree(folder / "val_256")
    with pytest.raises(RunError, match=rf"no folder val_256 in {folder}: unpack"):
        made.listed(tmp_path)
    monkeypatch.setattr(Places365, "training_images", 16)
    with pytest.raises(RunError, match=r"places365_train_standard\.txt is not what it should be \(not 16 names"):
        made.listed(tmp_path)
    written = (folder / "places365_train_standard.txt").read_text()
    (folder / "places365_train_standard.txt").write_text(written[:-3])
    with pytest.raises(RunError, match=r"places365_train_standard\.txt is not the published file"):
        made.listed(tmp_path)


def test_the_fingerprint_is_known_without_the_data_and_follows_the_choice_of_images(tmp_path: Path) -> None:
    """It is that of what is published and of the splits, and of nothing that an image is put through."""
    plain = {"train": 20_000, "validation": 2000, "resolution": 224, "resize": 256}
    others = [
        {"train": 30_000},
        {"validation": 1000},
        {"test": 1000},
        {"half": "a"},
        {"split_seed": 1},
        {"first_classes": 9},
    ]
    found = [known({**plain, **other}) for other in ({}, *others)]
    assert len(set(found)) == 7
    assert known({**plain, "resolution": 32, "flip": True, "mean": [0.5], "crop_area": [0.5, 1.0]}) == found[0]
    wrong = Data(name="imagenet", fingerprint="0" * 64)
    with pytest.raises(RunError, match=rf"fingerprint {found[0]}, the task was defined on 000000000000"):
        Dataset.of_data("imagenet", plain).batches(wrong, Reading(4, 8, Streams("a task", 0), Runtime()))


def known(settings: dict[str, object]) -> str:
    made = Dataset.of_data("imagenet", settings)
    assert isinstance(made, Streamed)
    return made.published_fingerprint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resize": 7}, r"resize = 7: at least the resolution, 8, is needed"),
        ({"crop_area": [0.5, 0.2]}, r"crop_area = \[0\.5, 0\.2\]: the least comes first"),
        ({"crop_area": [0.0, 0.2]}, r"data\.settings\.crop_area"),
        ({"first_classes": 1001}, r"first_classes = 1001: at most 1000"),
        ({"first_classes": 10, "train": None}, r"first_classes = 10: at most 1000, and train has to be set"),
        ({"mean": [0.1, 0.2]}, r"mean = \[0\.1, 0\.2\]: one number, or one for each of 3 channels"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes: dict[str, object], words: str) -> None:
    settings = {key: value for key, value in {**SETTINGS, **changes}.items() if value is not None}
    with pytest.raises(UsageError, match=words):
        Dataset.of_data("imagenet", settings)
