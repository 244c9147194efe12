"""Where numbers come from: versions, hardware and revision of the machine and code that made them."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import suite
from suite.experiment.domain import domains
from suite.experiment.result import Provenance

DISTRIBUTION = "lottery-suite"


def provenance(data_fingerprint: str, device: str, threads: int, execution: str) -> Provenance:
    """The present process's provenance; dates are UTC."""
    revision, dirty = _revision()
    return Provenance(
        suite_version=suite.__version__,
        git_revision=revision,
        dirty=dirty,
        versions=_versions(),
        hardware=_hardware(),
        data_fingerprint=data_fingerprint,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        device=device,
        execution=execution,
        threads=threads,
    )


@cache
def _versions() -> dict[str, str]:
    """Python, and every installed package that the distribution names, extras included, or a domain's manifest."""
    found = {"python": platform.python_version()}
    try:
        named = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        named = []
    for requirement in (*named, *(name for domain in domains().values() for name in domain.computing)):
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(found.items()))


@cache
def _hardware() -> dict[str, str | int]:
    """One processor name ("AMD EPYC") can stand for several: family and model, and torch's kernels, tell them apart."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        facts = dict(
            re.findall(r"^(model name|cpu family|model|stepping)\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE)
        )
        numbers = [facts[key] for key in ("cpu family", "model", "stepping") if key in facts]
        model = " ".join([facts.get("model name", model), *(["/".join(numbers)] if numbers else [])])
    return {
        "cpu": model,
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count() or 1,
        "machine": platform.machine(),
        "system": platform.system(),
    }


@cache
def _revision() -> tuple[str | None, bool | None]:
    """Revision of the checkout that the suite runs from, and whether it is changed; None for an installed wheel."""
    root = Path(suite.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None, None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "suite", "domains"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
