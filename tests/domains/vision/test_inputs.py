"""Batches are cut, mirrored and scaled as a whole, by the numbers of their step alone."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from domains.vision.datasets import Dataset
from domains.vision.inputs import Inputs
from domains.vision.learner import VisionLearner
from suite.experiment.learner import Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data
from tests.domains.vision import layouts

IMAGES = torch.randint(1, 256, (64, 3, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def augmented(flip: bool, pad: int, seed: int = 0) -> Tensor:
    return Inputs(flip=flip, pad=pad).augmented(IMAGES, torch.Generator().manual_seed(seed))


def test_every_image_is_cut_out_of_its_own_padded_one_at_a_place_of_its_own() -> None:
    padded = F.pad(IMAGES, (2, 2, 2, 2))
    places = []
    for image, whole in zip(augmented(False, 2), padded, strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(image, whole[:, top : top + 6, left : left + 6])
        ]
        assert len(found) == 1
        places += found
    assert {top for top, _ in places} == {left for _, left in places} == set(range(5))
    assert len(set(places)) > 15


def test_about_half_of_the_images_are_mirrored() -> None:
    mirrored = 0
    for image, original in zip(augmented(True, 0), IMAGES, strict=True):
        assert torch.equal(image, original) != torch.equal(image, original.flip(2))
        mirrored += torch.equal(image, original.flip(2))
    assert 20 < mirrored < 44


def test_the_same_numbers_give_the_same_batch() -> None:
    assert torch.equal(augmented(True, 2), augmented(True, 2))
    assert not torch.equal(augmented(True, 2), augmented(True, 2, seed=1))


def test_pixels_are_scaled_a_channel_at_a_time() -> None:
    settings = {"validation": 10, "mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 1.0]}
    scaled = Dataset.of_data("cifar10", settings).inputs(torch.device("cpu")).scaled(IMAGES)
    unit = IMAGES.double() / 255
    for channel, (mean, std) in enumerate([(0.5, 0.5), (0.25, 0.25), (0.0, 1.0)]):
        assert torch.allclose(scaled[:, channel].double(), (unit[:, channel] - mean) / std, atol=1e-6)
    assert scaled.dtype is torch.float32


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    layouts.write_idx(folder / "MNIST", layouts.drawn(12, 10, 28, 1), layouts.drawn(3, 10, 28, 1, seed=1))
    return folder


def learner(root: Path, first: int = 0, **settings: bool | int) -> VisionLearner:
    known = Dataset.of_data("mnist", {"train": 100, "validation": 20, **settings})
    data = Data(name="mnist", fingerprint=known.load(root)[1], settings={"train": 100, "validation": 20, **settings})
    smoke = Registry().find("vision/mnist5k-lenet300").at("smoke").spec
    spec = smoke.model_copy(update={"data": data})
    return VisionLearner(spec, Streams("a task", 1000), Span(first, 40), Runtime(data=root))


def test_a_run_that_starts_at_k_sees_the_augmented_batches_of_step_k_on(root: Path) -> None:
    whole, late = learner(root, flip=True, pad=4), learner(root, first=7, flip=True, pad=4)
    for step in range(7):
        whole._batches.of_step(step)
    assert torch.equal(whole._batches.of_step(7)[0], late._batches.of_step(7)[0])
    assert torch.equal(whole._batches.of_step(3)[0], late._batches.of_step(3)[0]), "whatever came before"


def test_augmentation_changes_with_the_step_and_leaves_order_and_test_set_alone(root: Path) -> None:
    plain, moved = learner(root), learner(root, flip=True, pad=4)
    plain.model.load_state_dict(moved.model.state_dict())
    assert torch.equal(plain._batches.of_step(0)[1], moved._batches.of_step(0)[1])
    assert not torch.equal(plain._batches.of_step(0)[0], moved._batches.of_step(0)[0])
    assert plain.evaluate("test") == moved.evaluate("test")
    image, inputs = next(moved._batches.of_split("train"))[0][:1], Inputs(flip=True, pad=4)
    seen = {inputs.augmented(image, moved.generator(0, step)).numpy().tobytes() for step in range(20)}
    assert len(seen) > 15


def test_it_trains_on_bytes_as_on_the_numbers_they_stand_for(root: Path) -> None:
    made = learner(root)
    images, _ = made._batches.of_step(0)
    assert (images.dtype, float(images.min()), float(images.max())) == (torch.float32, 0.0, 1.0)
    before = made.evaluate("train")["loss"]
    made.advance(40)
    assert made.evaluate("train")["loss"] < 0.8 * before
