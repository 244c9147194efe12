"""A method may prune one role of a task's tensors: its masks have these alone, and every result counts each role."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from suite.experiment.errors import UsageError
from suite.experiment.method import Method
from suite.experiment.plan import DENSE
from suite.experiment.result import CellResult, Layer
from suite.experiment.roles import pruned_by, sizes, tensors_of
from suite.experiment.runner import make_plan
from suite.experiment.runtime import HERE
from suite.experiment.starting import started
from suite.experiment.store import Store
from suite.experiment.taskfile import Carry, Source, Task, read_task
from tests.experiment import toy
from tests.experiment.running import results, run

ROLES = 'roles = {front = ["0.*"], back = ["2.weight", "2.bias"], rest = ["?.bias"]}\n'


def roled(role: str = "all", **options: object) -> Task:
    """The toy task with roles, pruned by a role."""
    made = read_task(ROLES + toy.TOML, "toy.toml").at("smoke", {"role": role, "rewind_step": 4})
    return replace(made, options=made.options.model_copy(update=options))


def test_roles_and_the_methods_that_prune_everything_leave_all_hashes_as_they_were() -> None:
    assert roled().spec.hash == toy.task().spec.hash
    assert Method().hash == Method(role="all").hash
    assert "role" not in Method().pruning
    assert Method(role="front").hash != Method().hash
    assert Method(role="front").pruning_hash != Method().pruning_hash


def test_a_method_prunes_the_prunable_tensors_of_its_role_in_the_tasks_order() -> None:
    spec = roled().spec
    assert tensors_of(spec, "back") == ("2.weight",)
    assert pruned_by(spec, Method()) == ("0.weight", "2.weight")
    assert pruned_by(spec, Method(role="front")) == ("0.weight",)
    assert sizes(spec, {"0.weight": (3, 32), "2.weight": (48, 48)}) == {"front": (3, 32), "back": (48, 48)}


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("fronts", r"role = 'fronts'; nearest: front, rest: toy/points has all, front, back, rest"),
        ("rest", r"role = 'rest': toy/points has no prunable tensor of it; take another, or all"),
    ],
)
def test_a_role_that_nothing_can_be_pruned_of_is_refused_before_anything_runs(role: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(roled(role))


def test_a_role_of_all_that_is_pruned_is_refused() -> None:
    """Its tickets would be those of pruning all, under another name."""
    whole = read_task('roles = {whole = ["*"]}\n' + toy.TOML, "toy.toml").at("smoke", {"role": "whole"})
    with pytest.raises(UsageError, match=r"role = 'whole': all that toy/points prunes at smoke is of it; take all"):
        make_plan(whole)


def test_a_role_whose_pattern_fits_no_parameter_is_refused() -> None:
    wrong = ROLES.replace('"0.*"', '"mlp.*"')
    with pytest.raises(UsageError, match=r"roles\.front = 'mlp\.\*' matches no parameter"):
        read_task('learner = "tests.experiment.test_roles:Declared"\n' + wrong + without_learner(), "toy.toml").at(
            "smoke"
        )


def without_learner() -> str:
    return "\n".join(line for line in toy.TOML.splitlines() if not line.startswith("learner"))


class Declared(toy.ToyLearner):
    """It says what its parameters are."""

    @classmethod
    def parameter_shapes(cls, _spec: object) -> dict[str, tuple[int, ...]]:
        return {"0.weight": (16, 2), "0.bias": (16,), "2.weight": (3, 16), "2.bias": (3,)}


def test_a_role_is_pruned_alone_level_by_level_under_every_arm(tmp_path: Path) -> None:
    plan, store, outcome = run(roled("front", arms=("winning", "random"), replicates=1), tmp_path / "run")
    assert not outcome.failed
    found = results(plan, store)
    assert found[DENSE, 0, 0].density == 1.0
    for level, kept in ((1, 19), (2, 11)):  # floor(.6 x 32 + .5), and of 19 again
        for arm in ("winning", "random"):
            cell = found[arm, level, 0]
            assert cell.layers == {"0.weight": Layer(remaining=kept, size=32)}
            assert cell.density == kept / 32
            assert cell.roles == {"front": Layer(remaining=kept, size=32), "back": Layer(remaining=48, size=48)}
            assert cell.total_density == (kept + 16 + 48 + 3) / (32 + 16 + 48 + 3)


def test_both_scopes_start_from_the_same_dense_run_and_have_masks_of_their_own() -> None:
    everything, front = make_plan(roled(replicates=1)), make_plan(roled("front", replicates=1))
    assert everything.cells[0].key == front.cells[0].key
    (one,), (other,) = everything.cells[0].prunes, front.cells[0].prunes
    assert one.key != other.key


def test_a_member_of_a_cohort_without_a_ticket_has_the_tensors_of_the_others_in_its_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ladder diverged: it fills its slot unpruned, wherever in the cohort it stands."""
    plan, store, _ = run(roled("front", arms=("winning",), exec="cohort", levels=1), tmp_path / "run")
    (unit,) = (unit for unit in plan.units() if unit[0].level == 1)
    monkeypatch.setattr(Store, "ticketless", lambda _, cell: cell.key == unit[0].key)
    masks = started(unit, store, HERE).masks
    assert [list(mask) for mask in masks] == [["0.weight"]] * 2
    assert [mask.density for mask in masks] == [1.0, 19 / 32]


@pytest.mark.parametrize("carry", ["both", "weights"])
def test_the_random_arm_of_a_transfer_is_drawn_over_the_tensors_of_the_role(carry: Carry, tmp_path: Path) -> None:
    target = roled("front", arms=("winning", "random"), replicates=1, levels=1)
    origin = replace(roled("front"), spec=target.spec.model_copy(update={"id": "toy/source"}))
    plan, store, outcome = run(replace(target, source=Source(origin, carry)), tmp_path / "run")
    assert not outcome.failed
    shown = [store.cell(cell.key) for cell in plan.shown if cell.level == 1]
    assert [cell.layers for cell in shown if cell] == [{"0.weight": Layer(remaining=19, size=32)}] * 2


@pytest.mark.parametrize(("there", "here"), [("front", "all"), ("all", "front")])
def test_a_transfer_between_tasks_that_prune_other_roles_is_refused(there: str, here: str) -> None:
    target, origin = roled(here), roled(there)
    origin = replace(origin, spec=origin.spec.model_copy(update={"id": "toy/source"}))
    with pytest.raises(UsageError, match=f"role = '{there}' in toy/source, '{here}' in toy/points: .* --set role="):
        make_plan(replace(target, source=Source(origin, "both")))


def test_masks_of_a_role_are_known_by_its_tensors() -> None:
    """A task's roles are no part of its hash: one that changes them never meets the masks of before."""
    before = make_plan(roled("front", replicates=1))
    moved = read_task(ROLES.replace('"0.*"', '"2.*"') + toy.TOML, "toy.toml").at(
        "smoke", {"role": "front", "rewind_step": 4}
    )
    after = make_plan(replace(moved, options=before.task.options))
    assert before.cells[0].key == after.cells[0].key
    assert before.cells[0].prunes[0].key != after.cells[0].prunes[0].key


def test_a_result_without_roles_keeps_its_text(tmp_path: Path) -> None:
    task = toy.task(levels=0, replicates=1)
    plan, store, _ = run(task, tmp_path / "run")
    (cell,) = results(plan, store).values()
    text = cell.model_dump_json()
    assert "roles" not in json.loads(text)
    assert CellResult.model_validate_json(text) == cell
