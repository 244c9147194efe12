"""On another type of machine: what verify sees of tickets trained past the rewind step that their entry names.

Nothing is trained: the packaged board has entries of one task that differ in nothing but the step that tickets start
from. One of a later step, in the words of the other, is the forgery. `pytest -s` prints what is seen, and the power.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean

import pytest
from another_machine import reenacted
from forgeries import Slot, chained

import leaderboards
import suite.leaderboard.verify as module
from suite.leaderboard.board import Board, read, text_of
from suite.leaderboard.masks import Tickets, ladder_files
from suite.leaderboard.schema import Measured
from suite.leaderboard.verdict import Verification
from suite.leaderboard.verdict_text import smallest_shift
from suite.leaderboard.verify import verify
from suite.tickets.ticket import Ticket

PACKAGED = Board(Path(leaderboards.__file__).parent)
VISION, RL = "vision/mnist5k-lenet300-quick", "rl/cartpole-quick"
KJV, NUMBERS = "nlp/kjv-lstm-quick", "nlp/numbers-transformer-quick"


def entry(name: str) -> Measured:
    """An entry of the packaged board."""
    found = read(PACKAGED.root / f"{name}.json")
    assert isinstance(found, Measured)
    return found


@cache
def tickets_of(name: str) -> dict[Slot, Ticket]:
    """The tickets of an entry of the packaged board, read once for all tests."""
    return dict(Tickets(entry(name), PACKAGED))


def forged(late_name: str, honest_name: str) -> tuple[Measured, dict[Slot, Ticket]]:
    """The scores and tickets of the late entry, in the words of the honest one, of the arms that both have."""
    late, honest = entry(late_name), entry(honest_name)
    table, words = json.loads(text_of(late)), json.loads(text_of(honest))
    arms = [arm for arm in late.protocol.arms if arm in honest.protocol.arms]
    table["method"] = words["method"]
    table["protocol"]["arms"] = arms
    table["curves"] = {arm: table["curves"][arm] for arm in arms}
    if set(arms) == set(honest.protocol.arms):
        table["cost"] = words["cost"]
    steps = {slot: ticket.rewind_step for slot, ticket in tickets_of(honest_name).items()}
    tickets = {slot: replace(ticket, rewind_step=steps[slot]) for slot, ticket in tickets_of(late_name).items()}
    tickets = chained(table, tickets)
    return Measured.model_validate(table), tickets


def tried(
    said: Measured, tickets: dict[Slot, Ticket], honest: str, board: Board, patch: pytest.MonkeyPatch
) -> Verification:
    """Verify what is `said`, where the cells come out as another type of machine makes those of the honest entry."""
    path = board.add(said, ladder_files(tickets))
    patch.setattr(module, "run_cells", reenacted(entry(honest), tickets_of(honest), tickets))
    patch.setattr(module, "same_machine", lambda *_: False)
    return verify(path, board, count=10, seed=1)


def seen(found: Verification) -> set[str]:
    """By what a verification failed."""
    masks = [mask.agreement for cell in found.cells for mask in cell.masks]
    return {
        *(["masks"] if "differs" in masks else []),
        *(["cells"] if any(cell.agreement(found.tolerance(cell)) == "differs" for cell in found.cells) else []),
        *(mean.name for mean in found.contrasts if not mean.holds),
        *(cost.name for cost in found.costs if not cost.holds),
    }


@pytest.mark.parametrize("name", [f"{VISION}-imp", f"{RL}-imp", f"{KJV}-imp-no-rewind", f"{NUMBERS}-imp-no-rewind"])
def test_an_honest_entry_holds(name: str, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(entry(name), tickets_of(name), name, board, monkeypatch)
    assert (found.problems, found.bit_for_bit, seen(found)) == ((), False, set())
    assert found.outcome == "the claims hold"


@pytest.mark.parametrize(
    ("late", "said", "by"),
    [
        (f"{VISION}-lr-rewind", f"{VISION}-imp", "masks"),
        (f"{RL}-lr-rewind", f"{RL}-imp", ""),
        (f"{KJV}-imp", f"{KJV}-imp-no-rewind", "winning"),
        (f"{NUMBERS}-imp", f"{NUMBERS}-imp-no-rewind", "masks"),
        (f"{RL}-imp", f"{RL}-imp-no-rewind", ""),
    ],
)
def test_a_ticket_trained_past_its_rewind_step_is_caught_unless_it_lies_below_the_stated_power(
    late: str, said: str, by: str, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or lies below the power that the verification states, as those of RL do.

    Returns of RL vary so much that not even training to the end, 54 a cell better, stands out on another machine: there
    only the entry's own type tells.
    """
    found = tried(*forged(late, said), said, board, monkeypatch)
    assert found.problems == ()
    shift = fmean(c.difference for c in found.cells if c.arm == "winning" and c.difference is not None)
    shared = min((m.shared or 0.0) for cell in found.cells for m in cell.masks)
    power = smallest_shift(found)["winning"]
    print(
        f"\n| {late} as {said} | {found.outcome} | {sorted(seen(found))} | {shift:.4g} | {power:.4g} | {shared:.3f} |"
    )
    if by:
        assert by in seen(found)
        assert found.outcome == "the claims do not hold"
    else:
        assert abs(shift) < power
        assert shared > 0.9
