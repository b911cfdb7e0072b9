"""The learning curves of a run: their points chosen, smoothed and thinned, and drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqgen.reports import format
from seqgen.reports.charts import BLUE, GREY, ORANGE, Draw, Layout, blank, drawable
from seqgen.reports.run_files import Number, RunFiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points: TypeAlias = NDArray[np.float64]
"""Rows of (step, value); losses are in nats per token."""

BUCKETS: Final = 400
"""More points would be finer than the pixels of a chart."""
DRAWABLE: Final = 1e12
"""Beyond this a loss says only that training diverged, and no axis can show it."""


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
