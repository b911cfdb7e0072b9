"""How charts are drawn: the style that all share, matplotlib's pictures as files and in pages, and
the learning curves of a run: their points chosen, smoothed and thinned, and drawn.

A chart is a function from a `Layout` to a figure from `blank`, drawn within `style`:

    svg(draw, "what it shows")      an element of a page
    picture(draw, "pdf")            the same as a file for papers

Colours are named below. In a page they become the variables of `base.css`, so that they fit light
and dark mode. An artist with a gid gets a hover title from `titles`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from textwrap import wrap
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from seqgen.reports import format
from seqgen.reports.run_files import Number, RunFiles

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
Points: TypeAlias = NDArray[np.float64]
"""Rows of (step, value); losses are in nats per token."""

BUCKETS: Final = 400
"""More points would be finer than the pixels of a chart."""
DRAWABLE: Final = 1e12
"""Beyond this a loss says only that training diverged, and no axis can show it."""


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


def blank(layout: Layout) -> Figure:
    """A figure of the layout's size to draw in, within `style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(layout.width, layout.height), layout="constrained")


def drawable(label: str, width: int = 14, lines: int = 2) -> str:
    """The label in lines that fit, of letters that every font has."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in label)
    return "\n".join(wrap(plain, width)[:lines])


@dataclass(frozen=True)
class Curves:
    """What the chart shows, with at most some hundreds of points for each curve."""

    train: Points
    smoothed: Points
    valid: Points
    best: tuple[float, ...] | None
    rates: Points
    seconds: Points
    left_out: int
    """How many losses are no finite number, or beyond what can be drawn."""
    metric: str
    """The metric by which the best is chosen, or else the first one that there is."""
    measured: Points
    measured_best: tuple[float, ...] | None
    """The best as `metric` has it, where the best is chosen by it."""


def curves_of(run: RunFiles) -> Curves:
    """The learning curves of a run."""
    train, train_left_out = _points((event.step, event.loss) for event in run.train)
    valid, valid_left_out = _points((event.step, event.nats_per_token) for event in run.valid)
    rates, _ = _points((event.step, event.learning_rate) for event in run.train)
    metric, chosen = _metric(run)
    measured, _ = _points((event.step, event.metrics.get(metric)) for event in run.valid)
    means = thin_to_means(train)

    def best(points: Points) -> tuple[float, ...] | None:
        return next((tuple(point) for point in points.tolist() if point[0] == run.best_step), None)

    return Curves(
        train=thin_to_extremes(train),
        smoothed=smooth(means, reach=len(means) // 40),
        valid=thin_to_means(valid),
        best=best(valid),
        rates=thin_to_means(rates),
        seconds=_clock(run),
        left_out=train_left_out + valid_left_out,
        metric=metric if len(measured) else "",
        measured=thin_to_means(measured),
        measured_best=best(measured) if chosen else None,
    )


def _points(pairs: Iterable[tuple[Number, Number]]) -> tuple[Points, int]:
    """The pairs that are complete and can be drawn, and how many cannot."""
    complete = np.array([pair for pair in pairs if None not in pair], dtype=float).reshape(-1, 2)
    kept = (np.abs(complete) < DRAWABLE).all(axis=1)
    return complete[kept], int((~kept).sum())


def _metric(run: RunFiles) -> tuple[str, bool]:
    """The metric whose value, or its opposite where more is better, was each `criterion`; where
    none was, the first one, and False."""
    names = list(run.valid[-1].metrics) if run.valid else []
    for name in names:
        pairs = [(event.metrics.get(name), event.criterion) for event in run.valid]
        if all(value is not None and chosen in (value, -value) for value, chosen in pairs):
            return name, True
    return (names[0] if names else ""), False


def _clock(run: RunFiles) -> Points:
    """(step, seconds since the start), empty unless time goes forward with the steps."""
    for events in (run.train, run.valid):
        points, _ = _points((event.step, event.seconds) for event in events)
        passed = np.diff(points[:, 1])
        if passed.any() and (passed >= 0).all():
            return thin_to_means(points)
    return np.empty((0, 2))


def _buckets(points: Points) -> list[Points]:
    return np.array_split(points, min(BUCKETS, len(points))) if len(points) else []


def thin_to_means(points: Points) -> Points:
    """Each bucket's mean point."""
    return np.array([bucket.mean(axis=0) for bucket in _buckets(points)]).reshape(-1, 2)


def thin_to_extremes(points: Points) -> Points:
    """Each bucket's lowest and highest point, so that no spike is lost."""
    kept = []
    for bucket in _buckets(points):
        values = bucket[:, 1]
        kept.append(bucket[sorted({int(values.argmin()), int(values.argmax())})])
    return np.concatenate(kept) if kept else points


def smooth(points: Points, reach: int) -> Points:
    """The mean of each value with up to `reach` neighbours on either side.

    Both sides count alike and shrink towards the ends: so the curve has no lag, and begins and ends
    where the values do.
    """
    smoothed = points.copy()
    for index in range(len(points)):
        side = min(reach, index, len(points) - 1 - index)
        smoothed[index, 1] = points[index - side : index + side + 1, 1].mean()
    return smoothed


def learning_curves(curves: Curves) -> Draw:
    """A function that draws the losses, the metric and the learning rates of a run, by steps."""

    def draw(layout: Layout) -> Figure:
        heights = {_draw_losses: 5.0}
        if len(curves.measured):
            layout = replace(layout, height=layout.height + 1.3)
            heights[_draw_metric] = 2.0
        if len(curves.rates):
            heights[_draw_rates] = 1.0
        figure = blank(layout)
        every = figure.subplots(
            len(heights), 1, sharex=True, height_ratios=list(heights.values()), squeeze=False
        )[:, 0]
        for axes, fill in zip(every, heights, strict=True):
            fill(axes, curves)
            axes.grid()
        _label_steps(every[-1], curves, layout)
        if len(curves.seconds):
            _label_times(every[0], curves.seconds, layout)
        if handles := [line for axes in every for line in axes.get_legend_handles_labels()[0]]:
            figure.legend(handles=handles, loc="outside upper left", ncols=layout.legend_columns)
        else:
            every[0].set_axis_off()
            every[0].text(0.5, 0.5, "no losses recorded", transform=every[0].transAxes, ha="center")
        return figure

    return draw


def _draw_losses(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("loss (nats per token)")
    if len(curves.train) > 20:
        axes.plot(*curves.train.T, color=BLUE, alpha=0.45, linewidth=0.8, label="training")
        axes.plot(*curves.smoothed.T, color=BLUE, linewidth=1.7, label="training, smoothed")
    elif len(curves.train):
        # Of so few points each is worth seeing, and one alone makes no line.
        axes.plot(*curves.train.T, color=BLUE, marker=".", label="training")
    if len(curves.valid):
        _draw_validations(axes, curves.valid, label="validation")
    if curves.best and not curves.measured_best:
        _draw_best(axes, curves.best, format.figure(curves.best[1]))
    losses = np.concatenate([curves.train, curves.valid])[:, 1]
    if len(losses) and losses.min() > 0 and losses.max() > 100 * losses.min():
        # Memorised or diverged: on a linear axis all but a few points would lie on one line.
        axes.set_yscale("log")
        axes.set_ylabel("loss (nats per token), log scale")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_validations(axes: Axes, points: Points, label: str = "") -> None:
    size = 4 if len(points) <= 60 else 0
    axes.plot(*points.T, color=ORANGE, marker="o", ms=size, label=label)


def _draw_best(axes: Axes, point: tuple[float, ...], shown: str) -> None:
    step, value = point
    label = f"best: {shown} at step {format.count(step)}"
    [ring] = axes.plot([step], [value], "o", ms=10, mfc="none", color=ORANGE, label=label)
    ring.set(markeredgewidth=1.6, clip_on=False)


def _draw_metric(axes: Axes, curves: Curves) -> None:
    name = curves.metric
    _draw_validations(axes, curves.measured)
    if curves.measured_best:
        best = curves.measured_best
        _draw_best(axes, best, format.metric_value(name, best[1]))
    axes.set_ylabel(drawable(format.metric_label(name)))
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if format.is_share(name):
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        if curves.measured[:, 1].min() < 1:
            # Before it has learnt to end, a model makes many times the errors that there can be.
            bottom, top = axes.get_ylim()
            axes.set_ylim(max(bottom, -0.05), min(top, 1.05))


def _draw_rates(axes: Axes, curves: Curves) -> None:
    marker = "." if len(curves.rates) == 1 else ""
    axes.plot(*curves.rates.T, color=GREY, linewidth=1.3, marker=marker)
    axes.set_ylabel("learning\nrate")
    axes.set_ylim(bottom=min(0.0, curves.rates[:, 1].min()))
    axes.locator_params(axis="y", nbins=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _label_steps(axes: Axes, curves: Curves, layout: Layout) -> None:
    from matplotlib.ticker import MaxNLocator

    steps = np.concatenate([curves.train, curves.valid])[:, 0]
    last = steps.max(initial=-DRAWABLE) if len(steps) else 1.0
    axes.set_xlim(steps.min(initial=0.0), last + 0.02 * abs(last) + (last == 0))
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


def time_ticks(seconds: Points, most: int) -> list[tuple[float, float]]:
    """(step, time) for round times within the clock's range, `most` of them or one more."""
    from matplotlib.ticker import MaxNLocator

    steps, clock = seconds.T
    first, last = clock[0], clock[-1]
    unit = next((unit for unit in (86400, 3600, 60) if last - first >= 2 * unit), 1)
    locator = MaxNLocator(most, steps=[1, 2, 3, 5, 6, 10])
    times = unit * np.asarray(locator.tick_values(first / unit, last / unit))
    times = times[(first <= times) & (times <= last)]
    return list(zip(np.interp(times, clock, steps).tolist(), times.tolist(), strict=True))
