"""Forged entries: what validate and verify say of each, on a machine of the entry's type and on another one.

`pytest -s` prints the table in Markdown, with the power of each verification beside it.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import forgeries as f
import pytest
from another_machine import replayed
from tutorial_run import TUTORIAL

import suite.leaderboard.verify as module
from suite.choose import choose
from suite.leaderboard.board import Board, text_of
from suite.leaderboard.masks import ladder_files
from suite.leaderboard.schema import Measured
from suite.leaderboard.submit import Submission, submissions
from suite.leaderboard.validate import validate
from suite.leaderboard.verdict import Verification
from suite.leaderboard.verdict_text import smallest_shift
from suite.leaderboard.verify import verify
from suite.run import run_tasks

CHAOS = 0.008
"""SD of a score between machines, about that of the toy's replicates."""

SHIFT = 0.1
"""What two runs of one cell of the toy differ by in 5 of 100 cases: the tolerance of a single run."""

VALID = "valid"
HOLDS, FAILS = "the claims hold", "the claims do not hold"

SCORES = [
    f.Forgery("all winning scores up, ½ tolerance", f.shifted(SHIFT / 2, "winning")),
    f.Forgery("all winning scores up, 1 tolerance", f.shifted(SHIFT, "winning")),
    f.Forgery("all winning scores up, 2 tolerances", f.shifted(2 * SHIFT, "winning")),
    f.Forgery("winning up 2 tolerances, noise of ½ to hide it", f.shifted(2 * SHIFT, "winning", noise=SHIFT / 2)),
    f.Forgery("reinit and random down, 1 tolerance", f.shifted(-SHIFT, "reinit", "random")),
    f.Forgery("random alone down, 1 tolerance", f.shifted(-SHIFT, "random")),
    f.Forgery("dense down, 1 tolerance", f.shifted(-SHIFT, "dense")),
    f.Forgery("everything up, 1 tolerance", f.shifted(SHIFT, "dense", "winning", "reinit", "random")),
    f.Forgery("winning down, 1 tolerance (a rival's entry)", f.shifted(-SHIFT, "winning")),
    f.Forgery("one winning cell up, 3 tolerances", f.one_cell(3 * SHIFT)),
]
MASKS = [
    f.Forgery("masks of two replicates swapped", f.swapped_masks),
    f.Forgery("masks at random", f.other_masks(f.at_random)),
    f.Forgery("masks filled from the front", f.other_masks(f.filled)),
]
COSTS = [
    f.Forgery("sparse FLOPs halved", f.costs(flops_sparse=0.5)),
    f.Forgery("dense and sparse FLOPs a third less", f.costs(flops_dense=0.7, flops_sparse=0.7)),
    f.Forgery("CPU hours a hundredth", f.costs(cpu_hours=0.01)),
]
RENAMED = [
    f.Forgery("hardware renamed, winning up 1 tolerance", f.all_of(f.renamed_hardware, f.shifted(SHIFT, "winning"))),
    f.Forgery(
        "hardware renamed, digests of weights invented, winning up 1/20 tolerance",
        f.all_of(f.renamed_hardware, f.scrambled, f.shifted(SHIFT / 20, "winning")),
    ),
    f.Forgery(
        "… and every mask off by 1 %",
        f.all_of(f.renamed_hardware, f.scrambled, f.disturbed_masks, f.shifted(SHIFT / 20, "winning")),
    ),
]
REFUSED = [
    (f.Forgery("a replicate copied, digests invented", f.copied_replicate), "seeds"),
    (f.Forgery("steps halved", f.costs(steps=0.5)), "cost"),
    (f.Forgery("author written with a Cyrillic letter", f.fields(author="Аda")), "names"),
    (f.Forgery("title with two spaces", f.fields(title="imp  on tutorial/breast-cancer", id="mine")), "names"),
    (f.Forgery("title that reads backwards", f.fields(title="\u202ebest")), "schema"),
    (f.Forgery("suite version invented", f.fields(provenance__suite_version="9.9.9")), "provenance"),
    (f.Forgery("arms at chosen levels", f.fields(protocol__at=[3])), "protocol"),
    (f.Forgery("a floor that the layers do not have", f.fields(method__settings__floor=0.3)), "tickets"),
    (f.Forgery("a copy under another name", f.fields(id="mine", author="Eve", title="Mine")), "copies"),
]


CHANGES = {
    "hidden = 32": "hidden = 400",
    "total_steps = 150": "total_steps = 40",
    "levels = 3, replicates = 2": "levels = 3, replicates = 5",
    "flops_per_step = 2e5": "flops_per_step = 2.5e6",
    'metric.name = "accuracy"': 'metric.name = "loss"',
    'metric.unit = "fraction"': 'metric.unit = "nats"',
    "metric.higher_is_better = true": "metric.higher_is_better = false",
    "metric.highest = 1.0\n": "",
    "metric.lowest = 0.0\n": "",
    "right = self.model(self._inputs[rows]).argmax(1) == self._labels[rows]": (
        "loss = F.cross_entropy(self.model(self._inputs[rows]), self._labels[rows])"
    ),
    '{"accuracy": right.double().mean().item()}': '{"loss": loss.item()}',
}
"""The tutorial's task with 12,800 prunable weights, fewer steps, and a score without an end."""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of that task."""
    text = TUTORIAL.read_text()
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("plugin") / "wide.py"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def run(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: fifty cells."""
    folder = tmp_path_factory.mktemp("runs") / "wide"
    run_tasks(choose(["tutorial/breast-cancer"], "smoke", [], {"executor": "inline"}, [], [plugin]), folder, [plugin],
              [], "lottery run tutorial/breast-cancer")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def honest(run: Path, plugin: Path) -> Submission:
    (one,) = submissions(run, author="Ada", plugins=[plugin])
    return one


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    """The table, printed at the end."""
    lines = [
        "| forgery | machine | validate | verify | power: least shift seen, chance of one cell |",
        "|---|---|---|---|---|",
    ]
    yield lines
    print("", *lines, sep="\n")


class Bench:
    """Puts forged entries on a board and tries them on either machine."""

    def __init__(self, honest: Submission, run: Path, plugin: Path, board: Board, patch: pytest.MonkeyPatch) -> None:
        self.honest, self.run, self.plugin, self.board, self.patch = honest, run, plugin, board, patch

    def place(self, forgery: f.Forgery, elsewhere: bool) -> Path:
        table = json.loads(text_of(self.honest.entry))
        if elsewhere:
            table["provenance"]["hardware"]["cpu"] = "Another CPU"
        tickets = f.forged(self.honest, forgery.forge, table)
        return self.board.add(Measured.model_validate(table), ladder_files(tickets))

    def tried(self, path: Path, elsewhere: bool, *cells: str) -> Verification:
        self.patch.setattr(module, "run_cells", replayed(self.run, CHAOS if elsewhere else None))
        return verify(path, self.board, plugins=[self.plugin], cells=cells, count=10, seed=1)


@pytest.fixture
def bench(honest: Submission, run: Path, plugin: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(honest, run, plugin, board, monkeypatch)


def row(forgery: f.Forgery, machine: str, found: Verification) -> str:
    """A line of the table."""
    said = f"{found.problems[0].check}: refused" if found.problems else VALID
    shown = {name: shift for name, shift in smallest_shift(found).items() if name in ("winning", "winning - random")}
    power = ", ".join(f"{name} {shift:.3f}" for name, shift in shown.items()) or "any change of a cell drawn"
    chance = "cells named" if found.chance is None else f"{found.chance:.0%}"
    judged = "–" if found.problems else found.outcome
    return f"| {forgery.name} | {machine} | {said} | {judged} | {power}; {chance} |"


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same", "other"])
def test_an_honest_entry_holds(bench: Bench, rows: list[str], elsewhere: bool) -> None:
    honest = f.Forgery("none: honest", lambda table, tickets: None)
    found = bench.tried(bench.place(honest, elsewhere), elsewhere)
    rows.append(row(honest, "other" if elsewhere else "same", found))
    assert (found.problems, found.outcome) == ((), HOLDS)
    assert found.bit_for_bit == (not elsewhere)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same", "other"])
@pytest.mark.parametrize("forgery", [*SCORES, *MASKS, *COSTS], ids=lambda forgery: forgery.name)
def test_a_forgery_above_the_stated_power_does_not_hold(
    bench: Bench, rows: list[str], forgery: f.Forgery, elsewhere: bool
) -> None:
    """All of these are above it: the least shift seen is printed beside them."""
    one = ("winning:2:1", "winning:1:0", "dense:0:1") if "one winning cell" in forgery.name else ()
    found = bench.tried(bench.place(forgery, elsewhere), elsewhere, *one)
    rows.append(row(forgery, "other" if elsewhere else "same", found))
    assert (found.problems, found.outcome) == ((), FAILS)


@pytest.mark.parametrize("forgery", RENAMED, ids=lambda forgery: forgery.name)
def test_renaming_the_hardware_frees_from_nothing(bench: Bench, rows: list[str], forgery: f.Forgery) -> None:
    """On the forger's own type of machine, whose bits come out whatever the entry calls it."""
    found = bench.tried(bench.place(forgery, False), False)
    rows.append(row(forgery, "same, renamed", found))
    assert (found.problems, found.outcome) == ((), FAILS)


def test_masks_that_nobody_can_make_again_never_hold(bench: Bench, rows: list[str]) -> None:
    forgery = f.Forgery("a criterion that nobody has", f.renamed_criterion)
    found = bench.tried(bench.place(forgery, False), False)
    rows.append(row(forgery, "same", found))
    assert (found.problems, found.outcome) == ((), "scores hold, mask not made again")


@pytest.mark.parametrize(("forgery", "check"), REFUSED, ids=lambda given: getattr(given, "name", given))
def test_validate_refuses_what_needs_no_training(bench: Bench, rows: list[str], forgery: f.Forgery, check: str) -> None:
    """Beside the honest entry on one board."""
    bench.place(f.Forgery("", lambda table, tickets: None), False)
    table = json.loads(text_of(bench.honest.entry))
    table["id"] = "forged"
    f.forged(bench.honest, forgery.forge, table)
    path = bench.board.root / "tutorial" / f"{table['id']}.json"
    path.write_text(json.dumps(table))
    folder = bench.board.root / "masks" / "tutorial" / table["id"]
    folder.mkdir()
    for name, content in ladder_files(bench.honest.tickets).items():
        (folder / name).write_bytes(content)
    found = [finding.check for finding in validate(path, bench.board, [bench.plugin]).problems]
    rows.append(f"| {forgery.name} | any | {check}: refused | – | – |")
    assert check in found, found


def test_half_a_tolerance_that_used_to_pass_is_seen_in_nearly_all_draws(bench: Bench) -> None:
    """It passed 190 of 200 draws. Twenty machines and draws, at the shift that the verification says it sees."""
    honest = bench.place(f.Forgery("", lambda table, tickets: None), elsewhere=True)
    power = smallest_shift(bench.tried(honest, True))["winning"]
    honest.unlink()
    path = bench.place(f.Forgery("", f.shifted(power, "winning")), elsewhere=True)
    report = validate(path, bench.board, [bench.plugin])
    bench.patch.setattr(module, "validate", lambda *_: copy.copy(report))
    outcomes = []
    for seed in range(20):
        bench.patch.setattr(module, "run_cells", replayed(bench.run, CHAOS, seed))
        outcomes.append(verify(path, bench.board, plugins=[bench.plugin], seed=seed).outcome)
    assert outcomes.count(FAILS) >= 19
