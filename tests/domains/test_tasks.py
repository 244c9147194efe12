"""What holds for every built-in task."""

from pathlib import Path

import pytest
import torch

from suite.experiment.errors import RunError, UsageError
from suite.experiment.exported import ExportedRun
from suite.experiment.flops import count
from suite.experiment.learner import Learner, Probed, Span
from suite.experiment.loading import builder
from suite.experiment.methods import method_changes
from suite.experiment.registry import Registry
from suite.experiment.request import from_bytes, portable
from suite.experiment.runtime import Runtime
from suite.experiment.streams import Streams
from suite.experiment.task import TaskSpec
from suite.tickets.mask import Mask

STANDING_IN = [
    "vision/cifar10-jpeg-resnet20-sgd",
    "vision/cifar10-jpeg-small-vgg-sgd",
    "vision/cifar10-resnet50-adam",
    "vision/cifar10-vgg19-sgd",
    "vision/fashion-mnist-lenet300-adam",
    "vision/imagenet-resnet50-sgd",
]
"""One task of each network of those whose data come in no package: it is built on random images of their size."""
GAME = "rl/atari-seaquest"
"""One game of those that differ in their data alone: emulators take a while to start."""
TASKS = [
    pytest.param(task_id, marks=pytest.mark.fairseq) if task_id.endswith("-fairseq") else task_id
    for task_id in Registry().ids
    if not task_id.startswith(("vision/", "rl/atari-")) or task_id.startswith("vision/mnist5k")
    or task_id in (*STANDING_IN, GAME)
]  # fmt: skip
GOING_ON: set[str] = set()
"""Runs whose first cells are committed, to be gone on from."""
RUNS = sorted((Path(__file__).parents[2] / "leaderboards" / "runs").iterdir())


def smallest(task_id: str) -> Learner:
    return built(Registry().find(task_id).at("smoke").spec)


def built(spec: TaskSpec) -> Learner:
    if spec.id in STANDING_IN:
        return builder(spec).stand_in(spec, Runtime())  # type: ignore[attr-defined,no-any-return]
    try:
        return builder(spec)(spec, Streams(spec.hash, 1000), Span(0, spec.training.total_steps), Runtime())
    except RunError as error:
        if "--data DIR" not in str(error):
            raise
        pytest.skip(str(error))  # data that come in no package: the domain's own tests read such from small files


@pytest.mark.parametrize("task_id", TASKS)
def test_the_learner_fulfils_the_contract_and_the_file_says_truly_if_it_has_probes(task_id: str) -> None:
    learner = smallest(task_id)
    assert isinstance(learner, Learner)
    assert isinstance(learner, Probed) == Registry().find(task_id).at("smoke").spec.probes
    assert learner.step == 0


@pytest.mark.parametrize("task_id", TASKS)
def test_the_stated_cost_of_a_step_is_the_counted_one(task_id: str) -> None:
    """Within a third in the mean of some steps, since batches of sentences differ in length."""
    spec, learner = Registry().find(task_id).at("smoke").spec, smallest(task_id)
    with count(learner.model) as flops:
        learner.advance(8)
    assert flops.dense / 8 == pytest.approx(spec.cost.flops_per_step, rel=0.34)
    assert flops.dense > 0


@pytest.mark.parametrize("task_id", TASKS)
def test_a_step_of_an_empty_mask_costs_only_what_is_not_prunable(task_id: str) -> None:
    spec, learner = Registry().find(task_id).at("smoke").spec, smallest(task_id)
    full = Mask.dense(learner.model, spec.prunable)
    with count(learner.model) as flops:
        learner.advance(1)
    empty = Mask({name: torch.zeros_like(kept) for name, kept in full.items()})
    assert flops.sparse(full) == flops.dense
    assert 0 <= flops.sparse(empty) < 0.5 * flops.dense
    shapes = {name: parameter.dim() for name, parameter in learner.model.named_parameters()}
    assert {name for name in spec.prunable if shapes[name] > 1} <= set(flops.per_weight)


@pytest.mark.parametrize("task_id", TASKS)
def test_counting_changes_no_number(task_id: str) -> None:
    counted, plain = smallest(task_id), smallest(task_id)
    with count(counted.model):
        counted.advance(2)
    plain.advance(2)
    state = plain.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in counted.model.state_dict().items())


@pytest.mark.parametrize("task_id", TASKS)
def test_evaluation_alters_nothing(task_id: str) -> None:
    watched, plain = smallest(task_id), smallest(task_id)
    for until in (1, 2):
        watched.advance(until)
        watched.evaluate("validation")
        watched.evaluate("test")
        plain.advance(until)
    state = plain.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in watched.model.state_dict().items())


@pytest.mark.parametrize(
    "table", ["data.settings", "model", "training.optimizer", "training.schedule", "training.settings"]
)
@pytest.mark.parametrize("task_id", TASKS)
def test_a_misspelt_setting_is_refused_with_the_nearest(task_id: str, table: str) -> None:
    spec = Registry().find(task_id).at("smoke").spec.model_dump(mode="json")
    *parents, last = table.split(".")
    within = spec
    for parent in parents:
        within = within[parent]
    known = list(within[last])[-1] if within[last] else "clip"
    within[last][f"{known}{known[-1]}"] = 1
    broken = TaskSpec(**spec)
    with pytest.raises(UsageError, match=rf"unknown setting {table}\.{known}{known[-1]}; nearest: {known}"):
        built(broken)


@pytest.mark.parametrize("task_id", TASKS)
def test_the_output_layer_is_named_and_pruned_as_the_task_says(task_id: str) -> None:
    spec = Registry().find(task_id).at("smoke").spec
    assert spec.output_layer
    assert set(spec.output_layer) <= {name for name, _ in smallest(task_id).model.named_parameters()}
    assert spec.prune_output_layer == bool(set(spec.output_layer) & set(spec.prunable))


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_committed_run_is_of_the_present_tasks_and_whole_unless_it_is_going_on(folder: Path) -> None:
    """So `--from` finds every cell, and the README's numbers are those of the task as it is now."""
    run, asked_for = ExportedRun(folder), folder / "run.json"
    content = asked_for.read_bytes()
    assert content == portable(content, asked_for)
    missing = found = 0
    for request in from_bytes(content, asked_for):
        asked = request.task
        name, _, step = asked.method.name.partition(" k=")
        task = Registry().find(asked.spec.id)
        own = task.at(asked.spec.scale).method.name == name
        present = task.at(asked.spec.scale, {} if own else method_changes(name))
        method = present.method
        if asked.options.connected is not None:  # stability is asked at several rewind steps
            method = method.model_copy(update={"name": asked.method.name, "rewind_step": int(step)})
        assert (asked.spec.hash, asked.method.hash) == (present.spec.hash, method.hash)
        for cell in request.plan:
            result = run.cell(cell.key)
            if result is None:
                missing += 1
                continue
            found += 1
            assert result.task_hash == cell.spec.hash
            assert all(run.has_mask(prune.key) for prune in cell.prunes)
    assert found
    assert not missing or folder.name in GOING_ON
