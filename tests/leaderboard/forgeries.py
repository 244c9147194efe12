"""Ways to forge an entry: each changes its JSON and its tickets as a forger would, who keeps the rest consistent."""

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from another_machine import disturbed

from suite.leaderboard.submit import Submission
from suite.tickets.mask import Mask
from suite.tickets.ticket import Ticket

Table = dict[str, Any]
Slot = tuple[int, int]
Tickets = dict[Slot, Ticket]
Forge = Callable[[Table, Tickets], Tickets | None]
Reorder = Callable[[int, int], list[int]]
"""(replicate, number of weights) -> the weights in the order in which a forged ladder keeps them."""


@dataclass(frozen=True)
class Forgery:
    """A name for people, and the change."""

    name: str
    forge: Forge


def points(table: Table, *arms: str) -> list[Table]:
    """The points of arms beyond level 0; of `dense` those at level 0, which stand in every arm."""
    found = [p for arm in arms if arm != "dense" for p in table["curves"][arm] if p["level"]]
    return found + [p for ps in table["curves"].values() for p in ps if "dense" in arms and not p["level"]]


def shifted(by: float, *arms: str, noise: float = 0.0) -> Forge:
    """All scores of arms better by so much, with noise to hide it."""

    def forge(table: Table, tickets: Tickets) -> None:
        sign = 1 if table["metric"]["higher_is_better"] else -1
        for point in points(table, *arms):
            dice = random.Random(point["level"])  # level 0 stands in every arm, and stays one
            point["values"] = [v + sign * (by + dice.gauss(0, noise)) for v in point["values"]]

    return forge


def one_cell(by: float) -> Forge:
    """One winning score better."""

    def forge(table: Table, tickets: Tickets) -> None:
        sign = 1 if table["metric"]["higher_is_better"] else -1
        table["curves"]["winning"][2]["values"][1] += sign * by

    return forge


def scrambled(table: Table, tickets: Tickets) -> None:
    """Digests of trained weights that nobody can meet."""
    for arm, ps in table["curves"].items():
        for point in ps:
            name = f"{'dense' if point['level'] == 0 else arm} {point['level']}"
            point["weights"] = [
                hashlib.sha256(f"{name} {r}".encode()).hexdigest() for r in range(len(point["weights"]))
            ]


def renamed_hardware(table: Table, tickets: Tickets) -> None:
    """One word added."""
    table["provenance"]["hardware"]["cpu"] += " v2"


def disturbed_masks(table: Table, tickets: Tickets) -> Tickets:
    """A weight or more of every mask exchanged, so that none comes out bit for bit."""
    found: Tickets = {}
    for (level, replicate), ticket in sorted(tickets.items()):
        above = found.get((level - 1, replicate))
        mask = disturbed(ticket, random.Random(level * 100 + replicate)).mask
        while above is not None and any(bool((mask[name] & ~above.mask[name]).any()) for name in mask):
            mask = Mask({name: _inside(mask[name], above.mask[name]) for name in mask})
        found[level, replicate] = replace(ticket, mask=mask)
    return chained(table, found)


def _inside(bits: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    """As many survivors, all of them inside a denser mask."""
    flat, allowed = bits.flatten().clone(), within.flatten()
    outside = (flat & ~allowed).nonzero().flatten()
    free = (allowed & ~flat).nonzero().flatten()[: len(outside)]
    flat[outside], flat[free] = False, True
    return flat.view(bits.shape)


def swapped_masks(table: Table, tickets: Tickets) -> Tickets:
    """The masks of two replicates change places."""
    turn = {0: 1, 1: 0}
    masks = {(level, r): tickets[level, turn.get(r, r)].mask for level, r in tickets}
    return chained(table, {slot: replace(ticket, mask=masks[slot]) for slot, ticket in tickets.items()})


def other_masks(order: Reorder) -> Forge:
    """Nested masks of the right densities that no criterion chose."""

    def forge(table: Table, tickets: Tickets) -> Tickets:
        found: Tickets = {}
        for (level, replicate), ticket in tickets.items():
            flat = torch.zeros(ticket.mask.size, dtype=torch.bool)
            flat[order(replicate, ticket.mask.size)[: ticket.mask.remaining]] = True
            parts = torch.split(flat, [bits.numel() for bits in ticket.mask.values()])
            mask = Mask(
                {name: part.view(ticket.mask[name].shape) for name, part in zip(ticket.mask, parts, strict=True)}
            )
            found[level, replicate] = replace(ticket, mask=mask)
        return chained(table, found)

    return forge


def at_random(replicate: int, size: int) -> list[int]:
    """Any weights."""
    return random.Random(replicate).sample(range(size), size)


def filled(replicate: int, size: int) -> list[int]:
    """The first weights, another start in every replicate: the last layer is emptied."""
    return [(i + replicate) % size for i in range(size)]


def copied_replicate(table: Table, tickets: Tickets) -> None:
    """Replicate 1 has the scores of replicate 0, one of them a little better, and digests of its own."""
    for ps in table["curves"].values():
        for point in ps[1:]:
            point["values"][1] = point["values"][0]
            point["weights"][1] = point["weights"][0][::-1]


def costs(**factors: float) -> Forge:
    """A cost times a factor."""

    def forge(table: Table, tickets: Tickets) -> None:
        for name, factor in factors.items():
            table["cost"][name] = type(table["cost"][name])(table["cost"][name] * factor)

    return forge


def fields(**changes: Any) -> Forge:
    """Other words: `title`, `author`, or `provenance__suite_version` for what lies deeper."""

    def forge(table: Table, tickets: Tickets) -> None:
        for name, value in changes.items():
            *parents, last = name.split("__")
            inner = table
            for parent in parents:
                inner = inner[parent]
            inner[last] = value

    return forge


def renamed_criterion(table: Table, tickets: Tickets) -> Tickets:
    """A criterion that nobody has, for masks that nobody can make again."""
    from suite.experiment.method import Method

    table["method"]["settings"] |= {"criterion": "oracle", "name": "oracle"}
    settings = Method.model_validate(table["method"]["settings"])
    return chained(table, {slot: replace(t, method_hash=settings.pruning_hash) for slot, t in tickets.items()})


def all_of(*forges: Forge) -> Forge:
    """One change after the other."""

    def forge(table: Table, tickets: Tickets) -> Tickets:
        for each in forges:
            tickets = each(table, tickets) or tickets
        return tickets

    return forge


def chained(table: Table, tickets: Mapping[Slot, Ticket]) -> Tickets:
    """Tickets with the digests of their new parents, and the entry's list of them."""
    found: Tickets = {}
    for (level, replicate), ticket in sorted(tickets.items()):
        parent = found.get((level - 1, replicate))
        new = ticket if parent is None or not ticket.parent else replace(ticket, parent=parent.digest)
        found[level, replicate] = new
    for ref in table["tickets"]:
        ref["digest"] = found[ref["level"], ref["replicate"]].digest
    return found


def forged(honest: Submission, forgery: Forge, table: Table) -> Tickets:
    """Change a copy of an entry's table in place; returns the tickets that go with it."""
    tickets = dict(honest.tickets)
    return forgery(table, tickets) or tickets
