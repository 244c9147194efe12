"""Batches of image files: read, decoded and augmented by worker processes while a network trains."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from domains.vision.batches import Batch, Reading, at_once
from domains.vision.inputs import Inputs
from suite.experiment.datafiles import in_a_line, reading
from suite.experiment.errors import RunError
from suite.experiment.learner import Split
from suite.experiment.randomness import own_random
from suite.experiment.runtime import Runtime
from suite.experiment.supervised import Order

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Pictures:
    """Image files of a split: their folder, their names below it (bytes [N]), their labels (int64 [N]).

    The names are one array, so that worker processes share its memory, which they would not a list's.
    """

    folder: Path
    names: np.ndarray
    labels: Tensor

    def rows(self, rows: Tensor) -> "Pictures":
        """The files of some row numbers."""
        return Pictures(self.folder, self.names[rows.numpy()], self.labels[rows])

    def of_first(self, classes: int) -> "Pictures":
        """The files of the first classes."""
        return self if int(self.labels.max()) < classes else self.rows((self.labels < classes).nonzero().flatten())

    def read(self, row: int) -> Tensor:
        """A file's pixels (uint8 [3, H, W]), whatever they are stored as; raises RunError that names the file."""
        from PIL import Image

        place = self.folder / self.names[row].decode()
        with reading(place), Image.open(place) as image:
            image.load()
            pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1)  # not copied: resizing is faster with channels last


class View(Protocol):
    """What makes of pixels of any size (uint8 [3, H, W]) those of one size, with torch's random numbers if any."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """The image as it is stacked into a batch (uint8)."""


@dataclass(frozen=True)
class Training:
    """The training images of a step, by the step's own random numbers."""

    pictures: Pictures
    view: View
    order: Order
    reading: Reading

    def __getitem__(self, step: int) -> Batch | RunError:
        """A batch before it is scaled; an error is returned, since a worker would raise it with its traceback."""
        with own_random(CPU, self.reading.streams.seed("data", 0, step)):
            return _stacked(self.pictures, self.order.rows(step).tolist(), self.view)


@dataclass(frozen=True)
class Evaluation:
    """The images of a split in its order, `size` at a time."""

    pictures: Pictures
    view: View
    size: int

    def __getitem__(self, place: int) -> Batch | RunError:
        """The batch of a place, before it is scaled, or what went wrong."""
        first = place * self.size
        return _stacked(self.pictures, range(first, min(first + self.size, len(self.pictures.labels))), self.view)


def _stacked(pictures: Pictures, rows: Sequence[int], view: View) -> Batch | RunError:
    try:
        return torch.stack([view(pictures.read(row)) for row in rows]), pictures.labels[list(rows)]
    except RunError as error:
        return error


class StreamedBatches:
    """Batches of files; see `domains.vision.batches.Batches`.

    Workers read ahead from the first step that is asked for to the run's last one, and end behind it, or when this
    object is gone; a step out of turn starts them anew. Each batch is one worker's, by random numbers of its own, so
    that their number changes no bit.
    """

    def __init__(
        self, splits: Mapping[str, Pictures], views: tuple[View, View], inputs: Inputs, shape: tuple[int, int, int],
        reading: Reading,
    ) -> None:  # fmt: skip
        training, evaluation = views
        order = Order(len(splits["train"].labels), reading.batch, reading.generator)
        self._training = Training(splits["train"], training, order, reading)
        self._evaluations = {name: Evaluation(split, evaluation, at_once(shape)) for name, split in splits.items()}
        self._inputs, self._runtime, self._last = inputs, reading.runtime, reading.last
        self._ahead: Ahead | None = None

    def of_step(self, step: int) -> Batch:
        """Training images of a step, augmented; raises RunError that names a file which cannot be read."""
        if self._ahead is None or self._ahead.next != step:
            self._ahead = None  # the former workers end before there are new ones
            self._ahead = Ahead(self._training, range(step, max(self._last, step + 1)), self._runtime)
        return self._seen(self._ahead.take())

    def of_split(self, split: Split) -> Iterator[Batch]:
        """All images of a split once."""
        evaluation = self._evaluations[split]
        places = range(-(-len(evaluation.pictures.labels) // evaluation.size))
        ahead = Ahead(evaluation, places, self._runtime)
        for _ in places:
            yield self._seen(ahead.take())

    def _seen(self, batch: Batch) -> Batch:
        """A batch on the run's device, as a network sees it."""
        images, labels = (each.to(self._runtime.device, non_blocking=True) for each in batch)
        return self._inputs.scaled(images), labels


class Ahead:
    """Batches by consecutive keys, read ahead by worker processes, which end behind the last one or at an error."""

    def __init__(self, source: Training | Evaluation, keys: range, runtime: Runtime) -> None:
        loader: DataLoader[Any] = DataLoader(
            source,  # type: ignore[arg-type]  # a dataset is whatever has items
            batch_size=None,
            sampler=keys,
            num_workers=runtime.workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # no list: batches come whole
            generator=torch.Generator(),  # its own: the loader draws a number that workers would be seeded by
            pin_memory=runtime.kind == "cuda",
        )
        self._keys = iter(keys)
        self.next: int | None = next(self._keys)
        """Key of the next batch; None behind the last one."""
        self._batches: Iterator[Batch | RunError] = iter(loader)

    def take(self) -> Batch:
        """The next batch; raises RunError for one that cannot be read, and for workers that do not live."""
        try:
            found = next(self._batches)
        except (RuntimeError, OSError) as error:  # a worker was killed, or has no memory to hand its batch over in
            self._kill()
            raise RunError(
                f"a process that reads images failed ({in_a_line(error)}): give it more (shared) memory, or fewer "
                "processes by --workers"
            ) from error.with_traceback(None)  # which would keep the other workers
        self.next = next(self._keys, None)
        if self.next is None or isinstance(found, RunError):
            self._end()
        if isinstance(found, RunError):
            raise found
        return found

    def _kill(self) -> None:
        """End what is left of the workers, of which one has failed."""
        shut_down = getattr(self._batches, "_shutdown_workers", None)  # there is none where no process reads
        if shut_down is not None:
            # While it waits for the others it raises the failure once more: in its own `__del__` nobody could catch it.
            with suppress(RuntimeError):
                shut_down()
        self._end()

    def _end(self) -> None:
        self.next, self._batches = None, iter(())


def _as_it_is(batch: Batch | RunError) -> Batch | RunError:
    return batch
