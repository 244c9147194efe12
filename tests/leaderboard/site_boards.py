"""Boards for the site's tests: entries of every kind, one of them hostile."""

import random
from functools import partial
from pathlib import Path

from synthetic_entries import METRIC, Value, claim, fading, measured, reported

from suite.leaderboard.board import AnyEntry, Board, text_of

HOSTILE = "<script>alert(1)</script>\u2028&\"'"


def worse(by: float) -> Value:
    """Like `fading`, with every level of the winning ticket worse by `by`, and noise of its own."""

    def value(arm: str, level: int, replicate: int) -> float:
        noise = random.Random(f"{arm} {level} {replicate} {by}").gauss(0, 0.002)
        return fading(arm, level, replicate) - (by * level + noise if arm == "winning" else 0)

    return value


def lost(arm: str, level: int, replicate: int) -> float | None:
    """`fading`, but the winning ticket of replicate 1 diverges at level 5."""
    return None if (arm, level, replicate) == ("winning", 5, 1) else fading(arm, level, replicate)


def perplexing(arm: str, level: int, replicate: int) -> float:
    """A metric where lower is better."""
    return 3.0 - fading(arm, level, replicate)


def entries() -> list[AnyEntry]:
    """Two domains, five entries that compete, another version, reported rows, claims, one entry of hostile texts."""
    snip = {
        "settings": {"name": "snip", "criterion": "snip", "schedule": "one-shot"},
        "description": "At the start.", "link": "https://example.org/snip",
    }  # fmt: skip
    older = {"id": "vision/toy", "version": "0.9.0", "hash": "ef" * 32, "scale": "quick"}
    hostile = {
        "title": HOSTILE, "author": HOSTILE, "code": "javascript:alert(1)",
        "method": {"settings": {"name": HOSTILE}, "description": f"{HOSTILE}</script>", "link": None},
    }  # fmt: skip
    loss = METRIC | {"name": "log perplexity", "unit": "nats", "higher_is_better": False, "chance": 10.0}
    text = {"id": "nlp/kjv", "version": "1.0.0", "hash": "0f" * 32, "scale": "lite"}
    curves = {"random reinit (fig. 3, <dotted>)": [{"density": 0.5, "value": 0.9, "sd": 0.01, "replicates": 5}]}
    toy = partial(measured, scale="quick")
    return [
        toy(levels=8, replicates=5),
        toy(worse(0.004), "snip", levels=8, replicates=5, method=snip),
        toy(worse(0.02), "weak", levels=8, replicates=5),
        toy(worse(0.03), "hostile", levels=8, replicates=5, **hostile),
        toy(lost, "lost", levels=8, replicates=5),
        measured(entry_id="older", levels=4, replicates=5, task=older),
        measured(perplexing, "lm", metric=loss, task=text),
        reported(),
        reported("departing", faithful=False, departs="60,000 images where the task has 5,000.", curves=curves),
        claim(),
        claim("never-measured", tasks=["vision/unseen"], statement=HOSTILE.replace("\u2028", "")),
        claim("beside", tasks=[], substitutes=["vision/toy"], holds_if=["loses"]),
    ]


def write(root: Path, listed: list[AnyEntry]) -> Board:
    """A board of these entries."""
    for entry in listed:
        (root / entry.domain).mkdir(parents=True, exist_ok=True)
        (root / entry.domain / f"{entry.id}.json").write_text(text_of(entry), encoding="utf-8")
    return Board(root)
