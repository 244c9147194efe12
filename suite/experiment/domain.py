"""A domain's manifest, `domain.toml`: what the core must know of a domain without importing it.

A domain is a folder of the package `domains` with a manifest in it, and with its tasks in `tasks/`. A third party's is
a package of the same form, named by an entry point of the group `lottery.domains`.
"""

import platform
import tomllib
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from packaging.markers import Marker
from pydantic import Field, ValidationError, field_validator

from suite import RESULT_VERSION
from suite.experiment.errors import UsageError
from suite.experiment.explain import refusal
from suite.experiment.frozen import Frozen

PACKAGE = "domains"
MANIFEST = "domain.toml"
COMPUTING = ("python", "torch", "numpy")
"""What the bits of every result depend on."""


class Extra(Frozen):
    """A library that some of a domain's learners need beside the domain's own, and where it is to be had."""

    learners: str = Field(description="module of the learners that need it")
    install: str = Field(description="what pip is given to install it with the domain's libraries")
    marker: str = Field(description="environment marker (PEP 508) of the machines that it can be installed on")
    about: str = Field(description="the same in words")

    @field_validator("marker")
    @classmethod
    def _is_a_marker(cls, marker: str) -> str:
        Marker(marker)
        return marker

    @property
    def left_out(self) -> str | None:
        """Why it is not to be had on this machine; None where it is."""
        if Marker(self.marker).evaluate():
            return None
        here = f"Python {'.'.join(platform.python_version_tuple()[:2])} on {platform.system()} {platform.machine()}"
        return f"left out here: {self.about}, and this is {here}"


class Manifest(Frozen):
    """What a domain says of itself.

    A result version is raised whenever a change of code can change a number of that learner: its stored cells, and no
    others, are then never used again.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9]+$")] = Field(description="first part of the ids of its tasks")
    title: str = Field(description="the domain in a few words")
    install: str = Field(description="what pip is given to install its libraries")
    computing: tuple[str, ...] = Field(
        default=(), description="distributions that the bits of its results depend on, besides python, torch and numpy"
    )
    input_bench: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = Field(
        default=None, description="function that offers what `lottery bench input` times, module:name"
    )
    extras: dict[str, Extra] = Field(
        default={}, description="libraries that some of its learners need beside these, by the name of their import"
    )
    result_versions: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={}, description="version of each of its learners and cohorts, by module:name"
    )


class Domain(Manifest):
    """A domain that was found: its manifest, its package, and the distribution of a third party (empty: built in)."""

    package: str
    code: str = ""

    @property
    def tasks(self) -> Path:
        """The folder of its task files."""
        return _folder(self.package) / "tasks"


class ResultVersions(Frozen):
    """The versions of core and learner that made a number; before they were recorded, both were 1."""

    core: int = 1
    learner: int = 1

    def older_than(self, other: "ResultVersions") -> bool:
        """Whether core or learner has been raised since."""
        return self.core < other.core or self.learner < other.learner

    def __str__(self) -> str:
        return f"core {self.core}, learner {self.learner}"


@cache
def domains() -> dict[str, Domain]:
    """The domains that come with the suite and those of third parties, by name; none of their code is run.

    Raises UsageError for a manifest that is missing or wrong, and for two domains of one name.
    """
    found: dict[str, Domain] = {}
    folders = (folder.name for folder in files(PACKAGE).iterdir() if folder.joinpath(MANIFEST).is_file())
    packages = {f"{PACKAGE}.{name}": "" for name in sorted(folders)}
    for point in entry_points(group="lottery.domains"):
        packages[point.value] = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    for package, code in packages.items():
        domain = _read(package, code)
        if domain.name in found:
            raise UsageError(f"{package}: domain {domain.name!r} exists already in {found[domain.name].package}")
        found[domain.name] = domain
    return found


def domain_of(reference: str) -> Domain | None:
    """The domain whose package holds a learner (`domains.vision.learner:VisionLearner`); None for a plugin's."""
    return next((each for each in domains().values() if reference.startswith(f"{each.package}.")), None)


def extra_of(reference: str) -> tuple[str, Extra] | None:
    """The library, by name, that a learner needs beside those of its domain; None if there is none."""
    domain = domain_of(reference)
    extras = {} if domain is None else domain.extras
    return next((each for each in extras.items() if reference.partition(":")[0] == each[1].learners), None)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"the domain package {package} does not exist: an entry point of lottery.domains names it")
    return Path(spec.submodule_search_locations[0])


def _read(package: str, code: str) -> Domain:
    path = _folder(package) / MANIFEST
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the manifest {path} cannot be read: {error}") from error
    try:
        Manifest(**table)
    except ValidationError as error:
        raise UsageError(f"{path}: {refusal(error, Manifest, table)}") from error
    return Domain(**table, package=package, code=code)


def computing(domain: str) -> tuple[str, ...]:
    """The distributions that the bits of a domain's results depend on; of a domain not known here, those of all."""
    known = domains()
    wanted = [known[domain]] if domain in known else known.values()
    return (*COMPUTING, *dict.fromkeys(name for each in wanted for name in each.computing))


def result_versions(reference: str) -> ResultVersions:
    """Today's versions for a learner or cohort; that of a third party stays 1, its code is known by a digest."""
    known = {name: version for domain in domains().values() for name, version in domain.result_versions.items()}
    return ResultVersions(core=RESULT_VERSION, learner=known.get(reference, 1))
