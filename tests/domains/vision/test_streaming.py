"""Streamed batches hang on step and streams alone, whoever reads them, and nothing is left running."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from domains.vision.batches import Batch
from domains.vision.learner import VisionLearner
from domains.vision.streamed import Streamed
from domains.vision.streaming import StreamedBatches
from suite.experiment.errors import RunError
from suite.experiment.learner import Span
from suite.experiment.randomness import state
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import Data, TaskSpec
from tests.domains.vision.noise import task
from tests.domains.vision.streams import SETTINGS, opened, small_imagenet

CPU = torch.device("cpu")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Streamed:
    return small_imagenet(tmp_path, monkeypatch)


def equal(one: Batch, other: Batch) -> bool:
    return all(map(torch.equal, one, other))


def workers() -> list[int]:
    """Process ids of the readers that run."""
    return [process.pid for process in multiprocessing.active_children() if process.pid]


def ended() -> bool:
    """Whether all readers end within some seconds."""
    until = time.monotonic() + 10
    while workers() and time.monotonic() < until:
        time.sleep(0.01)
    return not workers()


def test_zero_and_four_workers_give_the_same_bits(small: Streamed, tmp_path: Path) -> None:
    alone, helped = opened(small, tmp_path), opened(small, tmp_path, workers=4)
    assert all(equal(alone.of_step(step), helped.of_step(step)) for step in range(8))
    assert all(map(equal, alone.of_split("test"), helped.of_split("test")))
    assert ended()


def test_a_batch_hangs_on_its_step_and_on_no_other_that_was_read(small: Streamed, tmp_path: Path) -> None:
    in_order = [opened(small, tmp_path).of_step(step) for step in range(6)]
    helped = opened(small, tmp_path, workers=2)
    assert all(equal(helped.of_step(step), in_order[step]) for step in (3, 4, 0, 5, 3))
    again = opened(small, tmp_path, last=3)
    assert equal(again.of_step(5), in_order[5]), "as a probe beyond the run asks for it"


def test_reading_takes_no_random_number_of_the_training_run(small: Streamed, tmp_path: Path) -> None:
    """Or a resumed run, whose readers start anew, would have other dropout."""
    for number in (0, 2):
        before = state(CPU)
        batches = opened(small, tmp_path, number)
        batches.of_step(0)
        next(batches.of_split("test"))
        assert state(CPU) == before
    first = opened(small, tmp_path).of_step(1)
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    assert equal(first, opened(small, tmp_path).of_step(1))


def test_each_step_augments_an_image_anew_and_an_evaluation_never(small: Streamed, tmp_path: Path) -> None:
    batches = opened(small, tmp_path, batch=9, last=30)
    seen = [batches.of_step(step) for step in range(30)]
    of_one = {images[labels == 0][0].numpy().tobytes() for images, labels in seen}
    assert len(of_one) == 30
    assert equal(next(batches.of_split("test")), next(batches.of_split("test")))
    assert all((images.shape, images.dtype) == ((9, 3, 8, 8), torch.float32) for images, _ in seen)
    assert all(labels.bincount().tolist() == [3, 3, 3] for _, labels in seen), "an epoch has every image once"


def test_an_evaluation_shows_the_centre_of_each_image_scaled_by_channel(small: Streamed, tmp_path: Path) -> None:
    from torchvision.transforms import v2

    images, labels = next(opened(small, tmp_path).of_split("test"))
    evaluation = opened(small, tmp_path)._evaluations["test"]
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    for row in range(6):
        resized = v2.functional.resize(evaluation.pictures.read(row), [10], antialias=True)
        assert resized.shape == (3, 10, 13)
        centre = v2.functional.center_crop(resized, [8, 8])
        assert torch.allclose(images[row], (centre / 255 - 0.5) / 0.25, atol=1e-6)


@pytest.mark.parametrize("flip", [True, False])
def test_half_of_the_training_images_are_mirrored_if_the_task_says_so(
    small: Streamed, tmp_path: Path, flip: bool
) -> None:
    whole = {**SETTINGS, "crop_area": [1.0, 1.0], "crop_ratio": [4 / 3, 4 / 3]}  # the images are 40 by 30
    batches = opened(type(small).read({**whole, "flip": flip}, "data.settings"), tmp_path)
    plain = {image.numpy().tobytes() for image in stretched(batches)}
    turned = {image.flip(2).contiguous().numpy().tobytes() for image in stretched(batches)}
    seen = [image.numpy().tobytes() for step in range(8) for image in batches.of_step(step)[0]]
    assert all(image in plain | turned for image in seen)
    mirrored = sum(image in turned for image in seen)
    assert (5 < mirrored < 27) if flip else mirrored == 0


def stretched(batches: StreamedBatches) -> Tensor:
    """The training images, each resized as a whole."""
    from torchvision.transforms import v2

    pictures = batches._training.pictures
    whole = [v2.functional.resize(pictures.read(row), [8, 8], antialias=True) for row in range(len(pictures.labels))]
    return batches._inputs.scaled(torch.stack(whole))


def test_readers_run_ahead_and_end_with_the_run_or_with_whoever_asked_for_them(small: Streamed, tmp_path: Path) -> None:
    batches = opened(small, tmp_path, workers=2, last=4)
    assert not workers(), "none before the first step"
    batches.of_step(0)
    running = workers()
    assert len(running) == 2
    batches.of_step(1)
    assert workers() == running, "the same ones go on"
    batches.of_step(2)
    batches.of_step(3)
    assert ended(), "behind the last step"
    batches.of_step(0)
    assert len(workers()) == 2
    del batches
    assert ended()


@pytest.mark.parametrize(("content", "number"), [("truncated", 0), ("foreign", 0), ("missing", 0), ("truncated", 2)])
def test_an_image_that_cannot_be_read_is_named_in_one_line(
    small: Streamed, tmp_path: Path, number: int, content: str
) -> None:
    batches = opened(small, tmp_path, number)
    pictures = batches._training.pictures
    place = pictures.folder / pictures.names[0].decode()
    whole = place.read_bytes()
    place.unlink()
    if content != "missing":
        place.write_bytes(whole[:-200] if content == "truncated" else b"no image at all")
    missing = content == "missing"
    what = r"cannot be read: No such file" if missing else r"is not what it should be \(.*\): fetch it again"
    with pytest.raises(RunError, match=rf"{place} {what}") as told:
        run(batches, 8)
    assert "\n" not in str(told.value)
    with pytest.raises(RunError, match=rf"{place} {what}"):
        list(batches.of_split("train"))
    assert ended()


def run(batches: StreamedBatches, steps: int, first: int = 0) -> None:
    for step in range(first, steps):
        batches.of_step(step)


def test_a_reader_that_is_killed_ends_the_cell_with_a_remedy_and_not_the_suite(small: Streamed, tmp_path: Path) -> None:
    batches = opened(small, tmp_path, workers=2, last=1000)
    batches.of_step(0)
    os.kill(workers()[0], signal.SIGKILL)
    with pytest.raises(RunError, match=r"a process that reads images failed \(.*\): .*--workers"):
        run(batches, 1000, 1)
    assert ended()


def learner(root: Path, small: Streamed, workers: int = 0, first: int = 0) -> VisionLearner:
    data = Data(name="imagenet", fingerprint=small.published_fingerprint, settings=SETTINGS)  # type: ignore[arg-type]
    made = task("small-vgg", "morcos2019-sgd", "short", model__widths=[4, 4], model__pools=[1], training__batch=3).spec
    spec: TaskSpec = made.model_copy(update={"data": data})
    return VisionLearner(spec, Streams("a task", 1000), Span(first, 10), Runtime(data=root, workers=workers))


def weights(made: VisionLearner) -> list[Tensor]:
    return list(made.model.state_dict().values())


def test_a_run_is_the_same_whoever_reads_and_wherever_it_is_resumed(small: Streamed, tmp_path: Path) -> None:
    whole, helped = learner(tmp_path, small), learner(tmp_path, small, 2)
    whole.advance(10)
    helped.advance(4)
    halfway = helped.snapshot()
    resumed = learner(tmp_path, small, 1)
    resumed.restore(halfway)
    for each in (helped, resumed):
        each.advance(10)
        assert all(map(torch.equal, weights(whole), weights(each)))
        assert each.evaluate("test") == whole.evaluate("test")
        assert each.trace() == whole.trace()
    late = learner(tmp_path, small, first=4)
    assert equal(late._batches.of_step(4), whole._batches.of_step(4))


def test_readers_end_with_their_learner(small: Streamed, tmp_path: Path) -> None:
    made = learner(tmp_path, small, 2)
    made.advance(3)
    made.probes(2)
    made.recalibrate(2)
    assert len(workers()) == 2
    del made
    assert ended()
