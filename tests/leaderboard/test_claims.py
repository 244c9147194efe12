"""What measured entries say of a paper's claim."""

import random

import pytest
from pydantic import ValidationError
from synthetic_entries import claim, fading, measured

from suite.leaderboard.claims import conclude, weigh
from suite.leaderboard.standing import standing
from suite.results.stats import Outcome


def method(name: str) -> dict[str, object]:
    return {"settings": {"name": name}, "description": "A method."}


@pytest.mark.parametrize(
    ("counts", "conclusion"),
    [
        ({}, "not measured"),
        ({"wins": 4}, "holds"),
        ({"wins": 2, "undecided": 2}, "holds"),
        ({"wins": 1, "undecided": 2}, "undecided"),
        ({"undecided": 3}, "undecided"),
        ({"wins": 3, "loses": 1}, "mixed"),
        ({"ties": 3, "loses": 1}, "does not hold"),
        ({"loses": 1, "undecided": 3}, "undecided"),
    ],
)
def test_conclusions(counts: dict[Outcome, int], conclusion: str) -> None:
    assert conclude(counts, ("wins",)) == conclusion


def test_a_claim_is_weighed_by_winning_against_its_arm() -> None:
    judged = [standing(measured())]
    assert weigh(claim(), judged).conclusion == "holds"
    assert weigh(claim(holds_if=["ties", "loses"]), judged).conclusion == "does not hold"
    found = weigh(claim(against="shuffled_mask"), judged)
    assert (found.conclusion, found.tasks[0].rows) == ("not measured", ())
    assert weigh(claim(against="dense", holds_if=["ties", "wins"]), judged).tasks[0].rows[0].counts["ties"] >= 1


def test_a_claim_counts_only_its_own_method_and_says_so() -> None:
    level_with_random = random.Random(0)
    entries = [
        measured(),
        measured(lambda *_: 0.9 + level_with_random.gauss(0, 1e-4), "snip", method=method("snip")),
        measured(entry_id="early", method=method("imp-no-rewind")),
        measured(entry_id="at-once", method=method("one-shot")),
    ]
    judged = list(map(standing, entries))
    found = weigh(claim(tasks=["vision/toy", "vision/unseen"]), judged)
    assert found.conclusion == "holds"
    aside = {row.standing.entry.id: row.aside for row in found.tasks[0].rows}
    assert aside == {"imp": "", "snip": "other method", "early": "other method", "at-once": "other method"}
    assert [task.conclusion for task in found.tasks] == ["holds", "not measured"]
    at_once = weigh(claim(schedule="one-shot"), judged)
    assert [row.standing.entry.id for row in at_once.tasks[0].rows if not row.aside] == ["at-once"]


def test_only_the_largest_scale_counts() -> None:
    def never(arm: str, level: int, replicate: int) -> float:
        return fading("winning" if arm == "random" else "random" if arm == "winning" else arm, level, replicate)

    large = {"id": "vision/toy", "version": "1.0.0", "hash": "cd" * 32, "scale": "lite"}
    judged = [standing(measured()), standing(measured(never, "large", task=large, method=method("imp")))]
    found = weigh(claim(), judged)
    assert found.conclusion == "does not hold"
    assert {row.standing.entry.id: row.aside for row in found.tasks[0].rows} == {
        "imp": "older version or smaller scale",
        "large": "",
    }


def test_a_claim_is_weighed_at_the_densities_it_speaks_of() -> None:
    def late_only(arm: str, level: int, replicate: int) -> float:
        gain = 0.1 if arm == "winning" and level > 2 else -0.1 if arm == "winning" and level else 0.0
        return 0.8 + gain + random.Random(f"{arm} {level} {replicate}").gauss(0, 1e-3)

    judged = [standing(measured(late_only, "late", method=method("imp")))]
    assert weigh(claim(), judged).conclusion == "mixed"
    assert weigh(claim(densest=0.8**3), judged).conclusion == "holds"
    assert weigh(claim(sparsest=0.8**2), judged).conclusion == "does not hold"
    assert weigh(claim(densest=0.1), judged).tasks[0].rows == ()
    with pytest.raises(ValidationError, match="denser than densest"):
        claim(densest=0.1, sparsest=0.5)
