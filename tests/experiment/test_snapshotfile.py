"""A snapshot comes back bit for bit, or is seen to be damaged; writing and reading hold no second copy."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from suite.experiment.learner import Snapshot
from suite.experiment.snapshotfile import Damaged, read_snapshot, write_snapshot
from suite.experiment.store import Store


def _snapshot() -> Snapshot:
    tensors = {
        "b": torch.tensor([[1.0, -0.0, float("nan")], [2.0, 3.0, float("inf")]]),
        "a": torch.arange(7),
        "half": torch.tensor([1.5, 2.5]).bfloat16(),
        "scalar": torch.tensor(True),
        "none": torch.zeros(0, 3),
        "strided": torch.arange(6.0).view(2, 3).T,
    }
    return Snapshot(tensors, {"step": 17, "random": [2**63, "x"], "rates": [0.1]})


def _written(snapshot: Snapshot) -> bytes:
    file = io.BytesIO()
    write_snapshot(file, snapshot)
    return file.getvalue()


def test_tensors_and_meta_data_come_back_bit_for_bit(tmp_path: Path) -> None:
    wanted = _snapshot()
    (tmp_path / "one").write_bytes(_written(wanted))
    found = read_snapshot(tmp_path / "one")
    assert found.meta == wanted.meta
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, tensor in wanted.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name].nan_to_num(7.0), tensor.nan_to_num(7.0))


def test_the_file_is_one_of_safetensors() -> None:
    assert torch.equal(load(_written(_snapshot()))["strided"], torch.arange(6.0).view(2, 3).T)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Of the header too: a changed digit of the meta data would give another run silently."""
    content = _written(_snapshot())
    path = tmp_path / "one"
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        if content[place] == ord(" ") and place < 8 + int.from_bytes(content[:8], "little"):
            continue  # it may fill the header up, and says nothing
        with pytest.raises(Damaged):
            read_snapshot(path)


def test_a_changed_step_is_dropped_with_a_word_and_never_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store.create(tmp_path)
    store.put_snapshot("half", _snapshot())
    path = tmp_path / "cache" / "half.safetensors"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"step\\": 17', b'\\"step\\": 18'))
    assert path.read_bytes() != content
    with caplog.at_level(logging.WARNING):
        assert store.snapshot("half") is None
    assert "half.safetensors is dropped, it is made again: its content does not have the digest" in caplog.text
    assert not path.exists()


def test_a_truncated_file_and_a_folder_are_no_snapshots(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(_written(_snapshot())[:-1])
    with pytest.raises(Damaged):
        read_snapshot(tmp_path / "one")
    with pytest.raises(FileNotFoundError):
        read_snapshot(tmp_path)


def test_a_dtype_that_no_file_holds_is_named() -> None:
    with pytest.raises(TypeError, match=r"'w' has dtype torch.complex128"):
        write_snapshot(io.BytesIO(), Snapshot({"w": torch.zeros(1, dtype=torch.complex128)}, {}))


MEASURE = """
import resource, sys, torch
from pathlib import Path
from suite.experiment.learner import Snapshot
from suite.experiment.store import Store
store = Store.create(Path(sys.argv[1]))
tensors = {f"t{i}": torch.ones(4_000_000) for i in range(4)} if sys.argv[2] == "write" else {}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if tensors:
    store.put_snapshot("large", Snapshot(tensors, {}))
else:
    assert store.snapshot("large") is not None
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_a_large_snapshot_is_written_without_a_copy_and_read_with_one(tmp_path: Path) -> None:
    """64 MB; imports of the first call are in the figures, some MB."""
    peaks = {}
    for what in ("write", "read"):
        command = [sys.executable, "-c", MEASURE, str(tmp_path), what]
        peaks[what] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peaks["write"] < 32e6
    assert peaks["read"] < 64e6 * 1.5
