"""What masks leave of each tensor: the report warns where one is empty, and shows what the method pruned."""

import json
from html import unescape
from pathlib import Path

from synthetic_cells import SIZES, cell, papers, places, spec, view

from suite.experiment.method import Method
from suite.experiment.result import Layer
from suite.results.layers import Empty, empty, ladder
from suite.results.report import as_json, write_report
from suite.results.view import RunView, TaskView

ROLES = {"actor": ("fc1.weight", "fc2.weight"), "critic": ("head.weight",)}


def actor_alone() -> TaskView:
    """A run that prunes two of three tensors, and empties one of them at the last level."""
    task, cells = spec(roles=ROLES), []
    for arm, level, r in places(("winning", "random"), 2, (0, 1)):
        left = {"fc1.weight": 2000 if level == 0 else 400, "fc2.weight": (400, 40, 0)[level]}
        layers = {name: Layer(remaining=kept, size=SIZES[name]) for name, kept in left.items()}
        whole = {"head.weight": Layer(remaining=100, size=100)} if level == 0 else {}
        roles = {
            "actor": Layer(remaining=sum(left.values()), size=2400),
            "critic": Layer(remaining=100, size=100),
        }
        cells.append(
            cell(task, arm, level, r, papers(arm, level, r), layers=layers | whole, roles=roles, method="imp-actor")
        )
    method = Method(name="imp-actor", role="actor")
    return TaskView(task, method, ("winning", "random"), 2, None, (0, 1), len(cells), tuple(cells))


def test_a_tensor_without_weights_is_found_with_the_cells_and_arms_that_it_is_empty_in() -> None:
    assert empty(actor_alone().cells) == [Empty("fc2.weight", 4, ("winning", "random"), 0.8**2)]
    assert empty(view(papers).cells) == []


def test_a_ladder_shows_the_tensors_that_its_method_prunes() -> None:
    chain = ladder(actor_alone())
    assert [each.level for each in chain] == [0, 1, 2]
    assert all(list(each.layers) == ["fc1.weight", "fc2.weight"] for each in chain)


def test_the_report_says_what_was_pruned_and_warns_of_empty_layers(tmp_path: Path) -> None:
    run = RunView("rl", "lottery run", (actor_alone(),))
    page = " ".join(unescape(write_report(run, tmp_path).read_text()).split())
    assert "magnitude, iterative, the actor's tensors alone, one threshold, no floor" in page
    assert (
        "<strong>Empty layers:</strong> <code>fc2.weight</code> has no weight left in 4 cells of winning, random, from "
        "a density of 64 % on" in page
    )
    assert '<tr><th scope="row">actor</th><td>2400</td><td>2400 (100 %)</td><td>440 (18.3 %)</td>' in page
    (task,) = json.loads(json.dumps(as_json(run)))["tasks"]
    assert task["empty_layers"] == [
        {"tensor": "fc2.weight", "cells": 4, "arms": ["winning", "random"], "density": 0.8**2}
    ]
    whole = write_report(RunView("x", "lottery run", (view(papers),)), tmp_path / "whole").read_text()
    assert "Empty layers" not in whole
    assert "all prunable tensors" in whole


def test_the_report_of_a_task_that_asks_for_them_shows_the_statistics_of_the_field(tmp_path: Path) -> None:
    asking = view(papers, spec(metric={"statistic": "interquartile-mean"}), replicates=tuple(range(4)))
    page = write_report(RunView("rl", "lottery run", (asking,)), tmp_path).read_text()
    assert "Statistics of the field" in page
    assert (tmp_path / "vision-toy-profile.svg").is_file()
    (task,) = as_json(RunView("rl", "lottery run", (asking,)))["tasks"]
    assert list(task["field"]["arms"]) == ["winning", "reinit", "random"]
    assert task["field"]["arms"]["random"]["improvement"] > 0.9
    plain = RunView("x", "lottery run", (view(papers),))
    assert "Statistics of the field" not in write_report(plain, tmp_path / "plain").read_text()
    assert "field" not in as_json(plain)["tasks"][0]
