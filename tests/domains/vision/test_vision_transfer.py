"""A matrix of transfers between real tasks: the two halves of MNIST-5k, which share no image."""

import json
from pathlib import Path

from suite.experiment.exported import ExportedRun
from suite.experiment.store import Store
from tests.commands import lottery

A, B = "vision/mnist5k-a-lenet300", "vision/mnist5k-b-lenet300"
CELLS = 4 + 4 + 2 + 4
"""Two replicates of: ladders of a and b with two rungs each, b's random tickets, and both sources' tickets on b."""


def test_tickets_of_a_half_are_trained_on_the_other_beside_its_own_and_one_random_ticket(tmp_path: Path) -> None:
    out = tmp_path / "run"
    few = ["--scale", "smoke", "--levels", "2", "--at", "2", "--replicates", "2", "--executor", "inline"]
    done = lottery("transfer", "--sources", f"{A},{B}", "--targets", B, *few, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{CELLS} cells run, 0 skipped" in done.stderr
    assert "Transfer of imp tickets, smoke" in done.stdout
    found = json.loads(lottery("report", out, "--json").stdout)
    (transfer,) = found["transfers"]
    assert [(pair["source"], pair["own"]) for pair in transfer["pairs"]] == [(A, False), (B, True)]
    assert [task["missing"] for task in found["tasks"]] == [[], []]
    one, other = ([point["values"] for point in task["arms"]["random"]] for task in found["tasks"])
    assert one == other
    assert found["tasks"][0]["arms"]["winning"][1]["values"] != found["tasks"][1]["arms"]["winning"][1]["values"]
    assert len(list((out / "cells").glob("*.json"))) == CELLS

    lottery("export", out, tmp_path / "sent.zip")
    sent = ExportedRun(tmp_path / "sent.zip")
    assert all(sent.cell(path.stem) == Store.open(out).cell(path.stem) for path in (out / "cells").glob("*.json"))
    rows = json.loads(lottery("status", out, "--json").stdout)["tasks"]
    assert [(row["cells"], row["done"], row["seconds_left"]) for row in rows] == [(10, 10, 0), (8, 8, 0)]
