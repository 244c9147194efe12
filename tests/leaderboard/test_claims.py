"""What measured entries say of a paper's claim."""

import json
import random

import pytest
from pydantic import ValidationError
from synthetic_entries import Value, claim, fading, measured

from suite.leaderboard.claims import as_json, conclude, weigh
from suite.leaderboard.standing import standing
from suite.results.stats import Outcome


def method(name: str) -> dict[str, object]:
    return {"settings": {"name": name}, "description": "A method."}


@pytest.mark.parametrize(
    ("outcomes", "conclusion"),
    [
        ((), "not measured"),
        (("wins",), "holds"),
        (("wins", "undecided"), "holds"),
        (("undecided",), "undecided"),
        (("wins", "loses"), "mixed"),
        (("ties", "loses"), "does not hold"),
    ],
)
def test_conclusions(outcomes: tuple[Outcome, ...], conclusion: str) -> None:
    assert conclude(outcomes, ("wins",)) == conclusion


def test_a_claim_is_weighed_by_winning_against_its_arm_over_all_densities() -> None:
    judged = [standing(measured())]
    found = weigh(claim(), judged)
    assert found.conclusion == "holds"
    (row,) = found.tasks[0].rows
    assert row.verdict == judged[0].against("random")
    assert row.counts == {"wins": 4}
    assert weigh(claim(holds_if=["ties", "loses"]), judged).conclusion == "does not hold"
    found = weigh(claim(against="shuffled_mask"), judged)
    assert (found.conclusion, found.tasks[0].rows) == ("not measured", ())
    assert weigh(claim(against="dense", holds_if=["ties", "wins"]), judged).tasks[0].rows[0].counts["ties"] >= 1


def never(arm: str, level: int, replicate: int) -> float:
    """Random is what winning should be."""
    return fading("winning" if arm == "random" else "random" if arm == "winning" else arm, level, replicate)


@pytest.mark.parametrize(
    ("holds_if", "value", "seen"),
    [
        (["wins"], never, "the opposite is seen"),
        (["loses"], never, "the same is seen"),
        (["ties"], never, "something else is seen"),
        (["wins"], lambda arm, level, r: fading("winning" if level else "dense", level, r), "no difference is seen"),
        (["wins"], lambda *p: random.Random(f"{p}").random(), "undecided"),
    ],
)
def test_a_substitute_stands_beside_a_claim_and_never_colours_it(holds_if: list[str], value: Value, seen: str) -> None:
    judged = [standing(measured(value))]
    about = claim(tasks=["vision/unseen"], substitutes=["vision/toy"], holds_if=holds_if)
    found = weigh(about, judged)
    assert found.conclusion == "not measured"
    assert found.beside == (f"on vision/toy (smoke): {seen}",)
    assert [(task.task, task.substitute) for task in found.tasks] == [("vision/unseen", False), ("vision/toy", True)]


def test_own_entries_count_whatever_a_substitute_shows() -> None:
    other = {"id": "vision/else", "version": "1.0.0", "hash": "cd" * 32, "scale": "smoke"}
    judged = [standing(measured()), standing(measured(never, task=other))]
    found = weigh(claim(tasks=["vision/toy", "vision/unseen"], substitutes=["vision/else"]), judged)
    assert found.conclusion == "holds"
    assert found.beside == ("not measured on vision/unseen", "on vision/else (smoke): the opposite is seen")


def test_a_task_is_the_claims_own_or_a_substitute() -> None:
    with pytest.raises(ValidationError, match="own task and a substitute"):
        claim(tasks=["vision/toy"], substitutes=["vision/toy"])


def test_json_lists_evidence_entry_by_entry() -> None:
    about = claim(tasks=[], substitutes=["vision/toy"])
    (found,) = json.loads(json.dumps(as_json([weigh(about, [standing(measured())])]), allow_nan=False))["claims"]
    assert (found["id"], found["conclusion"], found["data"]) == ("paper-says", "not measured", "toys")
    (task,) = found["measured"]
    assert (task["substitute"], task["conclusion"]) == (True, "holds")
    (entry,) = task["entries"]
    assert (entry["entry"], entry["verdict"], entry["by_density"]) == ("imp", "wins", {"wins": 4})


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
    assert weigh(claim(densest=0.8**3), judged).conclusion == "holds"
    assert weigh(claim(sparsest=0.8**2), judged).conclusion == "does not hold"
    (row,) = weigh(claim(densest=0.8**3), judged).tasks[0].rows
    assert row.verdict.densities == pytest.approx((0.8**3, 0.8**4))
    assert row.counts == {"wins": 2}
    assert weigh(claim(densest=0.1), judged).tasks[0].rows == ()
    with pytest.raises(ValidationError, match="denser than densest"):
        claim(densest=0.1, sparsest=0.5)
