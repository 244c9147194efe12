"""The mean of the last checkpoints is the result of a run: it is scored, digested and pruned from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from domains.nlp.averaging import CheckpointAverage
from domains.nlp.learner import TranslationLearner
from suite.experiment.cell import run_cells
from suite.experiment.learner import Learner, Span
from suite.experiment.runner import make_plan
from suite.experiment.runtime import HERE
from suite.experiment.snapshot import digest_of
from suite.experiment.store import Store
from suite.experiment.taskfile import Task
from suite.experiment.trainee import build
from suite.tickets.mask import Mask
from tests.experiment.running import run

Make = Callable[..., TranslationLearner]
AVERAGED = {"training__settings__average": 3, "training__settings__average_every": 2}


def set_to(model: nn.Linear, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


@pytest.mark.parametrize(
    ("count", "first", "expected"),
    [(3, 0, (6 + 8 + 10) / 3), (3, 7, (8 + 10) / 2), (1, 0, 10), (3, 9, 10)],
)
def test_the_mean_is_over_checkpoints_within_the_run(count: int, first: int, expected: float) -> None:
    model = nn.Linear(2, 2)
    average = CheckpointAverage(model, count, 2, Span(first, 10))
    for step in range(first + 1, 11):
        set_to(model, step)
        average.after(step)
    assert model.weight.tolist() == [pytest.approx([expected, expected])] * 2


def test_a_run_ends_with_the_mean_of_its_last_checkpoints(learner: Make) -> None:
    averaged, plain = (learner("multi30k-transformer", last=10, **AVERAGED) for _ in range(2))
    plain._average = CheckpointAverage(plain.model, 1, 1, Span(0, 10))
    seen = []
    for step in (6, 8, 10):
        plain.advance(step)
        seen.append({name: value.detach().clone() for name, value in plain.model.named_parameters()})
    averaged.advance(10)
    for name, value in averaged.model.named_parameters():
        torch.testing.assert_close(value, (seen[0][name] + seen[1][name] + seen[2][name]) / 3)
    assert not torch.equal(value, seen[-1][name])


def test_a_run_restored_between_two_checkpoints_ends_with_the_same_mean(learner: Make) -> None:
    whole, resumed = (learner("multi30k-transformer", last=10, **AVERAGED) for _ in range(2))
    whole.advance(7)
    taken = whole.snapshot()
    assert "average.encoder.embed_tokens.weight" in taken.tensors
    whole.advance(10)
    resumed.restore(taken)
    resumed.advance(10)
    ends = (digest_of(dict(made.model.state_dict())) for made in (whole, resumed))
    assert next(ends) == next(ends)


def test_what_is_scored_is_what_is_digested_and_pruned(task: Callable[..., Task], tmp_path: Path) -> None:
    chosen = task("multi30k-transformer")
    plan = make_plan(chosen)
    cell = next(cell for cell in plan if cell.level == 0 and cell.replicate == 0)
    store = Store.create(tmp_path / "run")
    run_cells([cell], store, lambda *_: None)
    result = store.cell(cell.key)
    assert result is not None
    again = build(cell, HERE)
    assert isinstance(again, TranslationLearner)
    again.advance(cell.span.last - 1)
    before = digest_of(dict(again.model.state_dict()))
    again.advance(cell.span.last)
    assert result.weights_digest == digest_of(dict(again.model.state_dict())) != before
    assert dict(result.test) == again.evaluate("test")


def test_the_mean_is_what_a_ticket_is_pruned_from(task: Callable[..., Task], tmp_path: Path) -> None:
    chosen = task("multi30k-transformer")
    options = chosen.options.model_copy(update={"arms": ("winning",), "levels": 1, "at": (1,), "replicates": 1})
    plan, store, outcome = run(replace(chosen, options=options), tmp_path)
    assert not outcome.failed
    mask = next(ticket.mask for key in store.mask_keys() if (ticket := store.mask(key)).level == 1)
    cell = next(cell for cell in plan if cell.level == 0)
    smallest_kept, largest_pruned = magnitudes(build(cell, HERE), mask)
    assert smallest_kept >= largest_pruned
    alone = build(cell, HERE)
    assert isinstance(alone, TranslationLearner)
    alone._average = CheckpointAverage(alone.model, 1, 1, cell.span)
    smallest_kept, largest_pruned = magnitudes(alone, mask)
    assert smallest_kept < largest_pruned  # from the last weights others would have been pruned


def magnitudes(made: Learner, mask: Mask) -> tuple[float, float]:
    """The smallest weight that a mask keeps and the largest that it prunes, of a learner at the end of its run."""
    made.advance(made.total_steps)
    sizes = torch.cat([made.model.get_parameter(name).detach().abs().flatten() for name in mask])
    kept = torch.cat([each.flatten() for each in mask.values()])
    return float(sizes[kept].min()), float(sizes[~kept].max())
