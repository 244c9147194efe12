"""Images in parquet files, as datasets of the Hugging Face hub have them: a column of encoded images, one of labels.

Decoding takes seconds, so it is done once: the pixels lie in the user's cache, under the digest of their file.
"""

import io
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from domains.vision.data import Images
from domains.vision.stored import Stored, joined, labelled
from suite.experiment.datafiles import (
    PLACE,
    Files,
    cache,
    keep,
    kept,
    parquet_folder,
    parquet_names,
    parquet_parts,
    reading,
)
from suite.experiment.errors import RunError
from suite.experiment.frozen import digest

ROWS_AT_ONCE = 1000


class ParquetDataset(Stored):
    """Colour images in `<name>/**/<part>[-N-of-N].parquet` below the folder of datasets, or in a dataset of the hub."""

    image_column: ClassVar[str]
    label_column: ClassVar[str] = "label"
    training_files: ClassVar[str] = "train"
    """What the names of the training set's files begin with."""
    test_files: ClassVar[str]

    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = Field(
        default=None, description="id of a dataset of the Hugging Face hub, read where there is no folder of this name"
    )

    def stored(self, root: Path | None) -> tuple[Images, Images, Files]:
        """Both sets (uint8 [N, C, H, W]), decoded."""
        files = Files(parquet_folder(root, self.name, self.training_files, self.hub))
        training, test = (self._set(files, part) for part in (self.training_files, self.test_files))
        return training, test, files

    def _set(self, files: Files, part: str) -> Images:
        places = parquet_parts(files.root, part)
        if not places:
            raise RunError(f"{self.name}: there is no {parquet_names(part)} in {files.root}: {PLACE}")
        return joined([self._file(files, place) for place in places])

    def _file(self, files: Files, place: Path) -> Images:
        """What a file holds, from the cache if it was decoded before."""
        import PIL

        name = place.relative_to(files.root).as_posix()
        files.read(name)
        key = digest([files.manifest[name], self.image_column, self.label_column, PIL.__version__])
        decoded = cache() / "decoded" / f"{key}.safetensors"
        tensors = kept(decoded, ("images", "labels"))
        if tensors is None:
            images, labels = _decoded(place, self.image_column, self.label_column)
            tensors = {"images": images, "labels": labels}
            keep(tensors, decoded)
        with reading(place):
            return labelled(tensors["images"], tensors["labels"], self.stored_shape, self.classes)


def _decoded(place: Path, image_column: str, label_column: str) -> tuple[Tensor, Tensor]:
    """Images (uint8 [N, 3, H, W]) and labels of a file; grey ones become three channels."""
    import datasets
    from PIL import Image

    images: list[np.ndarray] = []
    labels: list[int] = []
    with reading(place):
        rows = datasets.load_dataset("parquet", data_files=[str(place)], split="train", streaming=True)
        if missing := {image_column, label_column} - set(rows.column_names or ()):
            raise ValueError(f"no column {min(missing)}")
        encoded = rows.cast_column(image_column, datasets.Image(decode=False))
        for batch in encoded.iter(ROWS_AT_ONCE):
            opened = (Image.open(io.BytesIO(each["bytes"])) for each in batch[image_column])
            images += [np.asarray(image.convert("RGB")) for image in opened]
            labels += batch[label_column]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)
