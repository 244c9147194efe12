"""run.json: what was asked for, from which a run is planned without anybody's code; nothing altered is accepted."""

import random
import sys
from pathlib import Path

import pytest

from suite.choose import choose
from suite.experiment.errors import RunError, UsageError
from suite.experiment.request import Request, from_bytes, needed, to_bytes
from suite.experiment.runner import asked, make_plan
from tests.experiment import toy

TUTORIAL = Path(__file__).parent.parent / "data" / "breast_cancer.py"
PLACE = Path("run.json")


def tutorial() -> Request:
    """The request of a task that a plugin brings."""
    (task,) = choose(["tutorial/breast-cancer"], "smoke", [], {}, [], [TUTORIAL])
    return asked(task, "lottery run tutorial/breast-cancer", [TUTORIAL])


def test_requests_are_read_as_they_were_written() -> None:
    requests = [tutorial(), asked(toy.task(), "lottery run toy/points", [])]
    assert from_bytes(to_bytes(requests), PLACE) == requests


def test_no_flipped_bit_is_accepted() -> None:
    """A thousand of them, whitespace and the digits of numbers included."""
    content = to_bytes([tutorial()])
    flips = random.Random(8).sample(range(8 * len(content)), 1000)
    for flip in flips:
        changed = bytearray(content)
        changed[flip // 8] ^= 1 << flip % 8
        with pytest.raises(RunError, match=r"run.json (is corrupted|has schema)"):
            from_bytes(bytes(changed), PLACE)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 2}', b"\xff", b"[" * 100_000])
def test_what_is_no_run_json_is_said_in_one_line(content: bytes) -> None:
    with pytest.raises(
        RunError, match="move it away and run the same command again, finished cells are kept"
    ) as caught:
        from_bytes(content, PLACE)
    assert len(str(caught.value).splitlines()) == 1


def test_a_request_is_planned_as_its_task_is_with_its_code_at_hand() -> None:
    request = tutorial()
    assert [cell.key for cell in request.plan] == [cell.key for cell in make_plan(request.task)]


def test_a_request_is_planned_where_its_arms_and_criterion_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's arm and criterion: what the plan needs of them stands in the request."""
    (stranger,) = from_bytes(to_bytes([tutorial()]), PLACE)
    keys = [cell.key for cell in stranger.plan]
    for name in [name for name in sys.modules if name.startswith("lottery_plugin_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("suite.tickets.arms.ARMS", {})
    monkeypatch.setattr("suite.tickets.scores.CRITERIA", {})
    assert [cell.key for cell in stranger.plan] == keys
    assert not [name for name in sys.modules if name.startswith("lottery_plugin_")]


def test_plugins_are_named_without_their_place_and_known_by_their_bytes(tmp_path: Path) -> None:
    request = tutorial()
    assert [plugin.name for plugin in request.plugins] == ["breast_cancer.py"]
    assert str(TUTORIAL.parent) not in to_bytes([request]).decode().replace(request.command, "")
    elsewhere = tmp_path / "renamed.py"
    elsewhere.write_bytes(TUTORIAL.read_bytes())
    assert needed(request, [elsewhere]) == [elsewhere]
    with pytest.raises(UsageError, match=r"plugin breast_cancer.py .* is needed: name the run's own with --plugin"):
        needed(request, [])
