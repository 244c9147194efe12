"""The board that the suite ships: every file reads, what is generated is up to date, reported figures say so."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from suite.experiment.registry import Registry
from suite.experiment.tables import merged
from suite.leaderboard.board import Board, packaged, read, text_of
from suite.leaderboard.claim import Claim
from suite.leaderboard.schema import Measured, Reported, json_schema
from suite.leaderboard.validate import validate
from suite.tickets.arms import ARMS

DOMAINS = ("nlp", "rl", "vision")
FILES = sorted(path for domain in DOMAINS for path in (packaged() / domain).glob("*.json"))
REPORTED = [entry for entry in map(read, FILES) if isinstance(entry, Reported)]
CLAIMS = [entry for entry in map(read, FILES) if isinstance(entry, Claim)]


def named(path: Path) -> str:
    """A file's test id."""
    return path.stem


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_entry_reads_and_is_written_as_the_board_writes_it(path: Path) -> None:
    assert path.read_text("utf-8") == text_of(read(path))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_index_of_a_domain_is_the_generated_one(domain: str) -> None:
    board = Board()
    assert (board.root / f"{domain}.json").read_text("utf-8") == text_of(board.index(domain))


def test_every_domain_is_indexed_and_no_other_folder_is_one() -> None:
    assert Board().domains() == sorted(DOMAINS)
    assert {path.stem for path in packaged().glob("*.json")} == {*DOMAINS, "schema"}


def test_the_schema_is_the_generated_one() -> None:
    assert json.loads((packaged() / "schema.json").read_text("utf-8")) == json_schema()


def test_every_measured_task_has_its_frozen_reference() -> None:
    """What areas are measured by; `lottery board --index` writes the one that is missing."""
    found = {(path.parent.name, path.stem) for path in (packaged() / "references").glob("*/*.json")}
    own = [entry for entry in Board().measured() if entry.source is None]
    assert {(entry.domain, entry.task.hash) for entry in own} <= found


def test_ids_are_unique_over_the_domains() -> None:
    """`--entry ID` needs no domain."""
    ids = [entry.id for entry in Board().entries()]
    assert len(set(ids)) == len(ids)


def test_the_entries_of_the_papers_are_there() -> None:
    assert {entry.id for entry in REPORTED} == {
        "yu2019-transformer-big-wmt14", "yu2019-transformer-base-wmt14", "brix2020-transformer-base-wmt14",
        "gohil-vgg19-cifar10", "gohil-vgg19-cifar100", "gohil-vgg19-svhn",
    }  # fmt: skip
    assert {entry.domain for entry in CLAIMS} == set(DOMAINS)


def test_no_published_figure_is_counted_as_measured() -> None:
    board = Board()
    measured = {(entry.domain, entry.id) for entry in board.measured()}
    assert not measured & {(entry.domain, entry.id) for entry in (*REPORTED, *CLAIMS)}
    assert {entry.task for entry in REPORTED}.isdisjoint(entry.task.id for entry in board.measured())


def test_a_figure_is_faithful_only_where_it_is_the_papers_own() -> None:
    """The replication and the later work say how they depart from the protocol."""
    assert {entry.id for entry in REPORTED if entry.faithful} == {
        "yu2019-transformer-big-wmt14",
        "yu2019-transformer-base-wmt14",
    }
    replication = [entry for entry in REPORTED if entry.id.startswith("gohil")]
    assert all("initial weights only" in entry.departs and "batch-norm" in entry.departs for entry in replication)


@pytest.mark.parametrize(
    ("entry_id", "curve", "figures"),
    [
        ("yu2019-transformer-big-wmt14", "winning", {1.0: 29.2, 0.33: 28.9}),
        ("yu2019-transformer-base-wmt14", "winning", {1.0: 27.6}),
        ("brix2020-transformer-base-wmt14", "rewound", {1.0: 26.8, 0.5: 26.6, 0.4: 26.4, 0.3: 25.6, 0.05: 17.4}),
        ("brix2020-transformer-base-wmt14", "not rewound", {0.2: 23.2, 0.1: 20.9, 0.05: 18.1}),
        ("brix2020-transformer-base-wmt14", "gradual magnitude", {0.5: 26.4, 0.05: 20.2}),
        ("gohil-vgg19-cifar10", "own ticket", {1.0: 92.58, 0.1074: 92.67, 0.0115: 92.58, 0.0012: 80.6}),
        ("gohil-vgg19-cifar10", "initial weights from CIFAR-100", {1.0: 92.41, 0.0012: 77.87}),
        ("gohil-vgg19-cifar100", "own ticket", {1.0: 69.66, 0.1074: 69.61, 0.0115: 63.87, 0.0012: 41.87}),
        ("gohil-vgg19-cifar100", "initial weights from CIFAR-10", {0.0115: 63.98, 0.0012: 40.87}),
        ("gohil-vgg19-svhn", "own ticket", {1.0: 95.61, 0.1074: 95.95, 0.0115: 95.67, 0.0012: 92.32}),
        ("gohil-vgg19-svhn", "initial weights from CIFAR-10", {0.1074: 96.09, 0.0012: 90.73}),
        ("gohil-vgg19-svhn", "initial weights from CIFAR-100", {0.0115: 95.11, 0.0012: 86.69}),
    ],
)
def test_figures_are_those_published_at_density_one_minus_pruned(
    entry_id: str, curve: str, figures: dict[float, float]
) -> None:
    (entry,) = (entry for entry in REPORTED if entry.id == entry_id)
    found = {point.density: point.value for point in entry.curves[curve]}
    assert {density: found.get(density) for density in figures} == figures


@pytest.mark.parametrize("entry", CLAIMS, ids=lambda entry: entry.id)
def test_a_claim_is_tested_on_tasks_of_its_domain_against_an_arm_that_exists(entry: Claim) -> None:
    assert all(task.startswith(f"{entry.domain}/") for task in entry.all_tasks)
    assert entry.against in {"dense", "source", "layerwise", *ARMS}
    assert entry.arm in ARMS


@pytest.fixture(scope="module")
def data_of() -> Callable[[str], str | None]:
    """The name of a task's data at its largest scale; None of a task that is not there yet."""
    registry = Registry(())

    @cache
    def found(task: str) -> str | None:
        if task not in registry.ids:
            return None
        file = registry.find(task)
        return str(merged(file.common, next(iter(file.scales.values())))["data"]["name"])

    return found


@pytest.mark.parametrize("entry", CLAIMS, ids=lambda entry: entry.id)
def test_a_claim_counts_tasks_of_its_own_data_alone(entry: Claim, data_of: Callable[[str], str | None]) -> None:
    moved = (task for each in entry.transfers for task in each.tasks)
    for task in {*entry.tasks, *moved}:
        if name := data_of(task):
            assert name.split("-")[0].lower() in entry.data.lower().replace("-", ""), (task, name)


def test_every_finding_of_morcos_2019_is_a_claim_with_a_rule_that_can_judge_it() -> None:
    found = {entry.id.removeprefix("morcos2019-"): entry for entry in CLAIMS if entry.id.startswith("morcos2019-")}
    assert found.keys() == {
        "winning-beats-reinit", "winning-beats-shuffled-layerwise", "winning-beats-random",
        "reinit-beats-shuffled-layerwise", "shuffled-layerwise-beats-random", "global-beats-layerwise",
        "cifar10-halves", "large-sources", "larger-sources-are-better", "cifar100-beats-cifar10-as-source",
        "sgd-to-adam-low-pruning", "sgd-to-adam-high-pruning", "vgg19-keeps-at-extreme-pruning",
        "resnet50-falls-off", "resnet50-low-pruning", "resnet50-extreme-pruning",
    }  # fmt: skip
    for entry in found.values():
        assert entry.tasks or entry.transfers, entry.id
        assert entry.substitutes or entry.substitute_transfers, entry.id
        substitutes = {*entry.substitutes, *(task for each in entry.substitute_transfers for task in each.tasks)}
        own = {*entry.tasks, *(task for each in entry.transfers for task in each.tasks)}
        assert not own & substitutes, entry.id


def test_every_finding_of_yu_2019_is_a_claim_on_tasks_of_the_suite() -> None:
    found = {entry.id.removeprefix("yu2019-"): entry for entry in CLAIMS if entry.id.startswith("yu2019-")}
    assert found.keys() == {
        "classic-control-beats-random", "atari-large-gap", "atari-slight-gap", "atari-no-gap", "atari-above-dense",
        "atari-kangaroo", "rl-extreme-pruning", "lstm-beats-random", "lstm-keeps-at-ninety", "lstm-one-shot",
        "transformer-base-beats-random", "transformer-big-keeps-at-two-thirds", "language-extreme-pruning",
    }  # fmt: skip
    known = set(Registry(()).ids)
    for entry in found.values():
        assert entry.tasks, entry.id
        assert {*entry.all_tasks} <= known, entry.id
        assert entry.domain == "rl" or entry.substitutes, entry.id


@pytest.mark.parametrize("path", [path for path in FILES if isinstance(read(path), Measured)], ids=named)
def test_a_measured_entry_passes_every_check_but_training(path: Path) -> None:
    """What a pull request that adds an entry has to pass."""
    assert validate(path).problems == ()
