"""Input at speed, for `lottery bench input`: batches from memory and from files, each beside the usual way.

The usual way is a dataset that opens one image after the other with PIL, torchvision's transforms, and torch's
`DataLoader`. It is written plainly, and gets the same images, batch sizes, augmentation and worker processes.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader

from domains.vision.batches import Batch, Reading
from domains.vision.data import Images
from domains.vision.datasets.imagenet import ImageNet
from domains.vision.inputs import Inputs
from domains.vision.learner import VisionLearner
from domains.vision.memory import MemoryBatches
from domains.vision.streaming import Pictures, StreamedBatches
from suite.experiment.comparison import Comparison
from suite.experiment.learner import Span
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams

TASK = "vision/cifar10-jpeg-small-vgg-sgd"
MEAN, STD = (0.491, 0.482, 0.446), (0.245, 0.243, 0.261)
PAD = 4
BATCH, STEPS, IMAGES = 128, 10, 2560
"""Of the small images: those of a batch, steps of a round, all that there are."""
LARGE_BATCH, LARGE_STEPS, SIZE = 32, 16, (500, 375)
"""Of the large images: those of a batch, steps of a round, which see each of them once, and their usual size."""
STREAMS = Streams("lottery bench input", 0)


def comparisons(folder: Path, runtime: Runtime) -> Iterable[Comparison]:
    """Steps of the small VGG, their input alone, large images from files; see `suite.experiment.comparison.Offer`."""
    encoded = [jpeg(number, (32, 32)) for number in range(IMAGES)]
    yield Comparison(f"Step of the small VGG, batch {BATCH}, 32 pixels", STEPS, steps_of(encoded, runtime))
    yield Comparison(f"Its input alone, batch {BATCH}, 32 pixels", STEPS, small_input(encoded, runtime))
    paths = [folder / "train" / f"class{number % 4}" / f"{number}.jpeg" for number in range(LARGE_BATCH * LARGE_STEPS)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number, SIZE))
    name = f"Input of ImageNet's size, {SIZE[0]} x {SIZE[1]} to 224 pixels, batch {LARGE_BATCH}"
    yield Comparison(name, LARGE_STEPS, large_input(folder / "train", paths, runtime))


def jpeg(seed: int, size: tuple[int, int]) -> bytes:
    """An encoded image, smooth with some noise, as photographs are."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = (smooth + random.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "jpeg", quality=90)
    return file.getvalue()


def steps_of(encoded: list[bytes], runtime: Runtime) -> dict[str, Callable[[], None]]:
    """Whole training steps of one network: by loops written by hand, and by the learner in the task's precision.

    The first loop computes in float32 and torch's usual memory layout, as one writes it; the second in the task's
    bfloat16 and channels last, so that what it has above the learner is the input's and the loop's alone.
    """
    spec = Registry().find(TASK).at("lite", {"training.batch": BATCH}).spec

    def learner() -> VisionLearner:
        return VisionLearner(spec, STREAMS, Span(0, spec.training.total_steps), runtime, in_memory(encoded, runtime))

    def by_hand(autocast: bool, layout: torch.memory_format) -> Callable[[], None]:
        made, batches = learner(), endless(per_example(encoded))
        model, optimizer = made.model.to(memory_format=layout), made.optimizer

        def take() -> None:
            model.train()
            for images, labels in islice(batches, STEPS):
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    logits = model(images.to(memory_format=layout))
                loss = F.cross_entropy(logits.float(), labels)
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimizer.step()

        return take

    ours = learner()
    return {
        "PIL, DataLoader, a loop": by_hand(False, torch.contiguous_format),
        "the same in the task's precision": by_hand(True, torch.channels_last),
        "learner": lambda: ours.advance(ours.step + STEPS),
    }


def small_input(encoded: list[bytes], runtime: Runtime) -> dict[str, Callable[[], None]]:
    """Batches that no network sees."""
    usual, ours = endless(per_example(encoded)), in_memory(encoded, runtime)
    steps = iter(range(1_000_000_000))
    return {
        "PIL, DataLoader": lambda: exhaust(islice(usual, STEPS)),
        "from memory": lambda: exhaust(ours.of_step(step) for step in islice(steps, STEPS)),
    }


def large_input(folder: Path, paths: list[Path], runtime: Runtime) -> dict[str, Callable[[], None]]:
    """An epoch of large images; its workers begin and end with it, so that none works while the other side is timed."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    settings = {"validation": 50_000, "resolution": 224, "resize": 256, "mean": MEAN, "std": STD, "flip": True}
    known = ImageNet.read(settings, "data.settings")
    names = np.array([path.relative_to(folder).as_posix() for path in paths], dtype=np.bytes_)
    splits = {"train": Pictures(folder, names, torch.arange(len(paths)) % 4)}
    views, inputs = (known.in_training(), known.in_evaluation()), Inputs(*known.scale(torch.device("cpu")))
    reading = Reading(LARGE_BATCH, LARGE_STEPS, STREAMS, runtime)
    cut = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()]
    to_numbers = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD), v2.ToPureTensor()]
    pipeline = v2.Compose([*cut, *to_numbers])
    loader: DataLoader[Any] = DataLoader(
        ImageFolder(folder, pipeline), LARGE_BATCH, shuffle=True, num_workers=runtime.workers
    )

    def streamed() -> None:
        batches = StreamedBatches(splits, views, inputs, known.shape, reading)
        exhaust(batches.of_step(step) for step in range(LARGE_STEPS))

    return {"ImageFolder, DataLoader": lambda: exhaust(loader), "streamed": streamed}


def in_memory(encoded: list[bytes], runtime: Runtime) -> MemoryBatches:
    """The small images decoded once."""
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in encoded])
    labels = torch.arange(len(encoded)) % 10
    splits = {"train": Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)}
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    return MemoryBatches(splits, Inputs(mean, std, True, PAD), Reading(BATCH, 1, STREAMS, runtime))


class PerExample(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """The small images, each decoded and augmented by itself whenever it is asked for."""

    def __init__(self, encoded: list[bytes]) -> None:
        from torchvision import transforms

        self._encoded = encoded
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=PAD),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        with Image.open(io.BytesIO(self._encoded[row])) as image:
            return self._transform(image.convert("RGB")), row % 10


def per_example(encoded: list[bytes]) -> Callable[[], Iterator[Batch]]:
    """Epochs of the small images, in this process: the time is that of one thread."""
    return partial(iter, DataLoader(PerExample(encoded), BATCH, shuffle=True, drop_last=True))


def endless(epoch: Callable[[], Iterator[Batch]]) -> Iterator[Batch]:
    """The batches of one epoch behind another."""
    while True:
        yield from epoch()


def exhaust(batches: Iterable[object]) -> None:
    """Take all of them."""
    for _ in batches:
        pass
