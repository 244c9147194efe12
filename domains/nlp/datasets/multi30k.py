"""The sentence pairs `multi30k`."""

from typing import ClassVar

from domains.nlp.pair_files import PairFiles
from suite.experiment.learner import Split


class Multi30k(PairFiles):
    """Multi30k: descriptions of photographs in English and German (Elliott et al. 2016); tested on test_2016_flickr.

    Folder `multi30k`.
    """

    name: ClassVar[str] = "multi30k"
    folder: ClassVar[str] = "multi30k"
    published: ClassVar[dict[Split, int]] = {"train": 29_000, "validation": 1_014, "test": 1_000}
