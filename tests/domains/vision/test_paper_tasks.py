"""The tasks at `paper` are those of Morcos et al. 2019 (arXiv 1906.02773), and are planned without their data."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from domains.vision.datasets import Dataset
from suite.experiment import measure
from suite.experiment.errors import RunError
from suite.experiment.measure import StepTime
from suite.experiment.plan import DENSE
from suite.experiment.registry import Registry
from suite.experiment.runner import make_plan
from tests.commands import lottery

DATASETS = {
    "fashion-mnist": (60_000, 10),
    "svhn": (73_257, 10),
    "cifar10": (50_000, 10),
    "cifar100": (50_000, 100),
    "imagenet": (1_281_167, 1000),
    "places365": (1_803_460, 365),
}
"""Published training images and classes."""
REPORTED = [1, 2, 3, 4, 5, 6, 9, 12, 15, 18, 21, 24, 27, 30]
PRUNED = [0.2, 0.36, 0.488, 0.590, 0.672, 0.738, 0.866, 0.931, 0.965, 0.982, 0.9908, 0.9953, 0.9976, 0.9988]


@pytest.mark.parametrize(("dataset", "network"), list(product(DATASETS, ("vgg19", "resnet50"))))
def test_a_paper_task_has_the_papers_numbers_and_fingerprints_known_without_data(dataset: str, network: str) -> None:
    images, classes = DATASETS[dataset]
    epochs, milestones = {"vgg19": (160, [80, 120]), "resnet50": (90, [50, 65, 80])}[network]
    large = dataset in {"imagenet", "places365"}
    for optimizer in ("sgd", "adam"):
        file = Registry().find(f"vision/{dataset}-{network}-{optimizer}")
        task = file.at("paper")
        spec, training = task.spec, task.spec.training
        data = Dataset.of_data(spec.data.name, spec.data.settings)
        assert data.examples == images - spec.data.settings["validation"]  # type: ignore[operator]
        epoch = data.examples // 512
        assert (training.batch, training.total_steps) == (512, epochs * epoch)
        assert training.schedule == {"name": "step", "milestones": [n * epoch for n in milestones], "gamma": 0.1}
        assert training.optimizer["name"] == optimizer
        assert (data.shape, data.classes) == ((3, 224, 224) if large else (3, 32, 32), classes)
        assert spec.metric.chance == pytest.approx(1 / classes, rel=1e-3)
        assert spec.model.get("stem") == {"vgg19": None, "resnet50": "7x7-pool" if large else "3x3"}[network]
        assert (task.method.rate, task.method.scope, task.method.schedule) == (0.2, "global", "iterative")
        assert task.method.rewind_step == (3 if large else 1) * epoch
        assert (task.options.levels, task.options.replicates, list(task.options.at or ())) == (30, 6, REPORTED)
        assert {"winning", "random"} <= set(task.options.arms)
        for at in (task, file.at("smoke")):
            known = Dataset.of_data(at.spec.data.name, at.spec.data.settings)
            assert at.spec.data.fingerprint == known.published_fingerprint  # type: ignore[attr-defined]


def test_levels_are_the_fractions_that_the_paper_reports() -> None:
    assert [1 - 0.8**level for level in REPORTED] == pytest.approx(PRUNED, abs=6e-4)


def test_imagenet_is_planned_without_its_images() -> None:
    """Thirty levels of winning tickets, fourteen of random ones, and the dense network, six times."""
    cells = list(make_plan(Registry().find("vision/imagenet-resnet50-sgd").at("paper")))
    assert len(cells) == 6 * (1 + 30 + 14)
    steps = {cell.arm: cell.steps for cell in cells}
    epoch = (1_281_167 - 50_000) // 512
    assert steps == {DENSE: 90 * epoch, "winning": 87 * epoch, "random": 90 * epoch}


def plan(*words: str) -> dict[str, Any]:
    done = lottery("plan", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_plan_at_paper_is_timed_on_this_machine_and_another_one_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "step_time", lambda spec, runtime: StepTime(2.0, "a step took 2 s"))
    task = "vision/imagenet-resnet50-sgd"
    timed, own = plan(task, "--scale", "paper"), plan(task, "--scale", "paper", "--no-measure")
    assert timed["tasks"][0]["seconds"] == pytest.approx(2.0 * timed["tasks"][0]["steps"])
    assert timed["measured"] == [f"{task}: time measured here on cpu: a step took 2 s"]
    stated = Registry().find(task).at("paper").spec.cost.seconds_per_step
    assert (own["measured"], own["tasks"][0]["seconds"]) == ([], pytest.approx(stated * own["tasks"][0]["steps"]))
    assert plan(task, "--scale", "smoke")["measured"] == []
    assert timed["cells"] == own["cells"], "a cell's key hangs on no time"


def test_a_network_is_timed_without_data_at_growing_batches(tmp_path: Path) -> None:
    timed = plan("vision/cifar10-vgg19-sgd", "--scale", "smoke", "--measure", "--data", str(tmp_path))
    assert timed["tasks"][0]["seconds"] > 0
    assert re.search(
        r"time measured here on cpu: a step of 4 examples \S+ s and 8 examples \S+ s$", timed["measured"][0]
    )


def test_a_time_that_cannot_be_measured_is_the_tasks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: object, runtime: object) -> StepTime:
        raise RunError("data are not there")

    monkeypatch.setattr(measure, "step_time", refuse)
    timed = plan("vision/cifar10-vgg19-sgd", "--scale", "paper")
    stated = Registry().find("vision/cifar10-vgg19-sgd").at("paper").spec.cost.seconds_per_step
    assert timed["tasks"][0]["seconds"] == pytest.approx(stated * timed["tasks"][0]["steps"])
    assert timed["measured"][0].endswith("own figure, since it could not be measured: data are not there")
