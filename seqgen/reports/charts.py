"""How charts are drawn: the style that all share, and matplotlib's pictures as files and in pages.

A chart is a function from a `Layout` to a figure from `blank`, drawn within `style`:

    responsive(draw, "what it shows")      inline SVG for a page, drawn broad and slim
    picture(draw, "pdf")                   the same as a file for papers

Colours are named below. In a page they become the variables of `base.css`, so that they fit light
and dark mode. An artist with a gid gets a hover title from `titles`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from textwrap import wrap
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#24292f"
MUTED: Final = "#59636e"
GRID: Final = "#dde1e6"
PAPER: Final = "#fffffe"
BLUE: Final = "#2b6cb0"
ORANGE: Final = "#c2410c"
GREEN: Final = "#1a7f37"
GREY: Final = "#64748a"
PURPLE: Final = "#a13d93"
TEAL: Final = "#0e7490"
OCHRE: Final = "#a16207"
SERIES: Final = (BLUE, ORANGE, GREY, PURPLE, TEAL, OCHRE)
"""Colours of lines side by side, which the colour-blind can tell apart in this order."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P")

_VARIABLES: Final = {
    **{INK: "ink", MUTED: "muted", GRID: "line", PAPER: "paper", GREEN: "green", GREY: "grey"},
    **{BLUE: "blue", ORANGE: "orange", PURPLE: "purple", TEAL: "teal", OCHRE: "ochre"},
}
_SVG: Final = "{http://www.w3.org/2000/svg}"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Layout:
    """A picture's size in inches, its font size in points, and how much fits side by side."""

    width: float
    height: float
    letters: float = 9
    ticks: int = 6
    legend_columns: int = 4


FILE: Final = Layout(6.4, 4.4)
BROAD: Final = Layout(9.6, 5.2, ticks=8)
SLIM: Final = Layout(4.1, 4.6, letters=8.5, ticks=4, legend_columns=2)

Draw: TypeAlias = "Callable[[Layout], Figure]"


@contextmanager
def style(layout: Layout) -> Iterator[None]:
    """matplotlib's own defaults, whatever the person's matplotlibrc says, in our colours."""
    matplotlib = _matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.size": layout.letters,
                "text.parse_math": False,
                "svg.hashsalt": "seqgen",
                "svg.fonttype": "none",
                "pdf.fonttype": 42,
                "text.color": INK,
                "axes.labelcolor": INK,
                "axes.edgecolor": MUTED,
                "xtick.color": MUTED,
                "ytick.color": MUTED,
                "axes.spines.right": False,
                "axes.spines.top": False,
                "axes.axisbelow": True,
                "grid.color": GRID,
                "grid.linewidth": 0.6,
                "legend.frameon": False,
                "legend.fontsize": layout.letters,
            }
        )
        yield


def _matplotlib() -> ModuleType:
    """The library, which could not be imported where $MPLBACKEND names a backend that is not
    there, as a notebook hands it to its children. Our pictures need none."""
    is_first = "matplotlib" not in sys.modules
    wanted = os.environ.pop("MPLBACKEND", None) if is_first else None
    try:
        import matplotlib
    finally:
        if wanted is not None:
            os.environ["MPLBACKEND"] = wanted
    if wanted:
        with suppress(ValueError):  # for what else this process draws
            matplotlib.rcParams["backend"] = wanted
    return matplotlib


def picture(draw: Draw, kind: str, layout: Layout = FILE) -> bytes:
    """The chart as "png" for slides, "pdf" for papers or "svg"; without dates, so that equal data
    give equal bytes."""
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": None},
        "pdf": {"Creator": "seqgen", "Producer": None, "CreationDate": None},
        "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
    }
    stream = BytesIO()
    with style(layout):
        draw(layout).savefig(
            stream, format=kind, dpi=200, transparent=kind == "svg", metadata=metadata[kind]
        )
    return stream.getvalue()


def svg(
    draw: Draw, title: str, *, layout: Layout = BROAD, titles: Mapping[str, str] | None = None
) -> Markup:
    """The chart as an element of a page, in the page's colours and fonts, as wide as its place.

    `title` says in words what it shows; `titles` has what an artist says on hover, by its gid.
    """
    drawn = picture(draw, "svg", layout)
    root = ElementTree.fromstring(drawn)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)
    used = set(re.findall(rb'(?:url\(|href=")#([^)"]+)', drawn))
    # Two pictures in one page must not share ids.
    prefix = f"c{sha256(drawn).hexdigest()[:6]}-"
    for element in root.iter():
        name = element.attrib.pop("id", "")
        if name in (titles or {}):
            ElementTree.SubElement(element, "title").text = (titles or {})[name]
        if name.encode() in used:
            element.set("id", f"{prefix}{name}")
        if link := element.attrib.pop(_LINK, ""):
            element.set("href", f"#{prefix}{link[1:]}")
        for key, value in element.attrib.items():
            element.set(key, _attribute(value).replace("url(#", f"url(#{prefix}"))
        element.tag = element.tag.removeprefix(_SVG)
        element.text, element.tail = (element.text or "").strip(), ""
    root.attrib = {"role": "img", "aria-label": title, "viewBox": root.attrib["viewBox"]}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _attribute(value: str) -> str:
    """An attribute with the colours and fonts of the page, and without needless digits."""
    # Older matplotlibs write size and family as one `font`.
    value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
    value = re.sub(r" ?font-family: [^;]*;?", "", value)
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, f"var(--{variable})")
    value = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", value)
    return " ".join(value.split())


def responsive(draw: Draw, title: str, titles: Mapping[str, str] | None = None) -> Markup:
    """The chart for wide and narrow screens, of which base.css shows one within a `figure`."""
    frame = Markup('<div class="{}">{}</div>')
    return Markup("").join(
        frame.format(name, svg(draw, title, layout=layout, titles=titles))
        for name, layout in (("broad", BROAD), ("slim", SLIM))
    )


def blank(layout: Layout) -> Figure:
    """A figure of the layout's size to draw in, within `style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(layout.width, layout.height), layout="constrained")


def drawable(label: str, width: int = 14, lines: int = 2) -> str:
    """The label in lines that fit, of letters that every font has."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in label)
    return "\n".join(wrap(plain, width)[:lines])
