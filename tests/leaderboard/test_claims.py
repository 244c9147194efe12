"""What measured entries say of a paper's claim."""

import json
import random
import re
from functools import partial

import pytest
from pydantic import ValidationError
from synthetic_entries import Value, claim, fading
from synthetic_entries import measured as smoke_entry
from synthetic_entries import transferred as smoke_transfer

from suite.leaderboard.claim import Claim
from suite.leaderboard.claims import as_json, conclude, weigh
from suite.leaderboard.standing import standing
from suite.leaderboard.text import claim_lines
from suite.results.stats import Outcome

measured, transferred = (partial(make, scale="quick") for make in (smoke_entry, smoke_transfer))
"""Entries of a scale that counts."""


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
    assert found.beside == (f"on vision/toy (quick): {seen}",)
    assert [(task.task, task.substitute) for task in found.tasks] == [("vision/unseen", False), ("vision/toy", True)]


def test_own_entries_count_whatever_a_substitute_shows() -> None:
    other = {"id": "vision/else", "version": "1.0.0", "hash": "cd" * 32, "scale": "quick"}
    judged = [standing(measured()), standing(measured(never, task=other))]
    found = weigh(claim(tasks=["vision/toy", "vision/unseen"], substitutes=["vision/else"]), judged)
    assert found.conclusion == "holds"
    assert found.beside == ("not measured on vision/unseen", "on vision/else (quick): the opposite is seen")


def test_a_conclusion_says_of_how_many_of_its_tasks_it_is() -> None:
    judged = [standing(measured())]
    assert (
        weigh(claim(tasks=["vision/toy", "vision/unseen", "vision/more"]), judged).told
        == "holds where measured (1 of 3)"
    )
    assert weigh(claim(tasks=["vision/toy"]), judged).told == "holds"
    assert weigh(claim(tasks=["vision/unseen", "vision/more"]), judged).told == "not measured"


def test_a_task_at_a_smaller_scale_than_the_claims_is_a_substitute() -> None:
    paper = {"id": "vision/toy", "version": "1.0.0", "hash": "cd" * 32, "scale": "paper"}
    about = claim(schema_version=2, scales=["paper"], substitutes=["vision/else"])
    small, large = standing(measured(never)), standing(measured(entry_id="large", task=paper, method=method("imp")))
    found = weigh(about, [small])
    assert (found.conclusion, found.beside) == ("not measured", ("on vision/toy (quick): the opposite is seen",))
    found = weigh(about, [small, large])
    assert (found.conclusion, found.beside) == ("holds", ("on vision/toy (quick): the opposite is seen",))
    assert [task.substitute for task in found.tasks] == [False, True, True]


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


@pytest.mark.parametrize("own", [True, False])
def test_scale_smoke_says_nothing_of_a_claim_for_its_data_may_be_of_another_kind(own: bool) -> None:
    about = claim(tasks=["vision/toy"] if own else ["vision/unseen"], substitutes=[] if own else ["vision/toy"])
    found = weigh(about, [standing(smoke_entry())])
    assert (found.conclusion, found.beside) == ("not measured", ())
    assert [row.aside for task in found.tasks for row in task.rows] == ["scale smoke"]
    both = weigh(about, [standing(smoke_entry()), standing(measured(entry_id="quick", method=method("imp")))])
    assert [task.conclusion for task in both.tasks if task.counted] == ["holds"]


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


def moves(source: str, *rivals: str, carry: str = "both") -> dict[str, object]:
    """Transfers from a source to the toy task."""
    return {"sources": [source], "targets": ["vision/toy"], "rivals": list(rivals), "carry": carry}


def about_transfers(**changed: object) -> Claim:
    return claim(schema_version=2, tasks=[], **changed)


def test_a_claim_about_transfers_is_weighed_by_entries_of_the_pair_alone() -> None:
    own = measured(never, "imp")  # an ordinary entry of the target, which says the opposite
    judged = [standing(own), standing(transferred()), standing(transferred(never, "mask", carry="mask"))]
    found = weigh(about_transfers(transfers=[moves("vision/other")]), judged)
    assert found.conclusion == "holds"
    assert [(task.task, task.conclusion) for task in found.tasks] == [("vision/other to vision/toy", "holds")]
    masks = weigh(about_transfers(transfers=[moves("vision/other", carry="mask")]), judged)
    assert [(task.task, task.conclusion) for task in masks.tasks] == [
        ("vision/other to vision/toy, mask", "does not hold")
    ]
    assert weigh(about_transfers(transfers=[moves("vision/third")]), judged).conclusion == "not measured"
    ordinary = weigh(claim(), [standing(transferred(never))])
    assert ordinary.conclusion == "not measured"


def test_a_transfer_on_a_substitute_stands_beside_and_never_colours() -> None:
    judged = [standing(transferred(never))]
    about = about_transfers(
        transfers=[moves("vision/large"), moves("vision/huge")], substitute_transfers=[moves("vision/other")]
    )
    found = weigh(about, judged)
    assert found.conclusion == "not measured"
    assert found.beside == ("on vision/other to vision/toy (quick): the opposite is seen",)


def test_sources_are_compared_on_the_same_target() -> None:
    def lifted(arm: str, level: int, replicate: int) -> float:
        noise = random.Random(f"{level} {replicate}").gauss(0, 1e-3)
        return fading(arm, level, replicate) + (0.03 + noise if arm == "winning" else 0.0)

    judged = [standing(transferred(lifted, "large", "vision/large")), standing(transferred(entry_id="small"))]
    about = about_transfers(against="source", transfers=[moves("vision/large", "vision/other")])
    found = weigh(about, judged)
    (task,) = found.tasks
    assert (found.conclusion, task.task) == ("holds", "vision/large rather than vision/other to vision/toy")
    (row,) = task.rows
    assert (row.ours, row.verdict.against, row.verdict.n) == ("large", "small", 3)
    assert row.verdict.difference == pytest.approx(0.03, abs=0.005)
    turned = weigh(about_transfers(against="source", transfers=[moves("vision/other", "vision/large")]), judged)
    assert turned.conclusion == "does not hold"
    # The source itself is no target of its own, nor its rival's.
    itself = {"sources": ["vision/toy"], "targets": ["vision/toy"], "rivals": ["vision/other"]}
    assert weigh(about_transfers(against="source", transfers=[itself]), judged).tasks == ()


def test_two_arms_of_one_entry_are_compared() -> None:
    judged = [standing(measured(method=method("imp")))]
    found = weigh(claim(schema_version=2, arm="reinit", against="random"), judged)
    (row,) = found.tasks[0].rows
    assert (found.conclusion, row.ours, row.counts) == ("holds", "reinit", {"wins": 4})
    behind = weigh(claim(schema_version=2, arm="random", against="reinit", densest=0.5), judged)
    assert behind.conclusion == "does not hold"
    assert len(behind.tasks[0].rows[0].verdict.densities) == 1
    assert weigh(claim(schema_version=2, arm="shuffled_mask", against="random"), judged).conclusion == "not measured"


def test_one_threshold_for_all_layers_is_compared_with_one_a_layer() -> None:
    def lower(arm: str, level: int, replicate: int) -> float:
        noise = random.Random(f"{arm} {level} {replicate}").gauss(0, 1e-3)
        return fading(arm, level, replicate) - (0.05 + noise if arm == "winning" else 0.0)

    judged = [
        standing(measured(method=method("imp"))),
        standing(measured(lower, "layers", method=method("imp-layerwise"))),
        standing(measured(entry_id="snip", method=method("snip"))),
    ]
    found = weigh(claim(schema_version=2, against="layerwise"), judged)
    rows = {row.standing.entry.id: (row.verdict.against, row.verdict.verdict, row.aside) for row in found.tasks[0].rows}
    assert rows["imp"] == ("layers", "wins", "")
    assert rows["snip"][2] == "other method"
    assert found.conclusion == "holds"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schema_version": 1, "arm": "reinit"}, "schema_version 2"),
        ({"schema_version": 2}, "schema_version 2 if it has"),
        ({"schema_version": 2, "against": "source"}, "takes transfers with rivals"),
        ({"schema_version": 2, "transfers": [moves("vision/a", "vision/b")]}, "against = source is needed"),
        ({"schema_version": 2, "arm": "random"}, "arm = random is not compared with random"),
        ({"schema_version": 2, "against": "layerwise", "transfers": [moves("vision/a")]}, "it takes no transfers"),
    ],
)
def test_a_claim_says_what_it_compares(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        claim(**fields)


def test_people_read_numbers_intervals_and_sizes_and_what_would_decide() -> None:
    def noisy(arm: str, level: int, replicate: int) -> float:
        return 0.9 + (0.05 if arm == "winning" else 0.0) * (replicate - 0.7)

    about = claim(tasks=["vision/unseen"], substitutes=["vision/toy"], densest=0.6)
    text = "\n".join(claim_lines([weigh(about, [standing(measured(noisy))])], 400))
    assert "vision/paper-says: not measured" in text
    assert "about toys, networks of toys, densities from 60 % down; Morcos et al. 2019" in text
    assert "on vision/toy (quick): undecided" in text
    assert "beside, vision/toy: imp (quick, 3 replicates, 2 densities): at 41 % winning 0.915, random 0.9;" in text
    assert re.search(
        r"winning is ahead by 0\.015 \[−?[\d.]+, [\d.]+\]: undecided, about \d+ replicates would decide", text
    )
