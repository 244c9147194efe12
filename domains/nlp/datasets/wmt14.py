"""The sentence pairs `wmt14`."""

from typing import ClassVar

from domains.nlp.pair_files import PairFiles
from suite.experiment.frozen import digest
from suite.experiment.learner import Split


class Wmt14(PairFiles):
    """WMT14, English to German: the hub's `wmt14`, part `de-en`, tested on newstest2014 (Bojar et al. 2014).

    Folder `wmt14`. The suite was built without these data: the fingerprint of a task on them is of what is published
    about them and of the settings that cut them, and a result's notes name the digest of the pairs that were read.
    """

    name: ClassVar[str] = "wmt14"
    folder: ClassVar[str] = "wmt14"
    below: ClassVar[str] = "de-en"
    published: ClassVar[dict[Split, int]] = {"train": 4_508_785, "validation": 3_000, "test": 3_003}

    @property
    def declared(self) -> str:
        """SHA-256 of the name, the published sizes, and the settings that choose and cut the pairs."""
        settings = self.model_dump(mode="json", exclude={"hub"})
        return digest(
            {
                "dataset": "wmt14/de-en",
                "pairs": {str(split): count for split, count in self.published.items()},
                "settings": settings,
            }
        )
