"""Imports what a task names by `module:attribute`: its learner, its cohort, its references."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from suite.experiment.domain import domain_of, extra_of
from suite.experiment.errors import RunError, UsageError
from suite.experiment.learner import Build, BuildCohort, References
from suite.experiment.runtime import Runtime
from suite.experiment.task import TaskSpec


def builder(spec: TaskSpec) -> Build:
    """The function that makes a task's learner; raises RunError naming the extra when its libraries are missing."""
    return cast(Build, _load(spec.learner, spec))


def cohort_builder(spec: TaskSpec) -> BuildCohort:
    """The function that makes a task's cohorts; the task must offer one."""
    if spec.cohort is None:
        raise UsageError(f"{spec.id} offers no cohort: run it without --exec cohort")
    return cast(BuildCohort, _load(spec.cohort, spec))


@contextmanager
def installed(spec: TaskSpec) -> Iterator[None]:
    """A library that is missing or broken while a task's learner is imported or built is a RunError that names it."""
    try:
        yield
    except ModuleNotFoundError as error:
        domain, needed = domain_of(spec.learner), extra_of(spec.learner)
        of_name = domain.extras.get(error.name or "") if domain else None
        extra = needed[1] if needed else of_name
        if extra is not None and extra.left_out:
            raise RunError(f"{spec.id} needs {error.name!r}, which is {extra.left_out}") from error
        package = f"'{(extra or domain).install}'" if domain else error.name
        raise RunError(f"{spec.id} needs {error.name!r}, which is not installed: pip install {package}") from error
    except ImportError as error:
        named = (error.name or "").split(".")[0]
        if named in ("suite", spec.learner.split(".")[0]):
            raise
        what = f"{named!r}" if named else "a library"
        raise RunError(
            f"{spec.id} needs {what}, which is installed but cannot be loaded ({error}): "
            "install it again, or what it lacks"
        ) from error


def _load(reference: str, spec: TaskSpec) -> object:
    module_name, _, attribute = reference.partition(":")
    try:
        with installed(spec):
            return getattr(importlib.import_module(module_name), attribute)
    except AttributeError as error:
        raise UsageError(f"{spec.id}: learner {reference!r} does not exist") from error


def references(spec: TaskSpec, runtime: Runtime) -> dict[str, dict[str, float]]:
    """Test scores of simple models on the task's data, if the task offers any."""
    if spec.references is None:
        return {}
    with installed(spec):
        found = cast(References, _load(spec.references, spec))(spec, runtime)
    return {name: dict(scores) for name, scores in found.items()}
