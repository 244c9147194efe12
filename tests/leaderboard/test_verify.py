"""An entry is trained again from its masks: an honest one holds, and each way of cheating is caught."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from another_machine import replayed
from synthetic_entries import claim, reported
from tutorial_run import TUTORIAL, run_tutorial

import suite.leaderboard.verify as module
from suite.experiment.cell import run_cells
from suite.experiment.errors import RunError, UsageError
from suite.experiment.method import Method
from suite.experiment.plan import DENSE, LADDER
from suite.experiment.result import Provenance
from suite.experiment.runtime import Runtime
from suite.leaderboard import verify as verify_module
from suite.leaderboard.agreement import Spread
from suite.leaderboard.board import BadEntry, Board, packaged, read, text_of
from suite.leaderboard.draw import chance, count_for, draw, draw_more
from suite.leaderboard.masks import ladder_files
from suite.leaderboard.schema import Measured
from suite.leaderboard.submit import Submission, submissions
from suite.leaderboard.verdict import CellCheck, MaskCheck, Verification, bits_owed
from suite.leaderboard.verdict_text import as_json, as_lines
from suite.leaderboard.verify import same_machine, shared_survivors, verify
from suite.tickets.mask import Mask
from suite.tickets.ticket import Ticket

Table = dict[str, Any]
Change = Callable[[Table], None]


@pytest.fixture(scope="module")
def honest(finished: Path) -> Submission:
    """The entry that a run gives."""
    (one,) = submissions(finished, author="me", plugins=[TUTORIAL])
    return one


def put(board: Board, one: Submission, change: Change = lambda entry: None) -> Path:
    """An entry on a board, its JSON changed first."""
    table = json.loads(text_of(one.entry))
    change(table)
    return board.add(Measured.model_validate(table), ladder_files(one.tickets))


def agreement(found: Verification, cell: CellCheck) -> str:
    """A cell's agreement at the tolerance that the verification gives it."""
    return cell.agreement(found.tolerance(cell))


def tried(path: Path, board: Board, *cells: str) -> Verification:
    """The verification of named cells."""
    return verify(path, board, plugins=[TUTORIAL], cells=cells)


def elsewhere(entry: Table) -> None:
    """As if made on another type of machine."""
    entry["provenance"]["hardware"]["cpu"] = "Another CPU"


def forged(arm: str, level: int, replicate: int, value: float) -> Change:
    """A better score than was found."""

    def change(entry: Table) -> None:
        entry["curves"][arm][level]["values"][replicate] = value

    return change


def test_an_honest_entry_holds_bit_for_bit_masks_included(honest: Submission, board: Board) -> None:
    found = tried(put(board, honest), board, "dense:0:1", "winning:1:0", "winning:2:1", "reinit:1:0", "random:2:0")
    assert (found.holds, found.bit_for_bit, found.problems) == (True, True, ())
    assert {(cell.name, agreement(found, cell)) for cell in found.cells} == {
        ("dense:0:1", "exact"), ("winning:1:0", "exact"), ("winning:2:1", "exact"), ("reinit:1:0", "exact"),
        ("random:2:0", "exact"),
    }  # fmt: skip
    assert {cell.name: [(mask.level, mask.agreement) for mask in cell.masks] for cell in found.cells if cell.masks} == {
        "dense:0:1": [(1, "exact")],
        "winning:1:0": [(2, "exact")],
    }


def test_every_cell_of_a_run_can_be_trained_again(honest: Submission, board: Board) -> None:
    found = verify(put(board, honest), board, plugins=[TUTORIAL], count=1000)
    assert (len(found.cells), found.holds) == (14, True)


def test_a_one_shot_method_has_all_its_masks_made_from_the_dense_run(board: Board, tmp_path: Path) -> None:
    (one,) = submissions(run_tutorial(tmp_path / "run", "one-shot"), author="me", plugins=[TUTORIAL])
    found = tried(put(board, one), board, "dense:0:0", "winning:2:0")
    assert found.holds
    assert [mask.level for mask in found.cells[0].masks] == [1, 2]
    assert found.cells[1].masks == ()


def test_a_forged_value_is_caught(honest: Submission, board: Board) -> None:
    value = honest.entry.curves["winning"][2].values[1]
    assert value is not None
    found = tried(put(board, honest, forged("winning", 2, 1, value + 0.001)), board, "winning:2:1")
    (cell,) = found.cells
    assert not found.holds
    assert (cell.claimed, cell.found, cell.same_weights) == (value + 0.001, value, True)


def test_a_forged_value_is_caught_on_another_machine(
    honest: Submission, board: Board, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_cells", replayed(finished, chaos=0.005))

    def change(entry: Table) -> None:
        elsewhere(entry)
        forged("winning", 2, 1, 0.3)(entry)

    found = tried(put(board, honest, change), board, "winning:2:1", "winning:2:0")
    assert [(cell.name, agreement(found, cell), found.as_claimed(cell)) for cell in found.cells] == [
        ("winning:2:0", "within", True),
        ("winning:2:1", "differs", False),
    ]
    assert not found.holds


def test_close_values_of_other_weights_hold_on_another_machine_only(
    honest: Submission, board: Board, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_cells", replayed(finished, chaos=0.005))
    here = tried(put(board, honest), board, "winning:1:0")
    assert [(agreement(here, cell), here.holds) for cell in here.cells] == [("within", False)]

    def change(entry: Table) -> None:
        elsewhere(entry)
        entry["id"] = "elsewhere"

    (board.root / "tutorial" / f"{honest.entry.id}.json").unlink()
    there = tried(put(board, honest, change), board, "winning:1:0")
    assert [(agreement(there, cell), there.holds) for cell in there.cells] == [("within", True)]


def test_bits_are_owed_whatever_is_said_of_the_hardware_where_one_comes_out(honest: Submission, board: Board) -> None:
    """One word added to `hardware` frees from nothing: the dense cell has its weights, so the raised one must too."""

    def change(entry: Table) -> None:
        elsewhere(entry)
        value = entry["curves"]["winning"][2]["values"][1]
        forged("winning", 2, 1, value - 0.001)(entry)
        entry["curves"]["winning"][2]["weights"][1] = "ab" * 32

    found = tried(put(board, honest, change), board, "dense:0:1", "winning:2:1")
    assert (found.owed, found.holds) == ("the weights of dense:0:1 came out bit for bit here", False)
    assert [found.as_claimed(cell) for cell in found.cells] == [True, False]


def test_more_cells_are_drawn_where_other_bits_are_owed(
    honest: Submission, board: Board, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_cells", replayed(finished, chaos=0.002))
    found = verify(put(board, honest, elsewhere), board, plugins=[TUTORIAL], count=1, seed=3)
    assert (len(found.cells), found.chance) == (14, 1.0)  # all that it has: no arm has more than eight
    assert found.holds
    assert {mean.name: mean.cells for mean in found.contrasts} == {
        "winning": 4, "dense": 2, "reinit": 4, "random": 4, "winning - dense": 6, "winning - reinit": 8,
        "winning - random": 8,
    }  # fmt: skip
    (line,) = [line for line in as_lines(found) if line.startswith("power")]
    assert "a shift of all scores is seen in 95 of 100 cases from: " in line


@pytest.mark.parametrize("part", ["torch", "python"])
def test_another_torch_or_python_is_another_machine(honest: Submission, board: Board, part: str) -> None:
    def change(entry: Table) -> None:
        entry["provenance"]["versions"][part] = "0.0"

    entry = json.loads(text_of(honest.entry))
    change(entry)
    here, claimed = honest.entry.provenance, Provenance(**entry["provenance"])
    assert same_machine("tutorial", here, here)
    assert not same_machine("tutorial", claimed, here)


def test_libraries_of_other_domains_are_no_other_machine() -> None:
    """An entry made with everything installed owes its bits to a reader who installed its domain alone."""
    entry = read(packaged() / "vision" / "mnist5k-lenet300-lite-imp.json")
    assert isinstance(entry, Measured)

    def without(name: str) -> Provenance:
        versions = {n: v for n, v in entry.provenance.versions.items() if n != name}
        return entry.provenance.model_copy(update={"versions": versions})

    assert same_machine("vision", entry.provenance, without("stable-baselines3"))
    assert not same_machine("rl", entry.provenance, without("stable-baselines3"))
    assert not same_machine("vision", entry.provenance, without("numpy"))


@pytest.mark.parametrize("fact", ["machine", "kernels"])
def test_whatever_is_said_of_the_hardware_counts(honest: Submission, board: Board, fact: str) -> None:
    """A fact that only one of the two provenances states is a difference too."""

    def change(entry: Table) -> None:
        entry["provenance"]["hardware"][fact] = "another"

    entry = json.loads(text_of(honest.entry))
    change(entry)
    assert not same_machine("tutorial", Provenance(**entry["provenance"]), honest.entry.provenance)


def test_cells_are_trained_with_the_threads_of_the_entry_and_other_threads_are_another_machine(
    honest: Submission, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums are split among threads: equal bits are promised for equal numbers only."""
    seen: list[Runtime] = []

    def spied(unit: object, store: object, tell: object, runtime: Runtime) -> None:
        seen.append(runtime)
        run_cells(unit, store, tell, runtime)  # type: ignore[arg-type]

    monkeypatch.setattr(verify_module, "run_cells", spied)
    path = put(board, honest, lambda entry: None)
    assert verify(path, board, plugins=[TUTORIAL], cells=["random:1:0"]).bit_for_bit
    other = verify(path, board, plugins=[TUTORIAL], cells=["random:1:0"], threads=2, data=tmp_path, workers=3)
    assert other.owed == "the weights of random:1:0 came out bit for bit here"  # not: same machine type
    assert [", 1 thread, " in other.machines[0], ", 2 threads, " in other.machines[1]] == [True, True]
    assert [(one.threads, one.data, one.workers) for one in (seen[0], seen[-1])] == [(1, None, 0), (2, tmp_path, 3)]


def test_the_number_of_cores_is_no_other_machine(honest: Submission, board: Board) -> None:
    def change(entry: Table) -> None:
        entry["provenance"]["hardware"]["cores"] = 512

    assert tried(put(board, honest, change), board, "random:1:0").bit_for_bit


def test_a_device_that_this_machine_has_not_is_refused(honest: Submission, board: Board) -> None:
    def change(entry: Table) -> None:
        entry["protocol"]["device"] = entry["provenance"]["device"] = "cuda:77"
        entry["cost"]["gpu_hours"] = 1.0

    with pytest.raises(UsageError, match="was run on cuda:77, which is not usable here: verify it on a machine"):
        tried(put(board, honest, change), board, "random:1:0")


def test_swapped_masks_are_caught(honest: Submission, board: Board) -> None:
    """The masks of the two replicates change places, with headers and digests that fit."""
    tickets, refs = dict(honest.tickets), []
    for ref in honest.entry.tickets:
        other = next(o for o in honest.entry.tickets if (o.level, o.replicate) == (ref.level, 1 - ref.replicate))
        refs.append((ref, honest.tickets[ref.level, ref.replicate], honest.tickets[other.level, other.replicate]))
    digests: dict[tuple[int, int], str] = {}
    for ref, own, other in sorted(refs, key=lambda swap: swap[0].level):
        parent = digests.get((ref.level - 1, ref.replicate), "")
        swapped = Ticket(
            other.mask, task_hash=own.task_hash, method_hash=own.method_hash, level=own.level, replicate=own.replicate,
            rewind_step=own.rewind_step, parent=parent,
        )  # fmt: skip
        digests[ref.level, ref.replicate] = swapped.digest
        tickets[ref.level, ref.replicate] = swapped

    def change(entry: Table) -> None:
        for ref in entry["tickets"]:
            ref["digest"] = digests[ref["level"], ref["replicate"]]

    found = tried(put(board, replace(honest, tickets=tickets), change), board, "dense:0:0", "winning:1:0")
    assert found.problems == ()
    dense, winning = found.cells
    assert (agreement(found, dense), [mask.agreement for mask in dense.masks]) == ("exact", ["differs"])
    assert dense.masks[0].shared is not None
    assert dense.masks[0].shared < 0.9
    assert not winning.same_weights
    assert not found.as_claimed(winning)
    assert not dense.holds(False, tolerance=1.0)


def test_masks_that_do_not_fit_the_network_are_said_to_be_such(honest: Submission, board: Board) -> None:
    """Every mask transposed: as many weights and survivors, other shapes."""
    tickets: dict[tuple[int, int], Ticket] = {}
    digests: dict[tuple[int, int], str] = {}
    for ref in honest.entry.tickets:  # level by level
        own = honest.tickets[ref.level, ref.replicate]
        turned = replace(
            own, mask=Mask({name: tensor.T for name, tensor in own.mask.items()}),
            parent=digests.get((ref.level - 1, ref.replicate), ""),
        )  # fmt: skip
        digests[ref.level, ref.replicate] = turned.digest
        tickets[ref.level, ref.replicate] = turned

    def change(entry: Table) -> None:
        for ref in entry["tickets"]:
            ref["digest"] = digests[ref["level"], ref["replicate"]]

    found = tried(put(board, replace(honest, tickets=tickets), change), board, "dense:0:0", "winning:1:0")
    assert found.problems == ()
    dense, winning = found.cells
    assert (agreement(found, dense), dense.masks) == ("exact", (MaskCheck(1, False, None),))
    assert (agreement(found, winning), winning.found) == ("differs", None)
    assert "shape" in winning.problem
    assert not found.holds


def test_a_seed_that_was_used_again_is_caught(honest: Submission, board: Board) -> None:
    """Replicate 1 is said to have the values of replicate 0 in two arms, with digests of its own."""

    def change(entry: Table) -> None:
        for arm in ("winning", "random"):
            for point in entry["curves"][arm][1:]:
                point["values"][1] = point["values"][0]
                point["weights"][1] = point["weights"][0][::-1]

    found = tried(put(board, honest, change), board, *(f"{arm}:{n}:1" for arm in ("winning", "random") for n in (1, 2)))
    assert found.problems == ()
    assert not any(cell.same_weights for cell in found.cells)
    assert not found.holds


def test_a_ticket_trained_past_its_rewind_step_is_caught(board: Board, tmp_path: Path) -> None:
    """Winning cells rewound to step 40 are submitted as if rewound to step 10."""
    (late,) = submissions(
        run_tutorial(tmp_path / "late", changes=("rewind_step=40",)),
        author="me",
        plugins=[TUTORIAL],
        description="Late.",
    )
    tickets, digests = {}, {}
    for ref in late.entry.tickets:  # level by level
        ticket = late.tickets[ref.level, ref.replicate]
        early = Ticket(
            ticket.mask, task_hash=ticket.task_hash, method_hash=ticket.method_hash, level=ref.level,
            replicate=ref.replicate, rewind_step=min(ticket.rewind_step, 10),
            parent=digests.get((ref.level - 1, ref.replicate), ""),
        )  # fmt: skip
        digests[ref.level, ref.replicate] = early.digest
        tickets[ref.level, ref.replicate] = early

    def change(entry: Table) -> None:
        entry["method"]["settings"]["rewind_step"] = 10
        entry["cost"]["steps"] += 2 * 2 * 30
        for ref in entry["tickets"]:
            ref["digest"] = digests[ref["level"], ref["replicate"]]

    path = put(board, replace(late, tickets=tickets), change)
    found = tried(path, board, "dense:0:0", "winning:1:0", "reinit:1:0")
    assert found.problems == ()
    assert [(cell.name, found.as_claimed(cell)) for cell in found.cells] == [
        ("dense:0:0", True),
        ("winning:1:0", False),
        ("reinit:1:0", True),
    ]
    assert not found.holds


def test_a_cell_that_retrains_final_weights_is_trained_with_its_ladder(board: Board, tmp_path: Path) -> None:
    """Level 2 begins with the end of level 1, which begins with the end of the dense run: neither is drawn."""
    run = run_tutorial(tmp_path / "run", changes=("retraining=lr-rewind",))
    (one,) = submissions(run, author="me", plugins=[TUTORIAL], description="Learning-rate rewinding.")
    found = tried(put(board, one), board, "winning:2:0")
    assert [(cell.name, found.as_claimed(cell)) for cell in found.cells] == [("winning:2:0", True)]


def test_an_entry_that_is_not_valid_is_not_trained(
    honest: Submission, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_cells", _fail)

    def change(entry: Table) -> None:
        entry["task"]["hash"] = "ab" * 32

    found = tried(put(board, honest, change), board)
    assert (found.holds, found.cells) == (False, ())
    assert "is not the protocol" in found.problems[0].line
    assert as_lines(found)[-1].endswith("is not valid: nothing was trained")


def _fail(*_: object) -> None:
    raise RunError("no training here")


def test_only_measured_entries_can_be_trained_again(board: Board) -> None:
    (board.root / "vision").mkdir()
    for entry in (reported("paper"), claim("says")):
        path = board.root / "vision" / f"{entry.id}.json"
        path.write_text(text_of(entry))
        with pytest.raises(UsageError, match=f"is of kind {entry.kind}; only a measured entry"):
            verify(path, board)
    broken = board.root / "vision" / "broken.json"
    broken.write_text("{")
    with pytest.raises(BadEntry, match="no whole JSON"):
        verify(broken, board)


@pytest.mark.parametrize(
    "name", ["winning", "winning:1", "winning:1:0:0", "winning:one:0", "winning:-1:0", "winning:1:²"]
)
def test_a_cell_that_is_no_cells_name_is_refused(honest: Submission, board: Board, name: str) -> None:
    with pytest.raises(UsageError, match="arm:level:replicate is needed, such as winning:1:0"):
        tried(put(board, honest), board, name)


@pytest.mark.parametrize("name", ["winning:3:0", "winning:1:2", "other:1:0", "winning:0:0", "dense:1:0"])
def test_a_cell_that_the_entry_has_not_is_refused(honest: Submission, board: Board, name: str) -> None:
    with pytest.raises(UsageError, match=r"has no cell .* \(levels 1, 2\), replicates 0 to 1"):
        tried(put(board, honest), board, name)


def test_no_cell_at_all_is_refused(honest: Submission, board: Board) -> None:
    with pytest.raises(UsageError, match="count = 0: at least one"):
        verify(put(board, honest), board, plugins=[TUTORIAL], count=0)


def test_a_draw_has_a_winning_cell_and_comes_again_with_its_seed(honest: Submission) -> None:
    draws = [draw(honest.entry, 3, seed) for seed in range(40)]
    assert draws == [draw(honest.entry, 3, seed) for seed in range(40)]
    assert all(one[0][0] == LADDER and len(set(one)) == len(one) >= 3 for one in draws)
    assert {arm for one in draws for arm, _, _ in one} == {DENSE, LADDER, "reinit", "random"}


@pytest.mark.parametrize("method", ["imp", "one-shot"])
def test_a_drawn_cell_brings_the_cell_that_its_mask_is_pruned_from(tmp_path: Path, method: str) -> None:
    (one,) = submissions(run_tutorial(tmp_path / "run", method), author="me", plugins=[TUTORIAL])
    for seed in range(20):
        drawn = draw(one.entry, 2, seed)
        for _, level, replicate in [place for place in drawn[:2] if place[1]]:
            parent = (DENSE, 0, replicate) if method == "one-shot" or level == 1 else (LADDER, level - 1, replicate)
            assert parent in drawn


@pytest.mark.parametrize("method", ["lr-rewind", "fine-tune"])
def test_a_ticket_of_final_weights_is_trained_again_from_the_dense_run_on(
    board: Board, tmp_path: Path, method: str
) -> None:
    (one,) = submissions(run_tutorial(tmp_path / "run", method), author="me", plugins=[TUTORIAL])
    found = tried(put(board, one), board, "winning:2:1")
    assert (found.holds, found.bit_for_bit) == (True, True)
    assert [agreement(found, cell) for cell in found.cells] == ["exact"]


def test_masks_of_another_method_are_caught_by_any_draw(board: Board, tmp_path: Path) -> None:
    """Random masks of a one-shot method are sold as those of magnitude at the start: every cell trains as claimed."""
    changes = ("schedule=one-shot", "score_at=start", "criterion=random", "rewind_step=0", "name=mine")
    (one,) = submissions(
        run_tutorial(tmp_path / "run", changes=changes), author="me", plugins=[TUTORIAL], description="Mine."
    )
    forged_method = Method.model_validate(one.entry.method.settings.model_dump() | {"criterion": "magnitude"})
    tickets: dict[tuple[int, int], Ticket] = {}
    digests: list[str] = []
    for ref in one.entry.tickets:
        ticket = replace(one.tickets[ref.level, ref.replicate], method_hash=forged_method.pruning_hash)
        digests.append(ticket.digest)
        tickets[ref.level, ref.replicate] = ticket

    def change(entry: Table) -> None:
        entry["method"]["settings"] = forged_method.model_dump(mode="json")
        for ref, digest in zip(entry["tickets"], digests, strict=True):
            ref["digest"] = digest

    path = put(board, replace(one, tickets=tickets), change)
    for seed in range(3):
        found = verify(path, board, plugins=[TUTORIAL], count=1, seed=seed)
        assert found.problems == ()
        assert not found.holds


def test_a_criterion_that_is_not_known_is_trained_under_its_masks_alone(board: Board, tmp_path: Path) -> None:
    changes = ("schedule=one-shot", "score_at=start", "criterion=random", "rewind_step=0", "name=mine")
    (one,) = submissions(
        run_tutorial(tmp_path / "run", changes=changes), author="me", plugins=[TUTORIAL], description="Mine."
    )
    settings = Method.model_validate(one.entry.method.settings.model_dump() | {"criterion": "unheard-of"})
    tickets, digests = {}, []
    for ref in one.entry.tickets:
        ticket = replace(one.tickets[ref.level, ref.replicate], method_hash=settings.pruning_hash)
        digests.append(ticket.digest)
        tickets[ref.level, ref.replicate] = ticket

    def change(entry: Table) -> None:
        entry["method"]["settings"] = settings.model_dump(mode="json")
        for ref, digest in zip(entry["tickets"], digests, strict=True):
            ref["digest"] = digest

    found = tried(put(board, replace(one, tickets=tickets), change), board, "winning:1:0", "dense:0:0")
    assert (found.holds, [cell.masks for cell in found.cells]) == (False, [(), ()])
    assert found.outcome == "scores hold, mask not made again"
    unknown = "criterion 'unheard-of' is not known here: masks can be checked, not made again"
    assert f"remark, method: {unknown}" in as_lines(found)
    assert "scores hold, mask not made again: criterion 'unheard-of' is not known here: name its" in as_lines(found)[-1]


def test_a_seed_is_drawn_and_said(honest: Submission, board: Board) -> None:
    path = put(board, honest)
    first = verify(path, board, plugins=[TUTORIAL], count=1)
    again = verify(path, board, plugins=[TUTORIAL], count=1, seed=first.seed)
    assert [cell.name for cell in again.cells] == [cell.name for cell in first.cells]
    assert str(first.seed) in as_lines(first)[-1]


def test_training_leaves_nothing_behind_and_tells_how_far_it_is(
    honest: Submission, board: Board, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    seen: list[tuple[str, int, int]] = []
    folders: set[str] = set()

    def tell(name: str, steps: int, total: int) -> None:
        seen.append((name, steps, total))
        folders.update(path.name for path in (tmp_path / "work").iterdir())

    path = put(board, honest)
    verify(path, board, plugins=[TUTORIAL], cells=["winning:1:0"], work=tmp_path / "work", tell=tell)
    assert [name.startswith("lottery-verify-") for name in folders] == [True]
    assert list((tmp_path / "work").iterdir()) == []
    assert seen[-1] == ("tutorial/breast-cancer imp winning level 1 replicate 0", 140, 140)


def test_the_report_says_what_was_found(honest: Submission, board: Board) -> None:
    found = tried(put(board, honest, forged("winning", 1, 0, 0.123)), board, "winning:1:0", "random:1:1")
    table = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert (table["holds"], table["bit_for_bit"]) == (False, True)
    assert [(cell["cell"], cell["holds"], cell["claimed"]) for cell in table["cells"]] == [
        ("winning:1:0", False, 0.123),
        ("random:1:1", True, honest.entry.curves["random"][1].values[1]),
    ]
    lines = as_lines(found)
    assert any(line.startswith("✗ winning:1:0: differs: claimed 0.123") for line in lines)
    assert "1 of 2 cells are not as claimed" in lines[-1]


def check(claimed: float | None, found: float | None, same: bool = False, **more: object) -> CellCheck:
    """A cell's check whose runs lie .01 apart, by an entry of many replicates."""
    return CellCheck("winning", 1, 0, claimed, found, Spread(0.01, 1000), same, **more)  # type: ignore[arg-type]


def test_agreement_wants_score_and_weights() -> None:
    def of(one: CellCheck) -> str:
        return one.agreement(tolerance=0.02)

    assert of(check(0.9, 0.9, same=True)) == "exact"
    assert of(check(0.9, 0.9)) == "within"
    assert of(check(0.9, 0.881)) == "within"
    assert of(check(0.9, 0.881, same=True)) == "differs"
    assert of(check(0.9, 0.9 + 1e-7, same=True)) == "within"
    assert of(check(0.9, 0.879)) == "differs"
    assert of(check(None, None)) == "within"
    assert of(check(None, 0.9)) == of(check(0.9, None)) == "differs"
    assert of(check(None, None, problem="its mask does not fit")) == "differs"


def test_a_mask_that_shares_nine_tenths_is_enough_elsewhere() -> None:
    near, far = MaskCheck(2, False, 0.9), MaskCheck(2, False, 0.899)
    assert (near.agreement, far.agreement, MaskCheck(2, False, None).agreement) == ("within", "differs", "differs")
    assert check(0.9, 0.9, same=True, masks=(near,)).holds(False, 0.02)
    assert not check(0.9, 0.9, same=True, masks=(near,)).holds(True, 0.02)
    assert not check(0.9, 0.9, same=True, masks=(far,)).holds(False, 0.02)


def test_bits_are_owed_for_the_machine_for_weights_and_for_large_masks_that_all_come_out() -> None:
    large, small = MaskCheck(2, True, 1.0, telling=True), MaskCheck(2, True, 1.0, telling=False)
    assert bits_owed(True, []) == "same machine type"
    assert bits_owed(False, [check(0.9, 0.9, same=True)]) == "the weights of winning:1:0 came out bit for bit here"
    assert bits_owed(False, [check(0.9, 0.9, masks=(large,) * 3)]) == "all 3 masks made again came out bit for bit here"
    assert bits_owed(False, [check(0.9, 0.9, masks=(large,) * 2)]) == ""
    assert bits_owed(False, [check(0.9, 0.9, masks=(small,) * 3)]) == ""
    other = MaskCheck(2, False, 0.99, telling=True)
    assert bits_owed(False, [check(0.9, 0.9, masks=(large, large, large, other))]) == ""  # by chance, elsewhere
    assert bits_owed(False, [check(0.9, 0.9, same=True, masks=(large,) * 3)], machines=2) == ""


def of_two_machines(entry: Table) -> None:
    entry["provenance"]["hardware"] |= {"cpu": "This, another", "machines": 2}


def test_an_entry_of_two_machines_owes_no_bits(honest: Submission, board: Board) -> None:
    found = tried(put(board, honest, of_two_machines), board, "winning:2:1")
    assert (found.bit_for_bit, found.holds) == (False, True)
    assert "This, another" in found.machines[0]


def test_a_count_of_machines_that_is_none_is_one(honest: Submission) -> None:
    forged_count = {**honest.entry.provenance.hardware, "machines": "two"}
    assert honest.entry.provenance.model_copy(update={"hardware": forged_count}).machines == 1


def test_one_network_has_one_score_whatever_machines_an_entry_names(honest: Submission, board: Board) -> None:
    def better(entry: Table) -> None:
        of_two_machines(entry)
        forged("winning", 2, 1, entry["curves"]["winning"][2]["values"][1] + 0.001)(entry)

    assert not tried(put(board, honest, better), board, "winning:2:1").holds
    assert bits_owed(False, [check(None, None, same=True)]) == ""  # weights that are no numbers are equal anywhere


def test_the_chance_of_one_cell_is_that_of_the_draw(honest: Submission) -> None:
    """Fourteen cells: the first is a winning one, the others are drawn of the thirteen that are left."""
    assert chance(honest.entry, 3, more=False) == pytest.approx(2 / 13)
    assert chance(honest.entry, 14, more=False) == chance(honest.entry, 3, more=True) == 1
    for wanted in (0.1, 0.5, 0.9, 1.0):
        count = count_for(honest.entry, wanted)
        assert chance(honest.entry, count, more=False) >= wanted > chance(honest.entry, count - 1, more=False)
    for wanted in (0.0, 1.1):
        with pytest.raises(UsageError, match="a chance above 0 and up to 1"):
            count_for(honest.entry, wanted)


def test_the_count_can_be_given_as_a_chance(honest: Submission, board: Board, finished: Path) -> None:
    found = verify(put(board, honest), board, plugins=[TUTORIAL], count=0.5, seed=1)
    assert found.chance is not None
    assert found.chance >= 0.5
    assert "one changed cell was drawn with a chance of 54% or more" in as_lines(found)[-2]
    with pytest.raises(UsageError, match="a whole number, or a chance below 1"):
        verify(board.root / "tutorial" / f"{honest.entry.id}.json", board, plugins=[TUTORIAL], count=2.5)
    assert "the one cell that was drawn is of winning" in as_lines(replace(found, chance=0.0))[-2]
    assert "with a chance of 0.06% or more" in as_lines(replace(found, chance=1 / 1809))[-2]


def test_every_arm_has_its_further_cells(honest: Submission) -> None:
    have = draw(honest.entry, 3, 1)
    more = draw_more(honest.entry, have, 1)
    assert sorted((*have, *more)) == sorted({*have, *more})
    assert len({*have, *more}) == 14


def test_a_cost_that_the_cells_found_do_not_bear_out_is_no_claim_that_holds(honest: Submission, board: Board) -> None:
    """Half the sparse FLOPs: still more than the dense runs alone take."""

    def change(entry: Table) -> None:
        entry["cost"]["flops_sparse"] *= 0.5

    assert tried(put(board, honest), board, "winning:2:0", "random:1:0").holds
    (board.root / "tutorial" / f"{honest.entry.id}.json").unlink()
    found = tried(put(board, honest, change), board, "winning:2:0", "random:1:0")
    assert found.problems == ()
    assert [cost.name for cost in found.costs if not cost.holds] == ["sparse FLOPs"]
    assert "sparse FLOPs are not" in as_lines(found)[-1]


def test_shared_survivors_are_a_fraction_of_the_larger_mask() -> None:
    import torch

    a = Mask({"w": torch.tensor([True, True, True, False])})
    b = Mask({"w": torch.tensor([True, True, False, True])})
    few = Mask({"w": torch.tensor([True, False, False, False])})
    other = Mask({"w": torch.ones(2, 2, dtype=torch.bool)})
    assert (shared_survivors(a, b), shared_survivors(a, few)) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert shared_survivors(a, other) is None
