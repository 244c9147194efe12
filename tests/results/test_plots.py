"""Figures show what the curves hold: every replicate, the reference, sparser to the right."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from synthetic_cells import papers, spec, view

from suite.results.curve import curves_of
from suite.results.plots import curve_figure, layer_figure, spread, trace_figure, trace_keys
from suite.results.theme import ARMS, ON_DARK, inline, style, svg


def drawn(**changed: object) -> Figure:
    return curve_figure(curves_of(view(changed.pop("value", papers), **changed)))  # type: ignore[arg-type]


def test_density_is_logarithmic_and_falls_to_the_right() -> None:
    axes = drawn().axes[0]
    left, right = axes.get_xlim()
    assert axes.get_xscale() == "log"
    assert left > 1 > 0.8**4 > right


def test_the_line_of_an_arm_goes_through_its_means() -> None:
    lines = {str(line.get_label()): line for line in drawn().axes[0].lines}
    expected = [np.mean([papers("dense" if n == 0 else "reinit", n, r) for r in range(3)]) for n in range(5)]
    assert list(lines["reinit"].get_ydata()) == pytest.approx(expected)
    assert to_hex(lines["reinit"].get_color()) == ARMS["reinit"].colour


def test_every_replicate_is_a_dot() -> None:
    dots = [y for line in drawn().axes[0].lines if line.get_linestyle() == "None" for y in line.get_ydata()]
    for arm in ("winning", "reinit", "random"):
        for level in range(1, 5):
            for replicate in range(3):
                assert papers(arm, level, replicate) in dots


def test_dense_and_margin_are_drawn() -> None:
    axes = drawn().axes[0]
    dense = np.mean([papers("dense", 0, r) for r in range(3)])
    (line,) = [line for line in axes.lines if line.get_label() == "dense"]
    (band,) = [patch for patch in axes.patches if str(patch.get_label()).startswith("margin")]
    assert line.get_ydata()[0] == pytest.approx(dense)
    low, high = band.get_extents().transformed(axes.transData.inverted()).intervaly
    assert (low, high) == pytest.approx((dense - 0.02, dense + 0.02))


def test_a_band_takes_four_replicates() -> None:
    assert len(drawn(replicates=(0, 1, 2, 3)).axes[0].collections) == 3
    assert len(drawn(replicates=(0, 1, 2)).axes[0].collections) == 0


def test_a_diverged_replicate_is_marked() -> None:
    def crosses(figure: Figure) -> int:
        return sum(line.get_marker() == "x" for line in figure.axes[0].lines)

    assert crosses(drawn()) == 0
    assert crosses(drawn(value=lambda *at: None if at == ("random", 3, 1) else papers(*at))) == 1


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    text = svg(curve_figure(curves_of(view(papers, spec(metric={"name": "cost_$x^2$", "unit": "s"})))))
    assert ">cost_$x^2$ (s)</text>" in text  # matplotlib repeats the source of a formula in a comment


def test_svg_is_the_same_every_time_and_bears_no_date() -> None:
    one, two = svg(drawn()), svg(drawn())
    assert one == two
    assert "dc:date" not in one
    ET.fromstring(one[one.index("<svg") :])


def test_inline_ids_begin_with_their_prefix_and_references_follow() -> None:
    text = inline(svg(drawn()), "here", "a <title>", "what & how")
    root = ET.fromstring(text)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert ids
    assert all(str(name).startswith("here-") for name in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert "a &lt;title&gt;" in text
    assert "<style" not in text
    assert "#ffffff" not in text  # no white box on a dark page


def test_every_colour_of_an_arm_has_a_shade_for_dark_pages() -> None:
    assert all(look.colour in ON_DARK for look in ARMS.values())
    assert all(style(f"plugin{i}", i).colour in ON_DARK for i in range(6))
    looks = [style("winning"), *(style("plugin", i) for i in range(3))]
    assert len({(s.colour, s.marker) for s in looks}) == 4


def test_layers_are_rows_and_levels_columns() -> None:
    cells = [c for c in view(papers).cells if c.arm in ("dense", "winning") and c.replicate == 0]
    axes = layer_figure([(c.level, c.density, c.layers) for c in cells]).axes[0]
    table = axes.collections[0].get_array()
    assert table.shape == (3, 5)
    assert table[1, 2] == pytest.approx(cells[2].layers["fc2.weight"].density)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["fc1.weight", "fc2.weight", "head.weight"]


def test_an_empty_layer_does_not_break_the_colour_scale() -> None:
    cells = [c for c in view(papers).cells if c.arm in ("dense", "winning") and c.replicate == 0]
    empty = {name: layer.model_copy(update={"remaining": 0}) for name, layer in cells[0].layers.items()}
    for first in (empty, cells[0].layers):
        axes = layer_figure([(0, 1.0, first), (1, 0.8, empty)]).axes[0]
        assert 0 < axes.collections[0].norm.vmin < axes.collections[0].norm.vmax == 1  # type: ignore[operator]


def test_traces_have_a_panel_an_arm_and_a_line_a_replicate() -> None:
    cells = view(papers).cells
    figure = trace_figure(cells, ("winning", "random"), "loss")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["winning", "random"]
    assert [len(axes.lines) for axes in panels] == [15, 15]  # five levels, three replicates


def test_no_more_than_ten_replicates_of_an_arm_and_density_are_traced() -> None:
    cells = view(papers, replicates=tuple(range(12)), levels=1, arms=("winning",)).cells
    (panel,) = (axes for axes in trace_figure(cells, ("winning",), "loss").axes if axes.get_visible())
    assert len(panel.lines) == 20  # two levels


def test_a_hundred_thousand_dots_are_one_picture() -> None:
    few, many = (svg(drawn(replicates=tuple(range(n)), levels=1)) for n in (4, 400))
    assert ("<image" in few, "<image" in many) == (False, True)
    assert len(many) < 10 * len(few)


def test_the_tasks_metric_comes_first_among_the_traces() -> None:
    assert trace_keys(view(papers).cells, "accuracy") == ("accuracy", "loss")
    assert trace_keys(view(papers).cells, "bleu") == ("loss", "accuracy")


def test_spread_keeps_both_ends() -> None:
    assert spread(range(5)) == (0, 1, 2, 3, 4)
    assert spread(range(23)) == (0, 4, 9, 13, 18, 22)


def test_a_page_draws_to_a_hundredth_of_a_point() -> None:
    """Six decimals of every coordinate made half of a page of a hundred thousand cells."""
    text = svg(drawn())
    assert re.search(r' d="[^"]*\d\.\d{4}', text)
    page = inline(text, "one", "title", "description")
    assert not re.search(r' d="[^"]*\d\.\d{3}', page)
    assert re.search(r' d="[^"]*\d\.\d\d', page)
