"""Images in parquet files, as datasets of the Hugging Face hub have them: a column of encoded images, one of labels.

Decoding takes seconds, so it is done once: the pixels lie in the user's cache, under the digest of their file.
"""

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from domains.vision.data import Images
from domains.vision.files import PLACE, Files, cache, in_a_line, reading
from domains.vision.published import Published, joined, labelled
from suite.experiment.errors import RunError
from suite.experiment.frozen import digest

ROWS_AT_ONCE = 1000


class ParquetDataset(Published):
    """Colour images in `<name>/**/<part>*.parquet` below the folder of datasets, or in a dataset of the hub."""

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
        files = Files(self._folder(root))
        training, test = (self._set(files, part) for part in (self.training_files, self.test_files))
        return training, test, files

    def _folder(self, root: Path | None) -> Path:
        folder = (cache() if root is None else root) / self.name
        if _parts(folder, self.training_files):
            return folder
        if self.hub is None:
            raise RunError(
                f"{self.name}: there is no {self.training_files}*.parquet in {folder}: {PLACE}, or name a dataset of "
                "the Hugging Face hub, --set data.settings.hub=OWNER/NAME"
            )
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.hub, repo_type="dataset", allow_patterns="*.parquet"))
        except Exception as error:  # the hub's client raises all kinds
            raise RunError(
                f"{self.name}: it is not in {folder}, and the download of {self.hub} from the Hugging Face hub failed "
                f"({in_a_line(error)}): {PLACE}"
            ) from error

    def _set(self, files: Files, part: str) -> Images:
        places = _parts(files.root, part)
        if not places:
            raise RunError(f"{self.name}: there is no {part}*.parquet in {files.root}: {PLACE}")
        return joined([self._file(files, place) for place in places])

    def _file(self, files: Files, place: Path) -> Images:
        """What a file holds, from the cache if it was decoded before."""
        import PIL

        name = place.relative_to(files.root).as_posix()
        files.read(name)
        _, content = files.manifest[name]
        key = digest([content, self.image_column, self.label_column, PIL.__version__])
        kept = cache() / "decoded" / f"{key}.safetensors"
        tensors = _kept(kept)
        if tensors is None:
            images, labels = _decoded(place, self.image_column, self.label_column)
            tensors = {"images": images, "labels": labels}
            _keep(tensors, kept)
        with reading(place):
            return labelled(tensors["images"], tensors["labels"], self.stored_shape, self.classes)


def _parts(folder: Path, part: str) -> list[Path]:
    return sorted(folder.rglob(f"{part}*.parquet"))


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


def _kept(place: Path) -> dict[str, Tensor] | None:
    """Tensors that were kept; None if they were not, or not whole."""
    try:
        tensors = load_file(place)
    except (OSError, SafetensorError):
        return None
    return tensors if set(tensors) == {"images", "labels"} else None


def _keep(tensors: Mapping[str, Tensor], place: Path) -> None:
    """Keep tensors under a name that they get when they are whole; nowhere if the cache cannot be written."""
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(save(dict(tensors)))
        os.replace(file.name, place)
