"""A ticket file comes back as it was written, and anything else is refused in one line."""

import hashlib
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from suite.tickets.mask import Mask, TicketError
from suite.tickets.ticket import FORMAT, Ticket, load


def _small() -> Ticket:
    mask = Mask({"w": torch.tensor([[1, 0, 1], [1, 1, 0]], dtype=torch.bool)})
    weights = {"w": torch.tensor([[0.5, 1.0, -2.0], [0.0, 3.0, 1e-9]]), "b": torch.tensor([1.0, 2.0])}
    return Ticket(mask, weights, task_hash="t", method_hash="m", level=3, replicate=2, rewind_step=500, parent="p")


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "ticket.safetensors"
    path.write_bytes(content)
    return path


def _refusal(path: Path) -> str:
    """The message; `pytest.raises` is too slow to be called for each of some thousand bits."""
    try:
        load(path)
    except TicketError as error:
        return str(error)
    return ""


def _assert_refused(path: Path, match: str = "") -> None:
    message = _refusal(path)
    assert message.count("\n") == 0
    assert str(path) in message
    assert match in message


def _header(content: bytes) -> dict[str, object]:
    """The safetensors header, read by hand: 8 bytes of length, then JSON."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])


def test_a_ticket_comes_back_with_mask_weights_and_provenance(tmp_path: Path) -> None:
    ticket = _small()
    found = load(_written(tmp_path, ticket.to_bytes()))
    assert found.mask == ticket.mask
    assert found.weights.keys() == ticket.weights.keys()
    assert all(torch.equal(found.weights[name], ticket.weights[name]) for name in ticket.weights)
    provenance = (found.task_hash, found.method_hash, found.level, found.replicate, found.rewind_step, found.parent)
    assert provenance == ("t", "m", 3, 2, 500, "p")
    assert found.digest == ticket.digest


def test_a_mask_alone_is_a_ticket(tmp_path: Path) -> None:
    found = load(_written(tmp_path, Ticket(_small().mask).to_bytes()))
    assert (found.mask, found.weights) == (_small().mask, {})


def test_the_order_of_the_mask_survives_because_it_breaks_ties(tmp_path: Path) -> None:
    mask = Mask({"z": torch.ones(3, dtype=torch.bool), "a": torch.zeros(2, dtype=torch.bool)})
    assert list(load(_written(tmp_path, Ticket(mask).to_bytes())).mask) == ["z", "a"]


def test_buffers_bfloat16_integers_and_scalars_come_back_bit_for_bit(tmp_path: Path) -> None:
    weights = {
        "bf16": torch.tensor([1.0, -0.0, float("inf")]).bfloat16(),
        "double": torch.tensor([[1e-300]], dtype=torch.float64),
        "num_batches_tracked": torch.tensor(17),
        "flag": torch.tensor([True, False]),
        "scalar": torch.tensor(0.1),
        "nan": torch.tensor([float("nan")]),
        "empty": torch.empty(0, 4),
        "transposed": torch.arange(6.0).view(2, 3).t(),
    }
    found = load(_written(tmp_path, Ticket(_small().mask, weights).to_bytes())).weights
    for name, value in weights.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        assert torch.equal(found[name].reshape(-1, 1).view(torch.uint8), value.reshape(-1, 1).view(torch.uint8)), name


def test_tied_weights_can_be_written_and_stay_tied_in_the_model(tmp_path: Path) -> None:
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    net["b"].weight = net["a"].weight
    ticket = Ticket(Mask({"a.weight": torch.eye(2, dtype=torch.bool)}), net.state_dict())
    found = load(_written(tmp_path, ticket.to_bytes()))
    found.start(net)
    assert net["b"].weight is net["a"].weight
    assert net["a"].weight[0, 1].item() == 0.0
    assert torch.equal(net["b"].bias, found.weights["b.bias"])


def test_masks_are_packed_little_endian_and_row_major() -> None:
    """Rows 1 0 0 0 0 / 0 0 1 1 0: bits 0, 7 and 8 of the flattened mask, the first in the lowest bit of byte 0."""
    mask = Mask({"w": torch.tensor([[1, 0, 0, 0, 0], [0, 0, 1, 1, 0]], dtype=torch.bool)})
    content = Ticket(mask).to_bytes()
    entry = _header(content)["mask.w"]
    assert entry == {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}
    assert content[-2:] == bytes([0b1000_0001, 0b0000_0001])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=0, max_size=3), st.integers(0, 2**32))
def test_any_mask_of_any_shape_comes_back(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], seed: int
) -> None:
    bits = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask = Mask({"layer.weight": bits})
    assert load(_written(tmp_path_factory.mktemp("any"), Ticket(mask).to_bytes())).mask == mask


def test_the_header_states_provenance_and_the_digest_can_be_checked_by_hand(tmp_path: Path) -> None:
    path = _written(tmp_path, _small().to_bytes())
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["lottery"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    digest = header.pop("digest")
    assert header == {
        "format": FORMAT,
        "shapes": {"w": [2, 3]},
        "order": ["w"],
        "weights": {"w": ["torch.float32", [2, 3]], "b": ["torch.float32", [2]]},
        "task_hash": "t",
        "method_hash": "m",
        "level": 3,
        "replicate": 2,
        "rewind_step": 500,
        "parent": "p",
    }
    data = b"".join(tensors[name].numpy().tobytes() for name in ["mask.w", "weight.b", "weight.w"])
    assert sorted(tensors) == ["mask.w", "weight.b", "weight.w"]
    assert digest == hashlib.sha256(rfc8785.dumps(header) + data).hexdigest()


def test_the_same_ticket_gives_the_same_bytes() -> None:
    assert _small().to_bytes() == _small().to_bytes()


def test_every_single_bit_flip_is_refused(tmp_path: Path) -> None:
    """Names, dtypes, shapes, offsets, padding bits of the mask: whatever bit of the file it is."""
    content = _small().to_bytes()
    path = _written(tmp_path, content)
    with path.open("r+b", buffering=0) as file:
        for position, byte in enumerate(content):
            for bit in range(8):
                file.seek(position)
                file.write(bytes([byte ^ 1 << bit]))
                _assert_refused(path)
            file.seek(position)
            file.write(bytes([byte]))
    assert load(path).digest == _small().digest


def test_truncation_at_every_length_is_refused(tmp_path: Path) -> None:
    content = _small().to_bytes()
    for length in range(len(content)):
        _assert_refused(_written(tmp_path, content[:length]))


def test_a_file_with_something_behind_its_end_is_refused(tmp_path: Path) -> None:
    _assert_refused(_written(tmp_path, _small().to_bytes() + b"\0"), "no ticket")


class _Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_a_pickle_is_refused_and_its_code_does_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    _assert_refused(_written(tmp_path, pickle.dumps(_Trap(trap))), "no ticket")
    torch.save({"mask.w": _Trap(trap)}, tmp_path / "zip.safetensors")
    _assert_refused(tmp_path / "zip.safetensors", "no ticket")
    assert not trap.exists()


def test_a_ticket_is_written_and_read_without_pickle_so_that_no_newer_framework_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`torch.load` changed its default and refuses checkpoints of old; a ticket never goes that way."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    for module, name in ((torch, "load"), (torch, "save"), (pickle, "Unpickler"), (pickle, "loads"), (pickle, "dumps")):
        monkeypatch.setattr(module, name, refuse)
    assert load(_written(tmp_path, _small().to_bytes())).digest == _small().digest


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 100, b'{"format": "lottery-ticket/1"}\n', b"PK\x03\x04"])
def test_content_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    _assert_refused(_written(tmp_path, content), "no ticket: not a whole safetensors file")


def test_a_directory_a_missing_file_and_a_symlink_to_nothing_are_refused(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "is no regular file")
    _assert_refused(tmp_path / "absent", "no ticket file")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "absent")
    _assert_refused(link, "no ticket file")


@pytest.mark.parametrize("text", [None, "", "?", "[]", "{}", '"lottery"', "[" * 100_000])
def test_a_foreign_safetensors_file_is_refused(tmp_path: Path, text: str | None) -> None:
    content = save({"fc.weight": torch.ones(2, 2)}, metadata=None if text is None else {"lottery": text})
    _assert_refused(_written(tmp_path, content), "no ticket of this suite")


def _forged(change: Callable[[dict[str, object]], object], **more: Tensor) -> bytes:
    """A file whose digest is right for its header and tensors, but whose header was changed before."""
    ticket = _small()
    header, tensors = ticket._header(), {**ticket._tensors(), **more}
    change(header)
    data = b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))
    header["digest"] = hashlib.sha256(rfc8785.dumps(header) + data).hexdigest()  # type: ignore[arg-type]
    return save(tensors, metadata={"lottery": json.dumps(header)})


FORGERIES: dict[str, Callable[[dict[str, object]], object]] = {
    "wrong shape": lambda header: header.update(shapes={"w": [3, 3]}),
    "negative shape": lambda header: header.update(shapes={"w": [-2, -3]}),
    "huge shape": lambda header: header.update(shapes={"w": [2**40, 2**40]}),
    "no level": lambda header: header.pop("level"),
    "a field of another suite": lambda header: header.update(author="x"),
    "a mask without name": lambda header: header.update(order=[]),
    "another dtype": lambda header: header.update(weights={"w": ["torch.int32", [2, 3]], "b": ["torch.float32", [2]]}),
    "order is text": lambda header: header.update(order="w"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_header_that_does_not_describe_the_tensors_is_refused_even_under_a_right_digest(
    tmp_path: Path, name: str
) -> None:
    _assert_refused(_written(tmp_path, _forged(FORGERIES[name])))


@pytest.mark.parametrize("size", [0, 1])
def test_a_tensor_that_belongs_to_nothing_is_refused_even_under_a_right_digest(tmp_path: Path, size: int) -> None:
    load(_written(tmp_path, _forged(lambda header: None)))  # the forgery's own digest is right
    _assert_refused(_written(tmp_path, _forged(lambda header: None, other=torch.ones(size))), "corrupted")


def test_a_later_format_is_refused_by_its_name(tmp_path: Path) -> None:
    content = _forged(lambda header: header.update(format="lottery-ticket/2"))
    _assert_refused(_written(tmp_path, content), "has ticket format 'lottery-ticket/2', this suite reads")


def test_start_loads_weights_and_buffers_and_prunes() -> None:
    torch.manual_seed(0)
    net, source = (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)) for _ in range(2))
    source(torch.randn(8, 2))  # moves the running statistics
    kept = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.bool)
    Ticket(Mask({"0.weight": kept}), source.state_dict()).start(net)
    assert torch.equal(net[0].weight.detach(), source[0].weight.detach() * kept)
    assert torch.equal(net[1].running_mean, source[1].running_mean)
    assert net[1].num_batches_tracked.item() == 1


def test_start_refuses_another_model_in_one_line() -> None:
    with pytest.raises(TicketError, match="do not fit the model") as caught:
        _small().start(nn.Linear(3, 2))
    assert "\n" not in str(caught.value)
