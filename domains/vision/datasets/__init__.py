"""The image datasets that a task may name, one class a file."""

from abc import abstractmethod
from typing import Any, ClassVar

from domains.vision.batches import Batches, Reading
from suite.experiment.component import Component
from suite.experiment.task import Data


class Dataset(Component):
    """Labelled images of `classes` classes, in three splits: `train`, `validation`, `test`."""

    table: ClassVar[str] = "data.settings"
    classes: ClassVar[int]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a network sees it."""

    @property
    @abstractmethod
    def examples(self) -> int:
        """Training images, known without reading them."""

    @abstractmethod
    def batches(self, data: Data, reading: Reading) -> Batches:
        """What a run reads, from the folder of datasets if one is named.

        Raises RunError for data that are missing, damaged, or not those that the task was defined on.
        """

    def epoch_steps(self, batch: int, settings: Any) -> int:
        """Steps in one pass over the training images; a remainder is left out."""
        return self.examples // batch
