"""Children of a ticket, and the errors on the line between them: planned, measured, kept."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.experiment.adopt import adopt
from suite.experiment.barrier import POINTS, barrier, error_of
from suite.experiment.connect import between, recalibrate
from suite.experiment.connection import Connection
from suite.experiment.errors import RunError, UsageError
from suite.experiment.executors import InlineExecutor
from suite.experiment.exported import ExportedRun, export
from suite.experiment.learner import Span
from suite.experiment.plan import Plan
from suite.experiment.request import from_bytes, to_bytes
from suite.experiment.result import ConnectionResult
from suite.experiment.runner import asked, execute, make_plan
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from suite.experiment.streams import Streams
from suite.finished import progress_of, view_of
from tests.experiment import toy
from tests.experiment.connected_toys import Normed, Unrecalibrated, task
from tests.experiment.running import Quiet, run

FEW: dict[str, Any] = {"levels": 2, "replicates": 1, "connected": {"levels": [0, 2], "recalibration": 3}}


def measured(plan: Plan, store: Store) -> dict[int, ConnectionResult]:
    """What was measured, by level."""
    found = {each.level: store.connection(each.key) for each in plan.connections}
    assert all(found.values())
    return {level: result for level, result in found.items() if result is not None}


def only(plan: Plan) -> Connection:
    (connection,) = plan.connections
    return connection


def test_no_cell_of_a_run_has_another_key_or_stream_because_children_are_planned_beside_it() -> None:
    alone, beside = make_plan(task(levels=2, replicates=2)), make_plan(task(**{**FEW, "replicates": 2}))
    assert [cell.key for cell in beside.shown] == [cell.key for cell in alone]
    assert [cell.streams for cell in beside.shown] == [cell.streams for cell in alone]
    assert [(c.arm, c.level, c.replicate, c.start.child) for c in beside if c.key in beside.support] == [
        ("winning", 0, 0, 1), ("winning", 0, 1, 1), ("winning", 2, 0, 1), ("winning", 2, 1, 1)
    ]  # fmt: skip
    assert len({cell.key for cell in beside}) == len(beside.cells)


def test_a_child_has_data_and_dropout_of_its_own_and_shares_all_other_streams() -> None:
    own, child = Streams("task", 3), Streams("task", 3, child=1)
    differ = {p for p in ("init", "data", "dropout", "environment", "permutation", "reinit", "evaluation", "score")
              if own.seed(p, 1) != child.seed(p, 1)}  # type: ignore[arg-type]  # fmt: skip
    assert differ == {"data", "dropout", "environment"}
    assert Streams("task", 3, child=2).seed("data") != child.seed("data")
    assert own.seed("data", 1) == 8204066263240445906


def test_both_children_start_from_one_ticket_at_the_rewind_step() -> None:
    plan = make_plan(task(changes={"rewind_step": 7}, **FEW))
    for connection in plan.connections:
        first, second = (end.cell for end in connection.ends)
        assert (second.span.first, second.span.last, second.mask_key) == (7, 40, first.mask_key)
        assert second.start.origin is not None
        assert (second.start.origin.cell.arm, second.start.origin.step) == ("dense", 7)
    dense = next(cell for cell in plan if cell.level == 0)
    assert {0: dense.key, 2: next(c.key for c in plan.shown if c.level == 2)} == {
        c.level: c.ends[0].cell.key for c in plan.connections
    }


def test_weights_that_separate_two_classes_are_convex_so_their_barrier_is_0(tmp_path: Path) -> None:
    plan, store, outcome = run(task("Separable", "weight", **FEW), tmp_path)
    assert not outcome.failed
    for result in measured(plan, store).values():
        assert result.validation_errors == (0.0,) * POINTS
        assert result.value == 0.0


def test_two_minima_with_a_hill_between_them_have_its_height_as_their_barrier(tmp_path: Path) -> None:
    at_once = {"training.optimizer": {"name": "sgd", "lr": 0.5}, "training.schedule": {"name": "constant"}}
    connected = {"levels": [0], "training_error": True}
    chosen = task("TwoMinima", "weight", at_once, levels=0, replicates=4, connected=connected)
    plan, store, outcome = run(chosen, tmp_path)
    assert not outcome.failed
    apart = [len({end.cell.streams.seed("data") % 2 for end in each.ends}) == 2 for each in plan.connections]
    assert True in apart
    assert False in apart
    found = [store.connection(each.key) for each in plan.connections]
    # At the middle the slope is 0: half of the points are told wrong, and at all other points none.
    assert [result and result.value for result in found] == [0.5 if hill else 0.0 for hill in apart]
    assert [result and result.training_barrier for result in found] == [0.5 if hill else 0.0 for hill in apart]
    hilly = found[apart.index(True)]
    assert hilly is not None
    assert hilly.validation_errors == (*[0.0] * 5, 0.5, *[0.0] * 5)


def test_batch_norm_is_recalibrated_at_every_point(tmp_path: Path) -> None:
    chosen = task("Normed", "0.weight", levels=0, replicates=1, connected={"levels": [0]})
    plan, store, outcome = run(chosen, tmp_path)
    assert not outcome.failed
    ends = [store.cell(key) for key in only(plan).needs]
    assert [end and end.validation["accuracy"] for end in ends] == [0.5, 0.5]  # by statistics that lag behind
    assert measured(plan, store)[0].validation_errors == (0.0,) * POINTS


def test_a_learner_that_leaves_batch_norm_as_it_was_is_refused_by_name() -> None:
    spec, streams, span = task().spec, Streams("task", 0), Span(0, 40)
    learner = Normed(spec, streams, span, Runtime())
    recalibrate(learner, 2)
    assert float(learner.model[1].running_mean) == pytest.approx(11.0, abs=1e-4)  # type: ignore[index, arg-type]
    with pytest.raises(RunError, match="Unrecalibrated has batch norm and does not recalibrate it"):
        recalibrate(Unrecalibrated(spec, streams, span, Runtime()), 2)


def test_the_line_ends_exactly_at_both_runs_and_counts_are_not_interpolated() -> None:
    first, last = ({"w": torch.randn(50), "seen": torch.tensor(n)} for n in (3, 9))
    assert torch.equal(between(first, last, 0.0)["w"], first["w"])
    assert torch.equal(between(first, last, 1.0)["w"], last["w"])
    assert between(first, last, 0.5)["seen"] == 3
    assert barrier([0.1, 0.4, 0.3]) == pytest.approx(0.2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """A run with two connections, and its request."""
    folder = tmp_path_factory.mktemp("run")
    chosen = task(**FEW)
    plan, store, outcome = run(chosen, folder)
    assert (outcome.finished, outcome.failed) == (7, {})  # three cells, two children, two connections
    store.put_requests([asked(chosen, "lottery stability toy/points", [])])
    return plan, store


def test_the_ends_of_a_path_are_the_children_as_they_were_scored(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    for result in measured(plan, store).values():
        scores = [store.cell(key) for key in result.children]
        errors = [1 - score.validation["accuracy"] for score in scores if score is not None]
        assert [result.validation_errors[0], result.validation_errors[-1]] == errors
        assert scores[0] is not None
        assert scores[1] is not None
        assert scores[0].weights_digest != scores[1].weights_digest
        assert scores[1].notes == {"child": "1: its ticket's data order and dropout drawn anew"}
        assert result.density == scores[0].density


def test_a_run_with_connections_gives_the_bits_of_one_without(finished: tuple[Plan, Store], tmp_path: Path) -> None:
    _, store = finished
    plain, other, _ = run(task(levels=2, replicates=1), tmp_path)
    pairs = [(store.cell(cell.key), other.cell(cell.key)) for cell in plain]
    assert all(a and b and (a.weights_digest, a.test) == (b.weights_digest, b.test) for a, b in pairs)


def test_only_a_connection_that_is_gone_is_measured_again_and_to_the_same_errors(
    finished: tuple[Plan, Store], tmp_path: Path
) -> None:
    plan, whole = finished
    shutil.copytree(whole.root, tmp_path / "run")
    store = Store.create(tmp_path / "run")
    assert execute([plan], store, InlineExecutor(), Quiet()).finished == 0
    gone = plan.connections[1]
    (store.root / "connections" / f"{gone.key}.json").unlink()
    shutil.rmtree(store.root / "cache")  # the children's weights with it: they are trained again
    store = Store.create(store.root)
    assert execute([plan], store, InlineExecutor(), Quiet()).finished == 1
    again, before = store.connection(gone.key), whole.connection(gone.key)
    assert again is not None
    assert before is not None
    assert again.validation_errors == before.validation_errors


def test_a_connection_that_is_damaged_is_named(finished: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, whole = finished
    shutil.copytree(whole.root, tmp_path / "run")
    path = tmp_path / "run" / "connections" / f"{plan.connections[0].key}.json"
    path.write_text(path.read_text().replace('"level":0', '"level":1'))
    with pytest.raises(RunError, match=f"{path.name} is corrupted"):
        execute([plan], Store(tmp_path / "run"), InlineExecutor(), Quiet())


def test_an_exported_run_brings_its_connections(finished: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = finished
    export(store, tmp_path / "packed.zip")
    taken = Store.create(tmp_path / "other")
    assert adopt(taken, ExportedRun(tmp_path / "packed.zip"), plan, plan.connections) == 5
    assert execute([plan], taken, InlineExecutor(), Quiet()).finished == 0
    assert [taken.connection(c.key) for c in plan.connections] == [store.connection(c.key) for c in plan.connections]
    assert adopt(Store.create(tmp_path / "empty"), store, (), plan.connections) == 0
    assert Store(tmp_path / "empty").connection_keys() == []  # a connection without its children proves nothing


def test_what_was_asked_for_is_planned_again_from_the_runs_own_file(finished: tuple[Plan, Store]) -> None:
    plan, store = finished
    (request,) = from_bytes(to_bytes(store.requests()), store.root / "run.json")
    assert [each.key for each in request.plan.connections] == [each.key for each in plan.connections]
    (row,) = progress_of(store.root)
    assert (row["cells"], row["done"], row["connections"], row["measured"], row["seconds_left"]) == (5, 5, 2, 2, 0.0)
    (view,) = view_of(store.root).tasks
    assert (view.connected, len(view.connections), view.expected) == ((0, 2), 2, 3)


def test_a_child_that_diverged_leaves_no_path(tmp_path: Path) -> None:
    far = {"training.optimizer": {"name": "sgd", "lr": 1e30}}
    chosen = task("TwoMinima", "weight", far, levels=0, replicates=1, connected={"levels": [0]})
    plan, store, outcome = run(chosen, tmp_path)
    assert not outcome.failed
    found = measured(plan, store)[0]
    assert (found.diverged, found.value, found.validation_errors) == (True, None, ())


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        (
            {"metric.highest": 500.0},
            {},
            r"no share between 0 and 1.*choose a task in accuracy, or if it is such a share, state metric.lowest",
        ),
        ({"retraining": "fine-tune"}, {}, r"retraining = 'fine-tune' goes on from final weights"),
        ({}, {"exec": "cohort"}, r"children of a connectivity test are trained one by one, use --exec single"),
        ({}, {"connected": {"levels": [3]}}, r"connected level 3: no winning ticket is trained there, .* 0 to 2"),
        ({}, {"arms": ("random",)}, r"connected level 2: no winning ticket is trained there"),
    ],
)
def test_what_has_no_connections_is_refused_by_name(
    changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:  # fmt: skip
    with pytest.raises(UsageError, match=message):
        make_plan(task(changes=changes, **{**FEW, **options}))


def test_a_score_of_which_less_is_better_is_its_own_error() -> None:
    metric = toy.task().spec.metric
    assert error_of(metric, 0.75) == 0.25
    assert error_of(metric.model_copy(update={"higher_is_better": False}), 0.75) == 0.75
