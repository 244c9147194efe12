"""A ladder file gives every ticket again bit for bit; a stranger's file is refused in one line and little memory."""

import json
import lzma
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.tickets.ladder import MAGIC, MOST_CONTENT_BYTES, Ladder, load_ladder, parse_ladder
from suite.tickets.mask import Mask, TicketError
from suite.tickets.ticket import Ticket

SHAPES = {"z.weight": (3, 5), "a.weight": (7,), "scalar": ()}


def _mask(survivors: torch.Tensor) -> Mask:
    tensors, at = {}, 0
    for name, shape in SHAPES.items():
        size = torch.Size(shape).numel()
        tensors[name] = survivors[at : at + size].reshape(shape)
        at += size
    return Mask(tensors)


def _tickets(levels: list[int], *, nested: bool = True, seed: int = 0) -> list[Ticket]:
    generator = torch.Generator().manual_seed(seed)
    survivors = torch.ones(23, dtype=torch.bool)
    tickets: list[Ticket] = []
    for level in levels:
        fresh = torch.rand(23, generator=generator) < 0.7
        survivors = survivors & fresh if nested else fresh
        parent = tickets[-1].digest if tickets and nested else ""
        tickets.append(Ticket(_mask(survivors), {}, "task", "method", level, 4, 100 if tickets else 0, parent))
    return tickets


def _header(data: bytes) -> tuple[dict[str, object], bytes]:
    start = len(MAGIC) + 4
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    return json.loads(data[start:end]), data[end:]


def _file(header: dict[str, object], packed: bytes) -> bytes:
    text = rfc8785.dumps(header)
    return MAGIC + len(text).to_bytes(4, "little") + text + packed


def _refusal(data: bytes) -> str:
    try:
        parse_ladder(data)
    except TicketError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("levels", "nested", "coding"), [([1, 2, 3, 9], True, "levels"), ([2, 5, 255], False, "bits")])
def test_every_ticket_comes_back_with_its_digest(levels: list[int], nested: bool, coding: str, tmp_path: Path) -> None:
    tickets = _tickets(levels, nested=nested)
    (tmp_path / "one.ladder").write_bytes(Ladder.of(tickets).to_bytes())
    found = load_ladder(tmp_path / "one.ladder")
    assert (found.coding, list(found)) == (coding, levels)
    for ticket in tickets:
        again = found[ticket.level]
        assert (again.digest, again.mask) == (ticket.digest, ticket.mask)
        assert list(again.mask) == ["z.weight", "a.weight", "scalar"]
        assert (again.parent, again.rewind_step) == (ticket.parent, ticket.rewind_step)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(1, 255), min_size=1, max_size=12), st.booleans(), st.integers(0, 1000))
def test_any_ladder_comes_back(levels: set[int], nested: bool, seed: int) -> None:
    tickets = _tickets(sorted(levels), nested=nested, seed=seed)
    found = parse_ladder(Ladder.of(reversed(tickets)).to_bytes())
    assert [found[level] for level in sorted(levels)] == tickets


def test_nested_masks_take_one_byte_a_weight_and_others_a_bit_a_level() -> None:
    nested, apart = (Ladder.of(_tickets([1, 2, 3], nested=nested)) for nested in (True, False))
    assert nested._content.nbytes == 23
    assert apart._content.nbytes == 9  # three levels of 23 bits, in whole bytes


def test_a_level_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Ladder.of(_tickets([1, 3]))[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task_hash": "another"}, "of different ladders"),
        ({"method_hash": "another"}, "of different ladders"),
        ({"replicate": 5}, "of different ladders"),
        ({"mask": Mask({"a.weight": torch.ones(23, dtype=torch.bool)})}, "of different ladders"),
        ({"weights": {"b": torch.ones(1)}}, "carries weights"),
        ({"level": 1}, "each once, from 1 to 255"),
        ({"level": 0}, "each once, from 1 to 255"),
        ({"level": 256}, "each once, from 1 to 255"),
    ],
)
def test_tickets_of_no_one_ladder_are_refused(change: dict[str, object], message: str) -> None:
    first, second = _tickets([1, 2])
    with pytest.raises(TicketError, match=message):
        Ladder.of([first, replace(second, **change)])  # type: ignore[arg-type]


def test_no_tickets_are_no_ladder() -> None:
    with pytest.raises(TicketError, match="at least one"):
        Ladder.of([])


def test_any_flipped_bit_is_noticed() -> None:
    """All but the two bytes of the xz stream's end that its own decoder does not look at would still be caught."""
    data = Ladder.of(_tickets([1, 2, 3])).to_bytes()
    for place in range(len(data)):
        for bit in (1, 128):
            flipped = bytearray(data)
            flipped[place] ^= bit
            message = _refusal(bytes(flipped))
            assert message, f"byte {place}"
            assert "\n" not in message


def test_a_truncated_or_lengthened_file_is_refused() -> None:
    data = Ladder.of(_tickets([1, 2])).to_bytes()
    for length in range(0, len(data), 7):
        assert _refusal(data[:length])
    assert "do not have the 23 bytes" in _refusal(data + b"\0")
    assert _refusal(data + lzma.compress(b"more"))


def test_a_ticket_whose_mask_is_another_one_is_refused_when_it_is_asked_for() -> None:
    """The file's own digest fits: whoever made it stated another ticket's digest."""
    ladder = Ladder.of(_tickets([1, 2]))
    ladder.rungs[2] = replace(ladder.rungs[2], digest=ladder.rungs[1].digest)
    found = parse_ladder(ladder.to_bytes())
    assert found[1].level == 1
    with pytest.raises(TicketError, match="mask of level 2 replicate 4 is not the one"):
        found[2]


def test_a_decompression_bomb_ends_at_the_size_that_the_header_states() -> None:
    header, _ = _header(Ladder.of(_tickets([1])).to_bytes())
    bomb = _file(header, lzma.compress(bytes(200 * 2**20)))
    tracemalloc.start()
    message = _refusal(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "do not have the 23 bytes" in message
    assert peak < 2**24  # xz itself keeps the last 8 MiB


def test_masks_of_more_weights_than_any_model_has_are_refused_unread() -> None:
    header, packed = _header(Ladder.of(_tickets([1])).to_bytes())
    header["tensors"] = [["w", [2**20, 2**20, 2**20]]]
    assert f"states {2**60} bytes of masks, {MOST_CONTENT_BYTES} are the most" in _refusal(_file(header, packed))


def test_a_decoder_that_asks_for_more_memory_than_xz_needs_is_refused() -> None:
    header, _ = _header(Ladder.of(_tickets([1])).to_bytes())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**29}]
    assert "no whole xz stream" in _refusal(_file(header, lzma.compress(bytes(23), filters=filters)))


@pytest.mark.parametrize(
    "change",
    [
        {"tensors": []},
        {"tensors": [["w", [-1]]]},
        {"tensors": [["w", [True]]]},
        {"tensors": [["w", [23]], ["w", [23]]]},
        {"tensors": {"w": [23]}},
        {"tensors": None},
        {"coding": "pickle"},
        {"tickets": []},
        {"tickets": [{"level": 2, "digest": "", "parent": "", "rewind_step": 0}] * 2},
        {"tickets": [{"level": 1}]},
        {"replicate": "0"},
        {"task_hash": None},
        {"more": 1},
    ],
)
def test_a_header_that_says_anything_else_is_refused(change: dict[str, object]) -> None:
    header, packed = _header(Ladder.of(_tickets([1])).to_bytes())
    assert _refusal(_file(header | change, packed))


def test_a_header_that_is_not_canonical_is_refused() -> None:
    """One ladder has one header, so that two files of the same masks do not differ unseen."""
    header, packed = _header(Ladder.of(_tickets([1])).to_bytes())
    text = json.dumps(header, indent=1).encode()
    assert "not in canonical form" in _refusal(MAGIC + len(text).to_bytes(4, "little") + text + packed)


def test_a_header_nested_too_deeply_is_refused() -> None:
    text = b"[" * 100_000 + b"]" * 100_000
    assert "RecursionError" in _refusal(MAGIC + len(text).to_bytes(4, "little") + text)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "none": "no ladder file",
        "folder": "is no regular file",
        "link": "is a symbolic link",
        "pipe": "is no regular file",
    }.items():
        with pytest.raises(TicketError, match=message) as caught:
            load_ladder(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
