"""What can be checked without training: an honest entry passes, and every forgery is named."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic_entries import claim, measured, reported
from tutorial_run import TUTORIAL

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.leaderboard.board import Board, text_of
from suite.leaderboard.protocol import uneven
from suite.leaderboard.submit import submit
from suite.leaderboard.validate import Validation, validate
from suite.tickets.ladder import Ladder, load_ladder
from suite.tickets.mask import Mask
from suite.tickets.ticket import Ticket

NAME = "breast-cancer-smoke-imp"
Table = dict[str, Any]


@pytest.fixture
def entry(finished: Path, board: Board) -> Path:
    """The file of an honest entry."""
    (path,) = submit(finished, board, author="me", plugins=[TUTORIAL])
    return path


def check(path: Path, board: Board | None = None) -> Validation:
    """Validate with the tutorial's task known."""
    return validate(path, board, [TUTORIAL])


def problems(path: Path) -> list[tuple[str, str]]:
    """Problems as (check, line)."""
    return [(finding.check, finding.line) for finding in check(path).problems]


def forge(path: Path, change: Callable[[Table], object]) -> None:
    """Change an entry's table in its file."""
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def point(table: Table, arm: str, level: int) -> Table:
    """A point of a curve."""
    found: Table = table["curves"][arm][level]
    return found


def ladder_path(path: Path, replicate: int) -> Path:
    """The file of a ladder of the entry in `path`."""
    return path.parent.parent / "masks" / "tutorial" / NAME / f"replicate-{replicate:03}.ladder"


def ticket(path: Path, level: int, replicate: int) -> Ticket:
    """A ticket of the entry in `path`."""
    return load_ladder(ladder_path(path, replicate))[level]


def put(path: Path, *forged: Ticket) -> None:
    """Place forged tickets of one replicate, and their digests in the entry, as a forger would."""
    file = ladder_path(path, forged[0].replicate)
    tickets = {**load_ladder(file), **{ticket.level: ticket for ticket in forged}}
    file.write_bytes(Ladder.of(tickets.values()).to_bytes())

    def claim_it(table: Table) -> None:
        for ref in table["tickets"]:
            if ref["replicate"] == forged[0].replicate:
                ref["digest"] = tickets[ref["level"]].digest

    forge(path, claim_it)


def moved(ticket: Ticket, **changed: Any) -> Ticket:
    """A ticket with other fields."""
    return replace(ticket, **changed)


def test_an_honest_entry_passes_and_says_where_its_plugin_is(entry: Path) -> None:
    report = check(entry)
    assert report.problems == ()
    assert report.valid
    source = entry.parent.parent / "plugins" / "tutorial" / f"{NAME}.py"
    assert [(remark.check, remark.line) for remark in report.remarks if remark.check != "provenance"] == [
        ("plugin", f"the source of its plugin is {source}: read it before you name it with --plugin")
    ]  # and a dirty checkout, when one works in it


def test_reported_figures_and_claims_pass_and_unknown_tasks_are_remarked(board: Board) -> None:
    (board.root / "vision").mkdir()
    for one in (reported(), claim()):
        path = board.root / "vision" / f"{one.id}.json"
        path.write_text(text_of(one))
        report = check(path)
        assert report.valid
        assert [remark.line for remark in report.remarks] == ["vision/toy is no task that is known here"]


def test_a_file_that_is_no_entry_is_one_problem(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-100])
    ((name, line),) = problems(entry)
    assert name == "schema"
    assert "is no whole JSON text" in line


def test_a_symbolic_link_is_refused(entry: Path, tmp_path: Path) -> None:
    entry.rename(tmp_path / "real.json")
    entry.symlink_to(tmp_path / "real.json")
    ((name, line),) = problems(entry)
    assert name == "schema"
    assert "is a symbolic link" in line


def test_a_file_under_another_name_or_in_another_domain_is_refused(entry: Path, board: Board) -> None:
    other = entry.rename(entry.with_name("other.json"))
    assert [name for name, _ in problems(other)] == ["place"]
    (board.root / "vision").mkdir()
    foreign = other.rename(board.root / "vision" / f"{NAME}.json")
    assert [name for name, _ in problems(foreign)] == ["place"]


def test_a_domain_that_is_a_link_is_refused(entry: Path, tmp_path: Path) -> None:
    entry.parent.rename(tmp_path / "elsewhere")
    entry.parent.symlink_to(tmp_path / "elsewhere")
    ((name, line),) = problems(entry)
    assert name == "place"
    assert "is a symbolic link" in line


def unlink_replicate(table: Table) -> None:
    point(table, "winning", 2)["values"].pop()
    point(table, "winning", 2)["weights"].pop()


def drop_replicate_everywhere(table: Table) -> None:
    for points in table["curves"].values():
        for one in points:
            one["values"][1] = one["weights"][1] = None
    table["tickets"] = [ref for ref in table["tickets"] if ref["replicate"] == 0]


def hide_value(table: Table) -> None:
    point(table, "reinit", 2)["values"][1] = point(table, "reinit", 2)["weights"][1] = None


def go_on_after_divergence(table: Table) -> None:
    point(table, "winning", 1)["values"][0] = None


def one_replicate(table: Table) -> None:
    table["protocol"]["replicates"] = 1
    for points in table["curves"].values():
        for one in points:
            one["values"], one["weights"] = one["values"][:1], one["weights"][:1]
    table["tickets"] = [ref for ref in table["tickets"] if ref["replicate"] == 0]


def copy_replicate(table: Table) -> None:
    for points in table["curves"].values():
        for one in points:
            one["values"][1] = one["values"][0]


def copy_weights(table: Table) -> None:
    point(table, "random", 2)["weights"][1] = point(table, "random", 2)["weights"][0]


def copy_arm(table: Table) -> None:
    point(table, "random", 1)["weights"][1] = point(table, "winning", 1)["weights"][1]


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (unlink_replicate, "replicates", "winning level 2 has 1 values and 1 weights digests for 2 replicates"),
        (drop_replicate_everywhere, "replicates", "replicate 1 has no value at all"),
        (hide_value, "replicates", "reinit level 2 replicate 1 is missing: no level before it diverged"),
        (
            lambda t: point(t, "reinit", 2)["weights"].__setitem__(0, None),
            "replicates",
            "reinit level 2 replicate 0 has a score and no digest of its weights",
        ),
        (go_on_after_divergence, "replicates", "winning level 2 replicate 0 was trained, but its ladder diverged at"),
        (one_replicate, "replicates", "one replicate has no interval: an entry has 2 or more"),
        (
            copy_replicate,
            "seeds",
            "replicates 0 and 1 have the same value everywhere below the dense network: a seed was",
        ),
        (copy_weights, "seeds", "random level 2 replicate 1 has the very weights of random level 2 replicate 0"),
        (copy_arm, "seeds", "random level 1 replicate 1 has the very weights of winning level 1 replicate 1"),
        (
            lambda t: point(t, "reinit", 0)["values"].__setitem__(0, 0.5),
            "level 0",
            "reinit has another level 0 than winning: the dense network is one",
        ),
        (lambda t: t["task"].update(hash="ab" * 32), "task", "is not the protocol: the registry has 1.0.0"),
        (lambda t: t["task"].update(version="1.0.1"), "task", "is not the protocol"),
        (lambda t: t["task"].update(scale="paper"), "task", "has no scale 'paper'"),
        (lambda t: t["metric"].update(margin=0.5), "task", "its metric is"),
        (lambda t: t["provenance"].update(data_fingerprint="other"), "task", "its data have fingerprint other"),
        (lambda t: t["provenance"].update(date="yesterday"), "schema", "provenance.date: String should match"),
        (lambda t: t["provenance"].update(date="2026-13-01T00:00:00Z"), "schema", "provenance.date"),
        (lambda t: t["provenance"].update(date="20261124T040000+00:00"), "schema", "provenance.date"),
        (lambda t: t["provenance"].update(date="2999-01-01T00:00:00Z"), "provenance", "is still to come"),
        (lambda t: t["provenance"].update(versions={}), "provenance", "versions do not say python, torch"),
        (lambda t: t["provenance"]["hardware"].pop("cpu"), "provenance", "hardware do not say cpu"),
        (lambda t: t["provenance"].update(threads=-5), "schema", "provenance.threads"),
        (lambda t: t["provenance"].update(suite_version="0\x1b[2K\rvalid"), "schema", "suite_version holds U+001B"),
        (lambda t: t["provenance"].update(suite_version="0.0.1"), "provenance", "'0.0.1' was never released: releases"),
        (lambda t: t["provenance"].update(suite_version="0.1.0.post1"), "provenance", "was never released: if a newer"),
        (lambda t: t["provenance"].update(suite_version="best"), "provenance", "'best' was never released: it is no"),
        (lambda t: t.update(title="imp \u202eevah ew"), "schema", "title holds U+202E, which turns the direction of"),
        (lambda t: t["method"]["settings"].update(criterion="a\u2066b"), "schema", "method.settings.criterion holds"),
        (lambda t: t["provenance"]["hardware"].update({"a\u2069b": "c"}), "schema", "a key of provenance.hardware"),
        (
            lambda t: (t["protocol"].update(at=[2]), [t["curves"][arm].pop(1) for arm in ("reinit", "random")]),
            "protocol",
            "has its arms at levels 2, the task's own choice has 1, 2: level 1 is missing, run it without --at",
        ),
        (
            lambda t: t["method"]["settings"].update(name="\u0456m\u0440"),
            "names",
            "looks like 'imp', which is",
        ),
        (lambda t: t["method"]["settings"].update(name="Imp "), "names", "method 'Imp ' looks like 'imp'"),
        (lambda t: t["protocol"].update(device="quantum"), "schema", "protocol.device"),
        (
            lambda t: t["method"]["settings"].update(rewind_step=9),
            "method",
            "is named imp, whose rewind_step is 10 on this task, and has 9: rename it",
        ),
        (lambda t: t["method"]["settings"].update(name="snip"), "method", "is named snip, whose criterion is snip"),
        (lambda t: t["provenance"].update(execution="cohort"), "provenance", "was run as cohort on cpu"),
        (lambda t: t["protocol"].update(levels=3), "protocol", "winning has levels 0, 1, 2, the plan has 0, 1, 2, 3"),
        (lambda t: t["curves"].pop("random"), "protocol", "random has levels none, the plan has 0, 1, 2"),
        (lambda t: t["curves"]["reinit"].pop(), "protocol", "reinit has levels 0, 1, the plan has 0, 1, 2"),
        (lambda t: t["protocol"].update(arms=["reinit", "random"]), "protocol", "arm winning is missing"),
        (lambda t: t["protocol"]["arms"].append("oracle"), "protocol", "unknown arm 'oracle'"),
        (lambda t: t["protocol"].update(at=[1]), "protocol", "reinit has levels 0, 1, 2, the plan has 0, 1"),
        (lambda t: t["protocol"].update(exec="cohort"), "protocol", "has no cohort"),
        (lambda t: t["method"]["settings"].update(rewind_step=999), "protocol", "rewind_step = 999"),
        (lambda t: t["method"]["settings"].update(criterion="snip"), "protocol", "criterion 'snip' needs probes"),
        (
            lambda t: [point(t, arm, 0).update(density=0.9) for arm in t["curves"]],
            "protocol",
            "begins at density 0.9, not with the dense network at 1",
        ),
        (
            lambda t: point(t, "winning", 2).update(density=0.2),
            "tickets",
            "keeps 0.25, but winning claims density 0.2 at level 2",
        ),
        (lambda t: point(t, "random", 1).update(density=0.51), "tickets", "random claims density 0.51 at level 1"),
        (
            lambda t: t["method"]["settings"].update(rate=0.4),
            "tickets",
            "has density 0.5, level 1 keeps exactly 0.599609",
        ),
        (lambda t: t["cost"].update(steps=10), "cost", "10 steps, the plan has 2060"),
        (lambda t: t["cost"].update(flops_sparse=1e15), "cost", "sparse FLOPs are more than"),
        (lambda t: t["cost"].update(flops_sparse=1.0), "cost", "are less than the dense runs alone take"),
        (lambda t: t["cost"].update(flops_dense=1e15), "cost", "by the task's own estimate about 4.12e+08"),
        (lambda t: t["cost"].update(cpu_hours=1e-12), "cost", "no machine takes less than"),
        (lambda t: t["cost"].update(cpu_hours=0), "cost", "0 cpu hours for"),
        (lambda t: t["cost"].update(gpu_hours=1), "cost", "1 gpu_hours of a run on the CPU"),
        (lambda t: t["tickets"].pop(), "tickets", "no ticket is listed for level 2 replicate 1"),
        (lambda t: t["tickets"].append(t["tickets"][0]), "tickets", "a ticket of one level and replicate is listed"),
        (
            lambda t: t["tickets"].append(t["tickets"][0] | {"level": 3}),
            "tickets",
            "a ticket is listed for level 3 replicate 0, which the run has not",
        ),
        (lambda t: t.update(code="other"), "plugin", "is not the code that the entry was made with (other)"),
        (lambda t: t["tickets"][0].update(digest="ab" * 32), "tickets", f"the entry has {'ab' * 32}"),
    ],
)
def test_a_forged_entry_is_refused(entry: Path, change: Callable[[Table], object], name: str, message: str) -> None:
    forge(entry, change)
    found = problems(entry)
    assert [line for check, line in found if check == name and message in line], found
    assert all(len(line.splitlines()) == 1 for _, line in found)


@pytest.mark.parametrize(
    ("bounds", "outside"),
    [
        ("", []),
        ("metric.lowest = 0.0", ["random level 2 replicate 1 has accuracy -0.1, outside [0, inf]"]),
        ("metric.highest = 1.0", ["winning level 1 replicate 0 has accuracy 1.2, outside [-inf, 1]"]),
        ("metric.highest = 2.0", []),
    ],
)
def test_a_score_outside_the_bounds_of_the_tasks_metric_is_refused(
    entry: Path, tmp_path: Path, bounds: str, outside: list[str]
) -> None:
    def stray(table: Table) -> None:
        point(table, "winning", 1)["values"][0] = 1.2
        point(table, "random", 2)["values"][1] = -0.1

    forge(entry, stray)
    plugin = tmp_path / TUTORIAL.name
    unbounded, bounded = "metric.margin = 0.02\n", "metric.margin = 0.02\nmetric.lowest = 0.0\nmetric.highest = 1.0\n"
    assert bounded in TUTORIAL.read_text()
    plugin.write_text(TUTORIAL.read_text().replace(bounded, f"{unbounded}{bounds}\n"))
    found = [finding.line for finding in validate(entry, None, [plugin]).problems if finding.check == "values"]
    assert found == outside


def test_the_statistic_is_the_tasks_own(entry: Path) -> None:
    """Replicates summed up otherwise than the task says would stand beside others under one name."""
    forge(entry, lambda t: t["metric"].update(statistic="interquartile-mean"))
    assert any(check == "task" and "its metric is" in line for check, line in problems(entry))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: [point(t, arm, 0).update(values=[0.5, 0.51]) for arm in t["curves"]],
            "winning level 1 is better than its own dense network by 0.4",
        ),
        (lambda t: point(t, "random", 2)["values"].__setitem__(0, None), "random level 2: replicate 0 diverged"),
        (lambda t: t["provenance"].update(dirty=True), "was run with uncommitted changes"),
    ],
)
def test_what_is_only_remarkable_is_said_and_not_refused(
    entry: Path, change: Callable[[Table], object], message: str
) -> None:
    forge(entry, change)
    report = check(entry)
    assert report.valid, report.problems
    assert [remark.line for remark in report.remarks if message in remark.line], report.remarks


def test_another_code_of_its_plugin_is_said_and_not_refused(entry: Path, tmp_path: Path) -> None:
    """The reader's plugin may be another than the one kept with the entry, or none is kept to compare."""
    edited = tmp_path / TUTORIAL.name
    edited.write_text(TUTORIAL.read_text() + "# edited\n")
    report = validate(entry, None, [edited])
    assert report.valid, report.problems
    code = json.loads(entry.read_text())["code"]
    assert f"was run with other code of its plugin ({code})" in [remark.line for remark in report.remarks]
    assert not any("other code" in remark.line for remark in check(entry).remarks)
    (entry.parent.parent / "plugins" / "tutorial" / f"{NAME}.py").unlink()
    forge(entry, lambda t: t.update(code="other"))
    report = check(entry)
    assert report.valid, report.problems
    assert "was run with other code of its plugin (other)" in [remark.line for remark in report.remarks]


def test_a_strangers_criterion_is_remarked(entry: Path) -> None:
    """Its masks are still checked: the headers name another method."""
    forge(entry, lambda t: t["method"]["settings"].update(criterion="oracle", name="mine"))
    report = check(entry)
    assert "criterion 'oracle' is not known here" in " ".join(remark.line for remark in report.remarks)
    assert {problem.check for problem in report.problems} == {"tickets"}
    assert all("has method hash" in problem.line for problem in report.problems)


def test_a_task_that_is_not_known_is_refused(entry: Path) -> None:
    (problem,) = validate(entry).problems
    assert problem.check == "task"
    assert "unknown task 'tutorial/breast-cancer'" in problem.line


def test_a_protocol_too_long_for_its_file_is_refused_quickly(entry: Path) -> None:
    forge(entry, lambda t: t["protocol"].update(replicates=1000, levels=200))
    assert {name for name, _ in problems(entry)} == {"replicates", "protocol"}


def test_a_missing_ladder_is_named_once(entry: Path) -> None:
    ladder_path(entry, 1).unlink()
    assert problems(entry) == [("tickets", f"no ladder file {ladder_path(entry, 1)}")]


def test_a_folder_without_masks_is_refused(entry: Path) -> None:
    shutil.rmtree(ladder_path(entry, 0).parent)
    assert problems(entry) == [("tickets", f"no ladder file {ladder_path(entry, n)}") for n in (0, 1)]


def test_a_missing_level_and_one_too_many_are_named(entry: Path) -> None:
    file = ladder_path(entry, 0)
    one, two = ticket(entry, 1, 0), ticket(entry, 2, 0)
    file.write_bytes(Ladder.of([one, replace(two, level=3)]).to_bytes())
    assert problems(entry) == [
        ("tickets", f"{file} has no mask of level 2"),
        ("tickets", f"{file} has a mask of level 3, which the entry does not list"),
    ]


def test_a_pickle_is_no_ladder_and_is_not_run(entry: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    ladder_path(entry, 0).write_bytes(pickle.dumps(Bomb()))
    ((name, line),) = problems(entry)
    assert name == "tickets"
    assert "is no ladder" in line
    assert not (tmp_path / "ran").exists()


def test_a_ladder_with_flipped_bits_is_refused(entry: Path) -> None:
    path = ladder_path(entry, 0)
    content = bytearray(path.read_bytes())
    content[content.index(b'"replicate":0') + 12] ^= 1
    path.write_bytes(content)
    assert "does not have the digest that its header states" in problems(entry)[0][1]


def test_a_truncated_ladder_is_refused(entry: Path) -> None:
    path = ladder_path(entry, 0)
    path.write_bytes(path.read_bytes()[:-3])
    assert f"{path} is corrupted" in problems(entry)[0][1]


def test_a_file_that_belongs_to_no_ladder_is_refused(entry: Path) -> None:
    stray = ladder_path(entry, 0).with_name("run_me.py")
    stray.write_text("")
    assert problems(entry) == [("tickets", f"{stray} belongs to no ladder of the entry")]


def test_a_ladder_that_is_a_link_is_refused(entry: Path, tmp_path: Path) -> None:
    path = ladder_path(entry, 0)
    path.rename(tmp_path / "real")
    path.symlink_to(tmp_path / "real")
    ((name, line),) = problems(entry)
    assert name == "tickets"
    assert line.startswith(f"{path} is a symbolic link")


def test_a_folder_of_masks_that_is_a_link_is_refused(entry: Path, tmp_path: Path) -> None:
    folder = ladder_path(entry, 0).parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert problems(entry) == [("tickets", f"{folder} is a symbolic link: masks lie in the board itself")]


def test_a_pipe_is_no_ladder_and_is_not_waited_for(entry: Path) -> None:
    path = ladder_path(entry, 0)
    path.unlink()
    os.mkfifo(path)
    assert problems(entry) == [("tickets", f"{path} is no regular file")]


def test_ladders_larger_than_a_board_holds_are_refused(entry: Path) -> None:
    """A board that was filled by hand, past `submit`."""
    os.truncate(ladder_path(entry, 0), 2**30)
    (_, too_large), (_, not_read) = problems(entry)
    assert "has 1024.0 MiB, a board holds 4 of an entry: use --masks-at" in too_large
    assert f"{ladder_path(entry, 0)} has more than {4 * 2**20} bytes" in not_read


def test_swapped_files_are_refused(entry: Path) -> None:
    a, b = ladder_path(entry, 0), ladder_path(entry, 1)
    content = a.read_bytes(), b.read_bytes()
    a.write_bytes(content[1])
    b.write_bytes(content[0])
    lines = [line for _, line in problems(entry)]
    assert f"{a} level 1 has replicate 1, the entry has 0" in lines
    assert f"{b} level 2 has replicate 0, the entry has 1" in lines


def test_a_mask_of_another_replicate_under_a_new_header_is_refused(entry: Path) -> None:
    other = ticket(entry, 1, 1)
    put(entry, moved(other, replicate=0))
    lines = [line for _, line in problems(entry)]
    assert f"{ladder_path(entry, 1)} level 1 has the very mask of level 1 replicate 0" in lines
    assert any("the ticket of level 1 is" in line for line in lines), "its child has another parent"


def test_a_mask_of_another_level_under_a_new_header_is_refused(entry: Path) -> None:
    deeper = ticket(entry, 2, 0)
    put(entry, moved(deeper, level=1, parent="", rewind_step=0))
    lines = [line for _, line in problems(entry)]
    assert f"{ladder_path(entry, 0)} level 1 has density 0.25, level 1 keeps exactly 0.5" in lines


def test_a_mask_that_revives_pruned_weights_is_refused(entry: Path) -> None:
    """The right density, header and parent; but no pruning of its parent."""
    honest, parent = ticket(entry, 2, 0), ticket(entry, 1, 0)
    name = "0.weight"
    bits = honest.mask[name].clone().flatten()
    bits[bits.nonzero()[0]] = False
    bits[(~parent.mask[name]).flatten().nonzero()[0]] = True
    put(entry, moved(honest, mask=Mask({**honest.mask, name: bits.view(honest.mask[name].shape)})))
    line = f"{ladder_path(entry, 0)} level 2 has weights that were pruned at level 1 already"
    assert problems(entry) == [("tickets", line)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rewind_step": 11}, "has rewind step 11, the entry has 10"),
        ({"parent": "ab" * 32}, "has parent abababababab, the ticket of level 1 is"),
    ],
)
def test_a_ticket_that_is_not_the_entrys_is_refused(entry: Path, changed: Table, message: str) -> None:
    put(entry, moved(ticket(entry, 2, 0), **changed))
    ((name, line),) = problems(entry)
    assert name == "tickets"
    assert message in line


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"task_hash": "ab" * 32}, "has task hash"), ({"method_hash": "ab" * 32}, "has method hash")],
)
def test_a_ladder_of_another_task_or_method_is_refused(entry: Path, changed: Table, message: str) -> None:
    forged: list[Ticket] = []
    for level in (1, 2):
        parent = {"parent": forged[-1].digest} if forged else {}
        forged.append(moved(ticket(entry, level, 0), **changed, **parent))
    ladder_path(entry, 0).write_bytes(Ladder.of(forged).to_bytes())
    put(entry, *forged)
    found = problems(entry)
    assert [name for name, _ in found] == ["tickets", "tickets"]
    assert all(message in line for _, line in found)


def test_a_first_ticket_with_a_parent_is_refused(entry: Path) -> None:
    put(entry, moved(ticket(entry, 1, 0), parent="ab" * 32))
    assert "has parent abababababab, but is pruned from the dense network" in problems(entry)[0][1]


def test_masks_of_another_model_are_refused(entry: Path) -> None:
    def grown(one: Ticket) -> Ticket:
        return moved(one, mask=Mask({name: torch.cat([bits, bits]) for name, bits in one.mask.items()}))

    forged = [grown(ticket(entry, level, 1)) for level in (1, 2)]
    ladder_path(entry, 1).write_bytes(Ladder.of(forged).to_bytes())
    put(entry, *forged)
    line = f"{ladder_path(entry, 1)} level 1 has masks of other shapes than that of level 1 replicate 0"
    assert problems(entry) == [("tickets", line)]


def test_masks_of_tensors_that_the_task_does_not_prune_are_refused(entry: Path) -> None:
    for replicate in (0, 1):
        honest = [ticket(entry, level, replicate) for level in (1, 2)]
        forged = [moved(one, mask=Mask({f"x.{name}": bits for name, bits in one.mask.items()})) for one in honest]
        ladder_path(entry, replicate).write_bytes(Ladder.of(forged).to_bytes())
        put(entry, *forged)
    lines = [line for _, line in problems(entry)]
    assert sum("masks x.0.weight, x.2.weight, task and method prune 0.weight, 2.weight" in line for line in lines) == 4


def test_a_mask_of_no_weights_is_refused(entry: Path) -> None:
    honest = [ticket(entry, level, 0) for level in (1, 2)]
    empty = Mask({name: torch.zeros(0, dtype=torch.bool) for name in honest[0].mask})
    ladder_path(entry, 0).write_bytes(Ladder.of([moved(one, mask=empty) for one in honest]).to_bytes())
    assert problems(entry) == [("tickets", f"{ladder_path(entry, 0)} is a mask of no weights")]


def test_an_entry_of_another_board_is_checked_against_the_board_named(entry: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    found = check(entry, Board(tmp_path / "other")).problems
    assert found[0].check == "place"
    assert len([problem for problem in found if problem.check == "tickets"]) == 2


def other_run(entry: Path, board: Board, tmp_path: Path, *changes: str, **said: str) -> Path:
    """The file of another method's entry on the same board."""
    from tutorial_run import run_tutorial

    run = run_tutorial(tmp_path / "other", changes=changes)
    (path,) = submit(run, board, author="you", plugins=[TUTORIAL], description="Other.", **said)
    return path


def test_equal_cells_of_two_methods_are_no_copies_where_they_are_one_training(
    entry: Path, board: Board, tmp_path: Path
) -> None:
    """One-shot and iterative pruning have one first level; another rewind step leaves the reinit arm there alone."""
    shared = other_run(entry, board, tmp_path, "schedule=one-shot", "name=mine")
    assert (
        point(json.loads(shared.read_text()), "winning", 1)["weights"]
        == (point(json.loads(entry.read_text()), "winning", 1)["weights"])
    )
    assert problems(shared) == problems(entry) == []


def test_cells_of_another_method_that_are_this_ones_are_refused(entry: Path, board: Board, tmp_path: Path) -> None:
    """The best cells of an entry under a method of one's own."""
    mine = other_run(entry, board, tmp_path, "rewind_step=40", "name=mine")
    theirs = json.loads(entry.read_text())

    def take(table: Table) -> None:
        table["curves"]["winning"][2] = theirs["curves"]["winning"][2]

    forge(mine, take)
    (line, *_) = [line for check, line in problems(mine) if check == "copies"]
    assert line == (
        f"winning:2:0 has the very weights of winning:2:0 of tutorial/{NAME}, which is another run (and 1 more such "
        "cells)"
    )


def test_an_entry_of_which_every_cell_is_there_already_is_refused(finished: Path, entry: Path, board: Board) -> None:
    """Under another id, title and author: who comes to the same bits leaves a receipt."""
    line = f"every cell is that of tutorial/{NAME}: it is there already, verify that one and leave a receipt instead"
    with pytest.raises(UsageError, match=line):
        submit(finished, board, author="you", entry_id="mine", title="Mine", plugins=[TUTORIAL])
    copy = entry.with_name("mine.json")
    copy.write_text(entry.read_text().replace(f'"id": "{NAME}"', '"id": "mine"'))
    assert ("copies", line) in problems(copy)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("title", "Imp on tutorial/breast-cancer"),
        ("title", "imp  on tutorial/breast-cancer"),
        ("title", "irnp on tutorial/breast\u2010cancer"),
        ("author", "Ме"),
        ("author", "m\u200be"),
        ("id", "breast-cancer-srnoke-imp"),
    ],
)
def test_a_name_that_looks_like_anothers_is_refused(
    entry: Path, board: Board, tmp_path: Path, field: str, name: str
) -> None:
    (board.root / "vision").mkdir()
    other = measured(entry_id="other").model_copy(update={field: name})
    path = board.root / "vision" / f"{other.id}.json"
    path.write_text(text_of(other))
    found = [line for check, line in problems(path) if check == "names"]
    assert [line for line in found if line.startswith(f"{field} {name!a} looks like ")], found


def test_survivors_of_every_layer_are_those_of_scope_and_floor() -> None:
    """Of 100 weights at rate .5 level 2 keeps 25 in each layer; globally no layer has fewer than its floor."""
    layerwise = Method(rate=0.5, scope="layerwise", floor=0.3)
    assert list(uneven(layerwise, {"a": (25, 50), "b": (50, 200)}, 2)) == [
        "keeps 25 of the 50 weights of a, level 2 layerwise exactly 15",
        "keeps 50 of the 200 weights of b, level 2 layerwise exactly 60",
    ]
    assert list(uneven(layerwise, {"a": (15, 50), "b": (60, 200)}, 2)) == []
    floored = Method(rate=0.5, floor=0.1)
    assert list(uneven(floored, {"a": (4, 50), "b": (46, 150)}, 2)) == [
        "keeps 4 of the 50 weights of a, its floor of 0.1 is 5"
    ]


def test_a_layer_below_its_floor_is_refused(entry: Path) -> None:
    forge(entry, lambda t: t["method"]["settings"].update(floor=0.9, name="mine"))
    assert [line for check, line in problems(entry) if "its floor of 0.9 is" in line]
