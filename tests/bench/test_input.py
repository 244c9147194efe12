"""`lottery bench input`: times are the machine's; that both sides do the same work is asserted."""

import json
from pathlib import Path

import pytest
import torch

from tests.commands import lottery

pytest.importorskip("torchvision")
from domains.vision import bench
from suite.experiment.runtime import Runtime


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BATCH": 8, "STEPS": 2, "IMAGES": 16, "LARGE_BATCH": 3, "LARGE_STEPS": 2}.items():
        monkeypatch.setattr(bench, name, value)


def test_every_side_is_timed_against_the_usual_one() -> None:
    done = lottery("bench", "input", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert (table["domain"], table["rounds"], table["threads"], table["workers"]) == ("vision", 1, 1, 0)
    assert [[side["name"] for side in each["sides"]] for each in table["comparisons"]] == [
        ["PIL, DataLoader, a loop", "the same in the task's precision", "learner"],
        ["PIL, DataLoader", "from memory"],
        ["ImageFolder, DataLoader", "streamed"],
    ]
    for each in table["comparisons"]:
        assert each["sides"][0]["ratio"] == 1
        assert all(side["seconds"] > 0 for side in each["sides"])


def test_both_sides_see_the_same_images_as_often() -> None:
    encoded = [bench.jpeg(number, (32, 32)) for number in range(16)]
    usual, ours = bench.per_example(encoded)(), bench.in_memory(encoded, Runtime())
    one, other = next(usual), ours.of_step(0)
    assert one[0].shape == other[0].shape == (8, 3, 32, 32)
    assert one[0].dtype == other[0].dtype == torch.float32
    assert one[0].std().item() == pytest.approx(other[0].std().item(), rel=0.3)
    assert len(list(bench.per_example(encoded)())) == 2


def test_a_domain_without_input_to_time_is_refused(tmp_path: Path) -> None:
    done = lottery("bench", "input", "--domain", "rl")
    assert done.returncode == 2
    assert "--domain rl: one of vision" in done.stderr
