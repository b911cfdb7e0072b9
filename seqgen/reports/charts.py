"""Everything that matplotlib draws: the style of all charts, and the learning curves.

A chart is a function from a `Layout` to a figure from `blank`, drawn within `style`:

    responsive(draw, "what it shows")      inline SVG for a page, drawn broad and slim
    picture(draw, "pdf")                   the same as a file for papers

Colours are named below. In a page they become the variables of `base.css`, so that they fit light
and dark mode. An artist with a gid gets a hover title from `titles`.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from textwrap import wrap
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree

from markupsafe import Markup

from seqgen.reports import format
from seqgen.reports.run_files import Curves, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    GREY: "var(--grey)",
    PURPLE: "var(--purple)",
    TEAL: "var(--teal)",
    OCHRE: "var(--ochre)",
}
_ROUND_TIMES: Final = (
    *(n / 1000 for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * unit for unit in (1.0, 60.0) for n in (1, 2, 5, 10, 20, 30)),
    *(n * 3600.0 for n in (1, 2, 3, 6, 12)),
    *(n * 86400.0 * 10**power for power in range(12) for n in (1, 2, 5)),
)
"""Seconds between ticks of a clock."""
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
    """An attribute with the colours and fonts of the page, and no digits that nobody sees."""
    # Older matplotlibs write size and family as one `font`.
    value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
    value = re.sub(r" ?font-family: [^;]*;?", "", value)
    value = re.sub(r"#[0-9a-f]{6}", lambda found: _VARIABLES.get(found[0], found[0]), value)
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


def learning_curves(curves: Curves) -> Draw:
    """A function that draws the losses, the metric and the learning rates of a run, by steps."""

    def draw(layout: Layout) -> Figure:
        panels = [(_draw_losses, 5.0)]
        panels += [(_draw_metric, 2.0)] if curves.measured else []
        panels += [(_draw_rates, 1.0)] if curves.rates else []
        figure = blank(replace(layout, height=layout.height + (1.3 if curves.measured else 0.0)))
        ratios = [ratio for _, ratio in panels]
        grid = figure.subplots(len(panels), 1, sharex=True, height_ratios=ratios, squeeze=False)
        every = [axes for [axes] in grid]
        for axes, (fill, _) in zip(every, panels, strict=True):
            fill(axes, curves)
            axes.grid()
        _label_steps(every[-1], curves, layout)
        if curves.seconds:
            _label_times(every[0], curves.seconds, layout)
        handles = [line for axes in every for line in axes.get_legend_handles_labels()[0]]
        if handles:
            figure.legend(handles=handles, loc="outside upper left", ncols=layout.legend_columns)
        else:
            every[0].set_axis_off()
            every[0].text(0.5, 0.5, "no losses recorded", transform=every[0].transAxes, ha="center")
        return figure

    return draw


def _draw_losses(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("loss (nats per token)")
    if len(curves.train) > 20:
        train, smoothed = _columns(curves.train), _columns(curves.smoothed)
        axes.plot(*train, color=BLUE, alpha=0.45, linewidth=0.8, label="training")
        axes.plot(*smoothed, color=BLUE, linewidth=1.7, label="training, smoothed")
    elif curves.train:
        # Of so few points each is worth seeing, and one alone makes no line.
        axes.plot(*_columns(curves.train), color=BLUE, marker=".", label="training")
    if curves.valid:
        _draw_validations(axes, curves.valid, label="validation")
    if curves.best and not curves.measured_best:
        step, loss = curves.best
        _draw_best(axes, curves.best, f"best: {format.figure(loss)} at step {format.count(step)}")
    losses = [loss for _, loss in (*curves.train, *curves.valid)]
    if losses and min(losses) > 0 and max(losses) > 100 * min(losses):
        # Memorised or diverged: on a linear axis all but a few points would lie on one line.
        axes.set_yscale("log")
        axes.set_ylabel("loss (nats per token), log scale")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_validations(axes: Axes, points: Points, label: str = "") -> None:
    size = 4 if len(points) <= 60 else 0
    axes.plot(*_columns(points), color=ORANGE, marker="o", ms=size, label=label)


def _draw_best(axes: Axes, point: tuple[float, float], label: str) -> None:
    [ring] = axes.plot(*_columns([point]), "o", ms=10, mfc="none", color=ORANGE, label=label)
    ring.set(markeredgewidth=1.6, clip_on=False)


def _draw_metric(axes: Axes, curves: Curves) -> None:
    name = curves.metric
    _draw_validations(axes, curves.measured)
    if curves.measured_best:
        step, value = curves.measured_best
        best = f"best: {format.metric_value(name, value)} at step {format.count(step)}"
        _draw_best(axes, curves.measured_best, best)
    if format.is_share(name) and min(value for _, value in curves.measured) < 1:
        # Before it has learnt to end, a model makes many times the errors that there can be.
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, -0.05), min(top, 1.05))
    axes.set_ylabel(drawable(format.metric_label(name)))
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(
        lambda value, _: f"{100 * value:g} %" if format.is_share(name) else f"{value:g}"
    )


def _draw_rates(axes: Axes, curves: Curves) -> None:
    marker = "." if len(curves.rates) == 1 else ""
    axes.plot(*_columns(curves.rates), color=GREY, linewidth=1.3, marker=marker)
    axes.set_ylabel("learning\nrate")
    axes.set_ylim(bottom=min([0.0, *(rate for _, rate in curves.rates)]))
    axes.locator_params(axis="y", nbins=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _label_steps(axes: Axes, curves: Curves, layout: Layout) -> None:
    from matplotlib.ticker import MaxNLocator

    steps = [step for step, _ in (*curves.train, *curves.valid)]
    last = max(steps, default=1.0)
    axes.set_xlim(min([0.0, *steps]), last + 0.02 * abs(last) + (last == 0))
    axes.set_xlabel("steps")
    axes.xaxis.set_major_locator(MaxNLocator(layout.ticks, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: format.count(value))


def _label_times(axes: Axes, seconds: Points, layout: Layout) -> None:
    """Label the top with the time at which a step was done: time and steps need not be in line."""
    ticks = time_ticks(seconds, most=layout.ticks)
    top = axes.twiny()
    top.spines[:].set_visible(False)
    top.tick_params(length=3)
    top.set_xlim(axes.get_xlim())
    top.set_xticks([step for step, _ in ticks], [format.duration(time) for _, time in ticks])


def time_ticks(seconds: Points, most: int) -> Points:
    """(step, time) for round times within the clock's range, `most` of them or one more."""
    import numpy as np

    steps, clock = _columns(seconds)
    least = (clock[-1] - clock[0]) / most
    spacing = next((time for time in _ROUND_TIMES if time >= least), least)
    first, last = math.ceil(clock[0] / spacing), math.floor(clock[-1] / spacing)
    times = [spacing * each for each in range(first, last + 1)]
    return list(zip(np.interp(times, clock, steps).tolist(), times, strict=True))


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [value for _, value in points]
