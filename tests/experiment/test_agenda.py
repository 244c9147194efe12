"""What can start when, against the plain rule read from scratch at each event."""

import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from suite.experiment.agenda import Agenda, Unit
from suite.experiment.plan import Cell


def cell(key: str, *needs: str, prunes: bool = False, mask: str | None = None) -> Cell:
    """All that an agenda looks at of a cell."""
    made = SimpleNamespace(key=key, needs=needs, prunes=(None,) if prunes else (), name=key, mask_key=mask)
    return cast(Cell, made)


def drain(agenda: Agenda) -> list[str]:
    """Run everything, each unit finishing at once; keys in order."""
    order: list[str] = []
    while (unit := agenda.next()) is not None:
        order += [each.key for each in unit]
        agenda.finish(each for each in unit if not agenda.stopped(each))
    return order


def test_parents_come_before_children_and_ladders_before_all_else() -> None:
    units = [(cell("a"),), (cell("b", prunes=True),), (cell("c", "a", "b"),), (cell("d", "b", prunes=True),)]
    assert drain(Agenda(units, set(), lambda each: False)) == ["b", "d", "a", "c"]


def test_what_is_done_is_left_out_and_its_children_start() -> None:
    units = [(cell("a"),), (cell("b", "a"),), (cell("c", "b"),)]
    agenda = Agenda(units, {"a", "b"}, lambda each: False)
    assert [each.key for each in agenda.left] == ["c"]
    assert drain(agenda) == ["c"]


def test_a_failure_blocks_all_that_starts_from_it_and_nothing_else() -> None:
    units = [(cell("a"),), (cell("b", "a"),), (cell("c", "b"),), (cell("d"),)]
    agenda = Agenda(units, set(), lambda each: False)
    first = agenda.next()
    assert first is not None
    agenda.fail(first)
    assert agenda.blocked == {"b": "b starts from a run that failed", "c": "c starts from a run that failed"}
    assert drain(agenda) == ["d"]


def test_a_run_that_left_no_mask_loses_what_starts_from_it() -> None:
    units = [(cell("a"),), (cell("b", "a", mask="m"),), (cell("c", "b"),)]
    agenda = Agenda(units, set(), lambda each: each.key == "b")
    assert agenda.lost == {}, "the run may still leave it"
    assert drain(agenda) == ["a"]
    assert agenda.lost == {"b": "b starts from a run that diverged", "c": "c starts from a run that diverged"}


def test_a_mask_that_a_finished_run_did_not_leave_is_lost_from_the_start() -> None:
    agenda = Agenda([(cell("a"),), (cell("b", "a", mask="m"),)], {"a"}, lambda each: each.key == "b")
    assert list(agenda.lost) == ["b"]
    assert list(agenda.left) == []


def test_a_cohort_waits_for_all_its_members_and_runs_without_those_that_are_stopped() -> None:
    units = [(cell("a"),), (cell("b"),), (cell("x", "a"), cell("y", "b"))]
    agenda = Agenda(units, set(), lambda each: False)
    (first, second) = (agenda.next(), agenda.next())
    assert first is not None
    assert second is not None
    agenda.fail(first)
    assert agenda.next() is None
    agenda.finish(second)
    assert agenda.next() == units[2]
    assert list(agenda.blocked) == ["x"]


def test_a_cohort_whose_members_are_all_stopped_never_runs() -> None:
    units = [(cell("a"),), (cell("x", "a"), cell("y", "a"))]
    agenda = Agenda(units, set(), lambda each: False)
    first = agenda.next()
    assert first is not None
    agenda.fail(first)
    assert agenda.next() is None
    assert list(agenda.left) == [units[0][0]]


def _plainly(units: Sequence[Unit], fails: set[str], loses: set[str]) -> tuple[set[str], set[str], set[str]]:
    """Keys that ran, that are blocked and that are lost, by looking at everything until nothing changes."""
    ran: set[str] = set()
    failed: set[str] = set()
    blocked: set[str] = set()
    lost: set[str] = set()
    waiting = list(units)
    while True:
        for unit in waiting:
            for each in unit:
                if each.key in blocked | lost:
                    continue
                if (failed | blocked).intersection(each.needs):
                    blocked.add(each.key)
                elif lost.intersection(each.needs) or (ran.issuperset(each.needs) and each.key in loses):
                    lost.add(each.key)
        waiting = [unit for unit in waiting if not all(each.key in blocked | lost for each in unit)]
        stopped = blocked | lost
        ready = [u for u in waiting if all(n in ran for each in u if each.key not in stopped for n in each.needs)]
        if not ready:
            return ran, blocked, lost
        unit = ready[0]
        waiting.remove(unit)
        alive = {each.key for each in unit if each.key not in stopped}
        if alive & fails:
            failed |= alive
        else:
            ran |= alive


@pytest.mark.parametrize("seed", range(60))
def test_any_graph_comes_out_as_by_the_plain_rule(seed: int) -> None:
    """Reasons may differ where a cell starts from a failed run and from a lost one; that it is stopped may not."""
    draw = random.Random(seed)
    cells: list[Cell] = []
    units: list[Unit] = []
    for _ in range(30):
        members = []
        for _ in range(draw.choice((1, 1, 2, 3))):
            needs = draw.sample([each.key for each in cells], min(len(cells), draw.randrange(3)))
            members.append(cell(f"c{len(cells) + len(members)}", *needs, prunes=draw.random() < 0.3))
        cells += members
        units.append(tuple(members))
    fails = {each.key for each in cells if draw.random() < 0.05}
    loses = {each.key for each in cells if each.needs and draw.random() < 0.05}
    agenda = Agenda(units, set(), lambda each: each.key in loses)
    ran: set[str] = set()
    while (unit := agenda.next()) is not None:
        alive = [each for each in unit if not agenda.stopped(each)]
        if any(each.key in fails for each in alive):
            agenda.fail(alive)
        else:
            ran.update(each.key for each in alive)
            agenda.finish(alive)
    wanted, blocked, lost = _plainly(units, fails, loses)
    assert ran == wanted
    assert agenda.blocked.keys() | agenda.lost.keys() == blocked | lost
