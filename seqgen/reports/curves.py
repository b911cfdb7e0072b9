"""Drawing the learning curves, as one figure for the page and for slides and papers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from seqgen.reports.quantities import count, duration, figure
from seqgen.reports.series import Curves, Points

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
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.size": layout.letters,
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


def _draw(curves: Curves, layout: Layout) -> Figure:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(layout.width, layout.height), layout="constrained")
    if curves.rates:
        losses, rates = picture.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        _rates(rates, curves)
    else:
        losses = rates = picture.subplots()
    _losses(losses, curves)
    _steps(rates, curves, layout)
    if curves.seconds:
        _times(losses, curves.seconds, layout)
    if losses.get_legend_handles_labels()[0]:
        picture.legend(
            loc="outside upper left",
            ncols=layout.legend_columns,
            frameon=False,
            fontsize=layout.letters,
        )
    else:
        losses.set_axis_off()
        losses.text(0.5, 0.5, "no losses recorded", transform=losses.transAxes, ha="center")
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
    if curves.best:
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


def time_ticks(seconds: Points, most: int) -> Points:
    """(step, time) for round times within the clock's range, `most` of them or fewer."""
    first, last = seconds[0][1], seconds[-1][1]
    spacing = _spacing((last - first) / most)
    ticks: Points = []
    time = spacing * -(-first // spacing)
    while time <= last:
        ticks.append((_step_at(time, seconds), time))
        time += spacing
    return ticks


def _spacing(least: float) -> float:
    """The first round time that is no less than `least`."""
    minute, hour, day = 60.0, 3600.0, 86400.0
    few = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
    round_times = [n / 1000 for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
    round_times += [n * unit for unit in (1, minute) for n in few]
    round_times += [n * hour for n in (1, 2, 3, 6, 12)]
    round_times += [n * day * 10**power for power in range(12) for n in (1, 2, 5)]
    return next((time for time in round_times if time >= least), least)


def _step_at(time: float, seconds: Points) -> float:
    for (step, start), (next_step, end) in pairwise(seconds):
        if start <= time <= end:
            share = (time - start) / (end - start) if end > start else 0.0
            return step + share * (next_step - step)
    return seconds[-1][0]


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [value for _, value in points]
