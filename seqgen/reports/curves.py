"""Drawing the learning curves, as one figure for the page and for slides and papers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from textwrap import wrap
from types import ModuleType
from typing import TYPE_CHECKING, Final

from seqgen.reports.measures import is_share, metric_label, metric_value
from seqgen.reports.quantities import count, duration, figure
from seqgen.reports.series import Curves, Points
from seqgen.reports.time_ticks import time_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#24292f"
MUTED: Final = "#59636e"
GRID: Final = "#dde1e6"
TRAIN: Final = "#2b6cb0"
VALID: Final = "#c2410c"
RATE: Final = "#64748a"


@dataclass(frozen=True)
class Layout:
    """A picture's size in inches, its letters in points, and how much fits side by side."""

    width: float
    height: float
    letters: float
    ticks: int
    legend_columns: int


PAPER = Layout(6.4, 4.4, letters=9, ticks=6, legend_columns=4)
WIDE = Layout(9.6, 5.2, letters=9, ticks=8, legend_columns=4)
NARROW = Layout(4.1, 4.6, letters=8.5, ticks=4, legend_columns=2)


def as_png(curves: Curves) -> bytes:
    """The curves as a PNG for slides."""
    fixed: dict[str, str | None] = {"Software": None}
    return _save(curves, PAPER, "png", fixed)


def as_pdf(curves: Curves) -> bytes:
    """The curves as a PDF for papers; without dates, so that equal data give equal bytes."""
    fixed = {"Creator": "seqgen", "Producer": None, "CreationDate": None}
    return _save(curves, PAPER, "pdf", fixed)


def as_svg(curves: Curves, layout: Layout) -> str:
    """The curves as an SVG without background, its texts as texts."""
    fixed: dict[str, str | None] = {"Creator": None, "Date": None, "Format": None, "Type": None}
    return _save(curves, layout, "svg", fixed).decode("utf-8")


def _save(curves: Curves, layout: Layout, kind: str, metadata: dict[str, str | None]) -> bytes:
    stream = BytesIO()
    with _fixed_style(layout):
        picture = _draw(curves, layout)
        picture.savefig(stream, format=kind, dpi=200, transparent=kind == "svg", metadata=metadata)
    return stream.getvalue()


@contextmanager
def _fixed_style(layout: Layout) -> Iterator[None]:
    """matplotlib's own defaults, whatever the person's matplotlibrc says, and no random names."""
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


def _draw(curves: Curves, layout: Layout) -> Figure:
    from matplotlib.figure import Figure

    panels = [(_losses, 5.0), *([(_metric, 2.0)] if curves.measured else [])]
    panels += [(_rates, 1.0)] if curves.rates else []
    height = layout.height + (1.3 if curves.measured else 0.0)
    picture = Figure(figsize=(layout.width, height), layout="constrained")
    ratios = [ratio for _, ratio in panels]
    grid = picture.subplots(len(panels), 1, sharex=True, height_ratios=ratios, squeeze=False)
    every = [axes for [axes] in grid]
    for axes, (fill, _) in zip(every, panels, strict=True):
        fill(axes, curves)
    _steps(every[-1], curves, layout)
    if curves.seconds:
        _times(every[0], curves.seconds, layout)
    named = [
        named for axes in every for named in zip(*axes.get_legend_handles_labels(), strict=True)
    ]
    if named:
        picture.legend(
            *zip(*named, strict=True),
            loc="outside upper left",
            ncols=layout.legend_columns,
            frameon=False,
            fontsize=layout.letters,
        )
    else:
        every[0].set_axis_off()
        every[0].text(0.5, 0.5, "no losses recorded", transform=every[0].transAxes, ha="center")
    return picture


def _losses(axes: Axes, curves: Curves) -> None:
    axes.set_ylabel("loss (nats per token)")
    axes.grid(color=GRID, linewidth=0.6)
    if len(curves.train) > 20:
        axes.plot(*_columns(curves.train), color=TRAIN, alpha=0.45, linewidth=0.8, label="training")
        smoothed = _columns(curves.smoothed)
        axes.plot(*smoothed, color=TRAIN, linewidth=1.7, label="training, smoothed")
    elif curves.train:
        # Of so few points each is worth seeing, and one alone makes no line.
        train = _columns(curves.train)
        axes.plot(*train, color=TRAIN, linewidth=1.5, marker=".", label="training")
    if curves.valid:
        size = 4 if len(curves.valid) <= 60 else 0
        valid = _columns(curves.valid)
        axes.plot(*valid, color=VALID, linewidth=1.5, marker="o", ms=size, label="validation")
    if curves.best and not curves.measured_best:
        step, loss = curves.best
        label = f"best: {figure(loss)} at step {count(step)}"
        axes.plot([step], [loss], "o", ms=10, mfc="none", mew=1.6, color=VALID, label=label)
    _loss_scale(axes, curves)


def _loss_scale(axes: Axes, curves: Curves) -> None:
    losses = [loss for _, loss in (*curves.train, *curves.valid)]
    if losses and min(losses) > 0 and max(losses) > 100 * min(losses):
        # Memorised or diverged: on a linear axis all but a few points would lie on one line.
        axes.set_yscale("log")
        axes.set_ylabel("loss (nats per token), log scale")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _metric(axes: Axes, curves: Curves) -> None:
    name = curves.metric
    size = 4 if len(curves.measured) <= 60 else 0
    axes.plot(*_columns(curves.measured), color=VALID, linewidth=1.5, marker="o", ms=size)
    if curves.measured_best:
        step, value = curves.measured_best
        label = f"best: {metric_value(name, value)} at step {count(step)}"
        ring = axes.plot([step], [value], "o", ms=10, mfc="none", mew=1.6, color=VALID, label=label)
        ring[0].set_clip_on(False)
    if is_share(name) and min(value for _, value in curves.measured) < 1:
        # Before it has learnt to end, a model makes many times the errors that there can be.
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, -0.05), min(top, 1.05))
    axes.set_ylabel(_drawable(metric_label(name)))
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(
        lambda value, _: f"{100 * value:g} %" if is_share(name) else f"{value:g}"
    )
    axes.grid(color=GRID, linewidth=0.6)


def _drawable(label: str) -> str:
    """In lines that fit the panel, of letters that every font has."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in label)
    return "\n".join(wrap(plain, 14)[:2])


def _rates(axes: Axes, curves: Curves) -> None:
    marker = "." if len(curves.rates) == 1 else ""
    axes.plot(*_columns(curves.rates), color=RATE, linewidth=1.3, marker=marker)
    axes.set_ylabel("learning\nrate")
    axes.set_ylim(bottom=min([0.0, *(rate for _, rate in curves.rates)]))
    axes.locator_params(axis="y", nbins=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(color=GRID, linewidth=0.6)


def _steps(axes: Axes, curves: Curves, layout: Layout) -> None:
    from matplotlib.ticker import MaxNLocator

    steps = [step for step, _ in (*curves.train, *curves.valid)]
    last = max(steps, default=1.0)
    axes.set_xlim(min([0.0, *steps]), last + 0.02 * abs(last) + (last == 0))
    axes.set_xlabel("steps")
    locator = MaxNLocator(layout.ticks, integer=True, steps=[1, 2, 2.5, 5, 10])
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(lambda value, _: count(value))


def _times(axes: Axes, seconds: Points, layout: Layout) -> None:
    """Label the top with the time at which a step was done: time and steps need not be in line."""
    ticks = time_ticks(seconds, most=layout.ticks)
    top = axes.twiny()
    top.spines[:].set_visible(False)
    top.tick_params(length=3)
    top.set_xlim(axes.get_xlim())
    top.set_xticks([step for step, _ in ticks], [duration(time) for _, time in ticks])


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [value for _, value in points]
