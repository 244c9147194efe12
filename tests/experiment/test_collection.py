"""A collection names tasks, or a paper's figures with what stands for each at a scale."""

import pytest

from suite import choose as choosing
from suite.choose import choose, choose_transfers
from suite.experiment.collection import Collection, Figure, Panel, collections
from suite.experiment.errors import UsageError
from suite.experiment.registry import Registry

A, B, WHOLE = "vision/mnist5k-a-lenet300", "vision/mnist5k-b-lenet300", "vision/mnist5k-lenet300"
PAPER = Collection(
    name="paper",
    title="A paper",
    scale="lite",
    figures=(
        Figure(
            name="one", title="", showed="", data="",
            panels={"lite": (Panel(tasks=(WHOLE,), arms=("winning", "reinit")),), "paper": (Panel(tasks=(A,)),)},
        ),
        Figure(name="two", title="", showed="", data="", panels={"lite": (Panel(sources=(A,), targets=(A, B)),)}),
        Figure(
            name="three", title="", showed="", data="",
            panels={"lite": (Panel(tasks=(WHOLE,), methods=("imp", "snip"), arms=("winning", "signs")),)},
        ),
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "collections", lambda: {"paper": PAPER})


def asked(scale: str | None = None, methods: tuple[str, ...] = (), **options: object) -> list[tuple[object, ...]]:
    chosen = choose(["paper"], scale, methods, options, [], [])
    return [
        (t.spec.id, t.spec.scale, t.method.name, t.options.arms, t.source.task.spec.id if t.source else None)
        for t in chosen
    ]


def test_what_several_figures_ask_for_is_one_task_with_the_arms_of_all() -> None:
    both = ("winning", "random")
    assert asked() == [
        (WHOLE, "lite", "imp", ("winning", "reinit", "signs"), None),
        (A, "lite", "imp", both, A),
        (B, "lite", "imp", both, A),
        (WHOLE, "lite", "snip", ("winning", "signs"), None),
    ]


def test_a_scale_that_a_figure_does_not_name_has_the_panels_of_its_first() -> None:
    assert {row[:3] for row in asked("smoke")} == {
        (WHOLE, "smoke", "imp"), (WHOLE, "smoke", "snip"), (A, "smoke", "imp"), (B, "smoke", "imp")
    }  # fmt: skip


def test_a_command_line_says_more_than_a_figure() -> None:
    assert {row[2:4] for row in asked("smoke", methods=("one-shot",), arms=("winning",))} == {
        ("one-shot", ("winning",))
    }


def test_a_collection_of_transfers_is_no_source_of_tickets() -> None:
    with pytest.raises(UsageError, match=f"{A} with tickets of {A} is a transfer of a collection: name tasks in"):
        choose_transfers(["paper"], [B], "both", "smoke", [], {}, [], [])


@pytest.mark.parametrize("name", collections())
def test_every_task_of_the_suites_own_collections_is_there_at_its_scale(name: str) -> None:
    registry, collection = Registry(), collections()[name]
    scales = {collection.scale, *(scale for figure in collection.figures for scale in figure.panels)}
    for scale in scales:
        for panel in collection.panels(scale):
            own = scale if panel in [p for figure in collection.figures for p in figure.panels.get(scale, ())] else None
            for task in (*panel.tasks, *panel.sources, *panel.targets):
                assert (own or collection.scale) in registry.find(task).scales


def test_a_command_that_takes_one_task_names_those_of_a_collection() -> None:
    with pytest.raises(UsageError, match="quickstart is a collection: name one of vision/mnist5k-lenet300, "):
        Registry().one("quickstart", None)
