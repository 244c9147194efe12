"""Entries as a submission would have written them, with values of one's choice."""

import random
from collections.abc import Callable
from typing import Any

from suite.leaderboard.claim import Claim
from suite.leaderboard.schema import ENTRY, Measured, Reported

Value = Callable[[str, int, int], float | None]
"""(arm, level, replicate) -> score, None for a diverged run; level 0 is asked for the arm `dense`."""

PAPER = {"citation": "Morcos et al. 2019", "link": "https://arxiv.org/abs/1906.02773", "place": "figure 2"}
METRIC = {"name": "accuracy", "unit": "fraction correct", "higher_is_better": True, "chance": 0.1, "margin": 0.02}


def fading(arm: str, level: int, replicate: int) -> float:
    """Winning stays, reinit falls slowly, random falls fast; with a little noise."""
    fall = {"dense": 0.0, "winning": 0.001, "reinit": 0.012}.get(arm, 0.05) * level
    return 0.95 - fall + random.Random(f"{arm} {level} {replicate}").gauss(0, 0.002)


def measured(value: Value = fading, entry_id: str = "imp", **changed: Any) -> Measured:
    """A measured entry of `vision/toy` at scale smoke: three replicates, four levels, arms winning, reinit, random.

    `replicates`, `levels` and `arms` change the protocol and curves together; other names are the task's `scale`, and
    fields of the entry. The
    dense runs of all entries are the same bits, unless they come from another `machine`.
    """
    replicates, levels = changed.pop("replicates", 3), changed.pop("levels", 4)
    arms = changed.pop("arms", ("winning", "reinit", "random"))
    machine, scale = changed.pop("machine", "here"), changed.pop("scale", "smoke")

    def point(arm: str, level: int) -> dict[str, Any]:
        values = [value("dense" if level == 0 else arm, level, r) for r in range(replicates)]
        whose = f"dense {machine}" if level == 0 else f"{entry_id} {arm}"
        digests = [f"{random.Random(f'{whose} {level} {r}').getrandbits(256):064x}" for r in range(replicates)]
        return {"level": level, "density": 0.8**level, "values": values, "weights": digests}

    fields: dict[str, Any] = {
        "schema_version": 1,
        "kind": "measured",
        "id": entry_id,
        "title": f"{entry_id} on toys",
        "author": "A. Tester",
        "task": {"id": "vision/toy", "version": "1.0.0", "hash": "ab" * 32, "scale": scale},
        "metric": METRIC,
        "method": {
            "settings": {"name": entry_id, "rewind_step": 10}, "description": "Iterative magnitude pruning.",
            "link": None,
        },
        "protocol": {
            "arms": arms, "levels": levels, "at": None, "replicates": replicates, "exec": "single", "device": "cpu",
        },
        "curves": {arm: [point(arm, level) for level in range(levels + 1)] for arm in arms},
        "cost": {
            "steps": 3900, "flops_dense": 3.9e9, "flops_sparse": 2e9, "cpu_hours": 0.5, "gpu_hours": 0.0,
            "energy_kwh": None,
        },
        "provenance": {
            "suite_version": "0.1.0", "git_revision": "c0ffee", "dirty": False, "versions": {"torch": "2.14.1"},
            "hardware": {"cpu": "Toy CPU", "cores": 2, "machine": "x86_64", "system": "Linux"},
            "data_fingerprint": "cd" * 32, "date": "2026-11-24T04:00:00+00:00", "device": "cpu",
            "execution": "single", "threads": 1,
        },
        "code": "",
        "tickets": [
            {"level": level, "replicate": r, "digest": f"{random.Random(f'{level} {r}').getrandbits(256):064x}"}
            for level in range(1, levels + 1)
            for r in range(replicates)
        ],
    }  # fmt: skip
    entry = ENTRY.validate_python(fields | changed)
    assert isinstance(entry, Measured)
    return entry


def transferred(
    value: Value = fading, entry_id: str = "moved", source: str = "vision/other", carry: str = "both", **changed: Any
) -> Measured:
    """Tickets of another task on `vision/toy`, whose random arm is every source's; `changed` as for `measured`."""
    entry = measured(value, entry_id, arms=changed.pop("arms", ("winning", "random")), **changed)
    table = entry.model_dump(mode="json")
    for point in table["curves"].get("random", [])[1:]:
        whose = [f"random of {table['task']['id']} {point['level']} {r}" for r in range(len(point["values"]))]
        point["weights"] = [f"{random.Random(name).getrandbits(256):064x}" for name in whose]
    ladder = []
    for point in table["curves"]["winning"][:-1]:
        runs = [f"{source} {point['level']} {r}" for r in range(len(point["values"]))]
        digests = [f"{random.Random(name).getrandbits(256):064x}" for name in runs]
        ladder.append({**point, "values": [0.9 for _ in runs], "weights": digests})
    table |= {
        "schema_version": 2,
        "source": {
            "task": {**table["task"], "id": source, "hash": "fe" * 32}, "metric": METRIC, "carry": carry,
            "data_fingerprint": "dc" * 32, "method": {**table["method"]["settings"], "name": "imp"},
            "covered": ["0.weight"], "ladder": ladder, "cost": {**table["cost"], "steps": 1200},
        },
    }  # fmt: skip
    moved = ENTRY.validate_python(table)
    assert isinstance(moved, Measured)
    return moved


def reported(entry_id: str = "paper", **changed: Any) -> Reported:
    """A published curve on `vision/toy`."""
    fields = {
        "schema_version": 1, "kind": "reported", "id": entry_id, "title": "A paper's figures", "task": "vision/toy",
        "metric": METRIC, "method": "magnitude pruning, rewinding to epoch 1",
        "curves": {"winning": [{"density": 1.0, "value": 0.93}, {"density": 0.1, "value": 0.925, "sd": 0.002}]},
        "source": PAPER, "faithful": True,
    }  # fmt: skip
    entry = ENTRY.validate_python(fields | changed)
    assert isinstance(entry, Reported)
    return entry


def claim(entry_id: str = "paper-says", **changed: Any) -> Claim:
    """A finding in words."""
    fields = {
        "schema_version": 1, "kind": "claim", "id": entry_id, "domain": "vision",
        "statement": "Winning tickets beat random ones at every density.", "source": PAPER, "tasks": ["vision/toy"],
        "data": "toys", "family": "networks of toys",
        "against": "random", "holds_if": ["wins"],
    }  # fmt: skip
    entry = ENTRY.validate_python(fields | changed)
    assert isinstance(entry, Claim)
    return entry
