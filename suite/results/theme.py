"""Colours and marks of the arms, and how a figure becomes SVG or PNG with the same bytes every time."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK: Final = "#1b1f24"
FAINT: Final = "#d5d9de"
MUTED: Final = "#59636e"
SEQUENCE: Final = ("#08306b", "#2166ac", "#35978f", "#7fa82e", "#d98b0b", "#b2182b")
"""Dense to sparse in the trace plots."""


@dataclass(frozen=True)
class Style:
    """Colour, marker and dash of one line: each arm can be told by any of the three."""

    colour: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]]


ARMS: Final[dict[str, Style]] = {  # colours of Okabe and Ito (2008), safe for the usual colour blindnesses
    "winning": Style("#0072b2", "o", "-"),
    "reinit": Style("#d55e00", "s", (0, (5, 1.5))),
    "random": Style("#009e73", "^", (0, (1.5, 1.2))),
    "shuffled_layerwise": Style("#cc79a7", "D", (0, (5, 1.5, 1, 1.5))),
    "shuffled_mask": Style("#b58900", "v", (0, (3, 1, 1, 1, 1, 1))),
}
OTHERS: Final = (Style("#4b9cd3", "P", (0, (7, 2))), Style("#7a5195", "X", (0, (4, 3))), Style(MUTED, "*", (0, (2, 3))))

ON_DARK: Final[dict[str, str]] = {
    INK: "#e6e9ed",
    FAINT: "#3a4048",
    MUTED: "#a3acb6",
    "#0072b2": "#56b4e9",
    "#d55e00": "#ff8a3d",
    "#009e73": "#2fd3a4",
    "#cc79a7": "#e59ac4",
    "#b58900": "#e6b830",
    "#4b9cd3": "#7cc0f0",
    "#7a5195": "#b893d6",
    "#08306b": "#8fb4e8",
    "#2166ac": "#5aa2e0",
    "#35978f": "#5cc2ba",
    "#7fa82e": "#a5cf55",
    "#d98b0b": "#f0ac3c",
    "#b2182b": "#f0717c",
}
"""What each colour of a figure becomes on a dark page."""


def style(arm: str, position: int = 0) -> Style:
    """Style of an arm; arms from plugins take the remaining ones in turn, by their position."""
    return ARMS.get(arm, OTHERS[position % len(OTHERS)])


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made and saved in here look alike; no text is read as TeX, for names may hold a dollar."""
    settings: dict[Any, Any] = {
        "svg.hashsalt": "lottery",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.unicode_minus": True,
        "xtick.color": INK,
        "ytick.color": INK,
        "font.family": ["DejaVu Sans"],
        "font.size": 9.5,
        "axes.titlesize": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",
        "axes.facecolor": "none",
        "savefig.transparent": False,
    }
    with mpl.rc_context(settings):
        yield


def png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as PNG on white."""
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    with drawing():
        figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out now; doing it again for the next format takes as long as drawing
    return out.getvalue()


def svg(figure: Figure) -> str:
    """The figure as a stand-alone SVG, on white, without a date: the same figure gives the same bytes."""
    out = io.StringIO()
    with drawing():
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    figure.set_layout_engine("none")
    return out.getvalue()


def inline(text: str, prefix: str, title: str, description: str) -> str:
    """A figure's SVG, from `svg`, as an <svg> element for an HTML page, on the page's own background.

    Every id begins with `prefix`, so that figures of one page never share one; colours become CSS variables
    (`css_colours`), so that they follow the page into dark mode; title and description speak to a screen reader.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r'(<g id="patch_1">\s*<path[^>]*style=")[^"]*"', r'\1fill: none"', text, count=1)  # the background
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), text)  # a page half the size
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for colour in ON_DARK:
        text = re.sub(colour, f"var(--{_name(colour)})", text, flags=re.IGNORECASE)
    box = re.search(r'viewBox="[^"]*"', text)
    head = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box.group() if box else ""} '
        f'xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{prefix}-title {prefix}-desc">'
        f'<title id="{prefix}-title">{escape(title)}</title><desc id="{prefix}-desc">{escape(description)}</desc>'
    )
    return re.sub(r"^<svg[^>]*>", lambda _: head, text, count=1).strip()


def css_colours(dark: bool) -> str:
    """Declarations of the CSS variables that `inline` uses."""
    return " ".join(f"--{_name(light)}: {shade if dark else light};" for light, shade in ON_DARK.items())


def _name(colour: str) -> str:
    return "c" + colour[1:]
