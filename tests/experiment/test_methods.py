"""Named methods come from the suite, from installed packages and from plugin files, and are refused in one line."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from suite.choose import choose
from suite.experiment import methods as methods_module
from suite.experiment.errors import UsageError
from suite.experiment.methods import known_methods, method_changes, methods, read_methods
from suite.run import plans_of

TUTORIAL = Path(__file__).parent.parent / "data" / "breast_cancer.py"
TASK = "tutorial/breast-cancer"

PLUGIN = '''
from suite.tickets.scores import register

METHODS = """
[fluctuation]
about = "weights far from their layer's mean are kept"
criterion = "fluctuation"
rate = 0.25
"""


@register("fluctuation")
def fluctuation(model, probes):
    return {name: (w - w.mean()).abs().detach() for name, w in model.named_parameters()}
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "fluctuation.py"
    path.write_text(PLUGIN)
    return path


def test_a_plugins_method_is_one_of_those_known_and_sets_its_fields(plugin: Path) -> None:
    assert set(known_methods([plugin])) == {*methods(), "fluctuation"}
    (task,) = choose([TASK], None, ["fluctuation"], {}, [], [TUTORIAL, plugin])
    assert (task.method.name, task.method.criterion, task.method.rate) == ("fluctuation", "fluctuation", 0.25)
    (plan,) = plans_of([task], [TUTORIAL, plugin])
    assert plan.cells[0].prunes


def test_an_installed_packages_methods_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("gentle", "tests.experiment.test_methods:GENTLE", "lottery.methods")
    monkeypatch.setattr(methods_module, "entry_points", lambda group: [point] if group == "lottery.methods" else [])
    assert method_changes("gentle", known_methods()) == {"name": "gentle", "rate": 0.1}


GENTLE = '[gentle]\nabout = "a tenth at a time"\nrate = 0.1'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[imp", r"mine: its methods are no TOML"),
        ('[a]\nabout = "x"\nrat = 0.1', r"mine: unknown setting a\.rat; nearest: rate"),
        ('[a]\nabout = "x"\nrate = 2', r"mine: a\.rate = 2"),
        ("[a]\nrate = 0.1", r"method 'a' is no table with a word `about` it"),
        ("a = 3", r"method 'a' is no table"),
    ],
)
def test_a_broken_method_is_refused_by_origin_and_field(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_methods(text, "mine")


def test_a_method_may_not_take_the_name_of_another_one(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text("METHODS = '[imp]\\nabout = \"not this\"'")
    with pytest.raises(UsageError, match=r"plugin.py: method 'imp' exists already, choose another name"):
        known_methods([path])


def test_each_task_is_planned_once_by_every_method_and_the_dense_runs_are_shared() -> None:
    options = {"levels": 1, "replicates": 1}
    tasks = choose([TASK], None, ["imp", "lr-rewind", "imp"], options, [], [TUTORIAL])
    assert [task.method.name for task in tasks] == ["imp", "lr-rewind"]
    first, second = plans_of(tasks, [TUTORIAL])
    assert {c.key for c in first if c.level == 0} == {c.key for c in second if c.level == 0}


def test_one_name_for_several_methods_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--set name=mine names one method, --method imp,random asks for more"):
        choose([TASK], None, ["imp", "random"], {}, ["name=mine"], [TUTORIAL])


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown method 'fine-tuned'; nearest: fine-tune"):
        choose([TASK], None, ["fine-tuned"], {}, [], [TUTORIAL])
