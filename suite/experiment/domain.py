"""A domain's manifest, `domains/<name>/domain.toml`: what the core must know of a domain without importing it."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from suite import RESULT_VERSION
from suite.experiment.frozen import Frozen

PACKAGE = "domains"
MANIFEST = "domain.toml"
COMPUTING = ("python", "torch", "numpy")
"""What the bits of every result depend on."""


class Domain(Frozen):
    """One domain. `computing` names the distributions that the bits of its results depend on.

    `result_versions` has an entry for each of its learners and cohorts, by their references.

    A version is raised whenever a change of code can change a number of that learner: its stored cells, and no others,
    are then never used again.
    """

    name: str
    computing: tuple[str, ...] = ()
    result_versions: dict[str, Annotated[int, Field(ge=1)]]


class ResultVersions(Frozen):
    """The versions of core and learner that made a number; before they were recorded, both were 1."""

    core: int = 1
    learner: int = 1


@cache
def domains() -> dict[str, Domain]:
    """The domains that come with the suite, by name."""
    folders = sorted(files(PACKAGE).iterdir(), key=lambda folder: folder.name)
    manifests = [folder.joinpath(MANIFEST) for folder in folders if folder.is_dir()]
    found = [Domain(**tomllib.loads(path.read_text("utf-8"))) for path in manifests if path.is_file()]
    return {domain.name: domain for domain in found}


def computing(domain: str) -> tuple[str, ...]:
    """The distributions that the bits of a domain's results depend on; of a domain not known here, those of all."""
    known = domains()
    wanted = [known[domain]] if domain in known else known.values()
    return (*COMPUTING, *dict.fromkeys(name for each in wanted for name in each.computing))


def result_versions(reference: str) -> ResultVersions:
    """Today's versions for a learner or cohort; that of a third party stays 1, its code is known by a digest."""
    known = {name: version for domain in domains().values() for name, version in domain.result_versions.items()}
    return ResultVersions(core=RESULT_VERSION, learner=known.get(reference, 1))
