"""Plots of a comparison: trade-offs with their Pareto fronts, and panels of measures against an
option or a number of draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from markupsafe import Markup

from seqgen.comparison.document import Curve, Measure, SystemResult
from seqgen.comparison.results import Result, Results, header, in_words, unit
from seqgen.reports import charts
from seqgen.reports.charts import BLUE, GREEN, MARKERS, MUTED, PAPER, SERIES, Layout, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

HALF: Final = Layout(6.4, 4.7, letters=9.5, ticks=7)
SLIM: Final = Layout(4.1, 4.3, letters=9, ticks=5)
PANEL: Final = Layout(3.3, 2.3, letters=9, ticks=5)

MOST_NAMED: Final = 12
"""How many strategies of a front are numbered and named."""

CHOICES: Final = {"by_score": "by the model's score", "oracle": "by the references"}
"""How the best of n draws is chosen."""

SPEEDS: Final = ("sequences_per_second", "rows_per_input")
ALONG: Final = ("log_prob_per_token", "length_ratio", "mean_length", "finished")
"""What is drawn against an option beside quality and diversity."""

Points = Sequence[tuple[float, Result]]


@dataclass(frozen=True)
class Chart:
    """A chart, what it shows in words, and what its marks say on hover, by their gids."""

    title: str
    about: str
    draw: charts.Draw
    titles: Mapping[str, str]

    def svg(self, layout: Layout) -> Markup:
        """The chart as an element of a page."""
        return charts.svg(self.draw, self.about, layout=layout, titles=self.titles)


@dataclass(frozen=True)
class Panels:
    """Small charts of several measures with the same lines, called `names`."""

    title: str
    names: Sequence[str]
    charts: Sequence[Chart]


class Line(NamedTuple):
    """A line of a panel; `place` among the lines of all panels tells its colour and marker."""

    name: str
    place: int
    points: Points


class Spot(NamedTuple):
    """Systems with the same two values, as they are drawn; `number` is their place on the front,
    from 1, 0 where they are not on it."""

    x: float
    y: float
    systems: list[SystemResult]
    number: int


class TradeOff:
    """Quality upwards against another measure to the right, of the systems that have both."""

    def __init__(self, results: Results, quality: Measure, other: Measure) -> None:
        self.results = results
        self.quality = quality
        self.other = other
        places: dict[tuple[float, float], list[SystemResult]] = {}
        for system in results.document.systems:
            x, y = results.value(system, other), results.value(system, quality)
            if x and y:
                place = _factor(other) * x.value, _factor(quality) * y.value
                places.setdefault(place, []).append(system)
        x_sign, y_sign = (-1 if each.better == "lower" else 1 for each in (other, quality))
        front = pareto_front([(x_sign * x, y_sign * y) for x, y in places])
        front.sort(key=lambda point: y_sign * list(places)[point][1], reverse=True)
        self.spots = [
            Spot(*place, systems, front.index(point) + 1 if point in front else 0)
            for point, (place, systems) in enumerate(places.items())
        ]

    @property
    def systems(self) -> list[SystemResult]:
        """All systems that are drawn."""
        return [system for spot in self.spots for system in spot.systems]

    @property
    def front(self) -> list[Spot]:
        """The spots on the Pareto front, the best quality first."""
        return sorted((each for each in self.spots if each.number), key=lambda each: each.number)

    def chart(self) -> Chart:
        """The chart, in which the front is numbered and the recommended system green."""
        names = {}
        for system in self.systems:
            values = (
                f"{each.title} {in_words(each, found.value)}"
                for each in (self.quality, self.other)
                if (found := self.results.value(system, each))
            )
            names[_gid(system)] = f"{system.label}: {', '.join(values)}"
        title = f"{self.quality.title} and {self.other.title}"
        about = f"{self.quality.title} against {self.other.title} of {len(names)} strategies"
        return Chart(title[:1].upper() + title[1:], about, self._draw, names)

    def _draw(self, layout: Layout) -> Figure:
        figure, axes = _new_figure(layout)
        axes.grid(visible=True)
        front = self.front
        axes.plot([each.x for each in front], [each.y for each in front], color=BLUE, alpha=0.5)
        for spot in sorted(self.spots, key=lambda each: bool(each.number)):
            self._mark(axes, spot)
        axis_of = {axes.xaxis: self.other, axes.yaxis: self.quality}
        for place, (axis, measure) in enumerate(axis_of.items()):
            if measure.id in self.results.references:
                _reference(axis, _factor(measure) * self.results.references[measure.id].value)
            _scale(axis, measure, [each[place] for each in self.spots], layout)
            axis.set_inverted(measure.better == "lower")
            axis.set_label_text(drawable(_axis_title(axis, measure), int(9.4 * layout.width)))
        for spot in self.spots:
            if self.results.take in [each.label for each in spot.systems]:
                self._point_out(axes, spot)
        if layout is charts.FILE:
            for each in front[:MOST_NAMED]:
                names = ", ".join(system.label for system in each.systems)
                axes.plot([], [], " ", label=drawable(f"{each.number}  {names}", 90, 1))
            figure.legend(loc="outside lower left", handlelength=0)
        return figure

    def _mark(self, axes: Axes, spot: Spot) -> None:
        """Draw the systems of a spot, with its number on the front."""
        runs = [each.name for each in self.results.document.runs]
        for system in spot.systems:
            taken = system.label == self.results.take
            color = GREEN if taken else BLUE if spot.number else MUTED
            axes.plot(
                [spot.x],
                [spot.y],
                marker=MARKERS[runs.index(system.run) % len(MARKERS)],
                ms=14 if taken else 11 if spot.number else 7,
                mfc=color if taken or spot.number else PAPER,
                mec=color,
                clip_on=False,
                zorder=4 if taken else 3,
                gid=_gid(system),
            )
        if 0 < spot.number <= MOST_NAMED:
            look: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 5}
            axes.text(spot.x, spot.y, str(spot.number), size=7.5, color=PAPER, **look)

    def _point_out(self, axes: Axes, spot: Spot) -> None:
        """Name the recommended system, on the side where the fewest marks are in the way."""
        to_axes = axes.transScale + axes.transLimits
        x, y = to_axes.transform((spot.x, spot.y))
        others = [to_axes.transform((each.x, each.y)) for each in self.spots if each is not spot]
        aligned = {"left": 1, "center": 0, "right": -1, "bottom": 1, "top": -1}
        sides = [(ha, "center") for ha in ("left", "right")]
        sides += [(ha, va) for va in ("bottom", "top") for ha in ("left", "right", "center")]

        def marks_in_the_way(side: tuple[str, str]) -> int:
            across, up = x + 0.15 * aligned[side[0]], y + 0.06 * aligned[side[1]]
            outside = not (0.14 <= across <= 0.86 and 0 <= up <= 1.02)
            met = sum(abs(a - across) < 0.17 and abs(b - up) < 0.05 for a, b in others)
            return met + len(others) * outside

        ha, va = min(sides, key=marks_in_the_way)
        right, up = 10 * aligned[ha], 9 * aligned[va]
        look: dict[str, Any] = {"ha": ha, "va": va, "color": GREEN, "weight": "bold", "zorder": 6}
        offset = {"xytext": (right, up), "textcoords": "offset points"}
        axes.annotate("recommended", (spot.x, spot.y), **offset, **look)


def trade_offs(results: Results) -> list[TradeOff]:
    """Quality against diversity, and against speed, or work where nothing was timed."""
    quality, found = results.quality, []
    for wishes in ([results.diversity], map(results.measures.get, SPEEDS)):
        trades = [TradeOff(results, quality, each) for each in wishes if each and quality]
        found += [trade for trade in trades if len(trade.systems) > 1][:1]
    return found


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points that no other is as good as at one number and better at the other;
    more is better of both."""
    return [
        place
        for place, (x, y) in enumerate(points)
        if not any(a >= x and b >= y and (a > x or b > y) for a, b in points)
    ]


def option_curves(results: Results) -> list[Panels]:
    """For each option of a decoder that was varied, the measures that it changes."""

    def key(curve: Curve) -> tuple[str, str]:
        return curve.option, curve.name

    found = []
    for (option, decoder), group in groupby(sorted(results.document.curves, key=key), key=key):
        curves, shown = list(group), []
        for measure in curve_measures(results):
            lines = [
                Line(curve.run, place, curve_points(results, curve, measure))
                for place, curve in enumerate(curves)
            ]
            values = {result.value for line in lines for _, result in line.points}
            # An option that leaves a measure as it is would make an empty chart.
            if len(values) > 1 or (values and measure is results.quality):
                shown.append(_panel(measure, option, lines, results.references.get(measure.id)))
        if shown:
            found.append(Panels(f"{option} of {decoder}", [each.run for each in curves], shown))
    return found


def curve_measures(results: Results) -> list[Measure]:
    """The measures that are drawn against an option."""
    wishes = (results.quality, results.diversity, *map(results.measures.get, ALONG))
    found = list({each.id: each for each in wishes if each}.values())
    both = {"length_ratio", "mean_length"} <= {each.id for each in found}
    return [each for each in found if not (both and each.id == "mean_length")]


def curve_points(results: Results, curve: Curve, measure: Measure) -> Points:
    """The values of a measure along a curve, of the systems that have one."""
    found = ((each.at, results.values[each.label].get(measure.id)) for each in curve.points)
    return [(at, result) for at, result in found if result]


def best_of(results: Results) -> Panels | None:
    """The best of n draws, as the model and as the references choose, against n."""
    part, measures = results.document.best_of, best_of_measures(results)
    if not part or not measures:
        return None
    lines = [(run, way) for run in part.by_run for way in CHOICES]
    several = len(part.by_run) > 1
    names = [f"{run.run}, {CHOICES[way]}" if several else CHOICES[way] for run, way in lines]
    shown = []
    for measure in measures:
        drawn = []
        for place, (run, way) in enumerate(lines):
            values = [(each.n, getattr(each, way).get(measure.id)) for each in run.points]
            points = [(n, Result(value)) for n, value in values if value is not None]
            drawn.append(Line(names[place], place, points))
        shown.append(_panel(measure, "n", drawn))
    return Panels("The best of n", names, shown)


def best_of_measures(results: Results) -> list[Measure]:
    """The measures of the best of n draws, the one that systems are ranked by first."""
    part = results.document.best_of
    points = [point for run in part.by_run for point in run.points] if part else []
    values = [pair for each in points for way in CHOICES for pair in getattr(each, way).items()]
    known = {name for name, value in values if value is not None}
    found = [each for each in results.measures.values() if each.id in known]
    return sorted(found, key=lambda each: each is not results.quality)


def as_pdf(results: Results) -> bytes:
    """All charts of a comparison, one a page; equal documents give equal bytes."""
    panels = [*option_curves(results), *filter(None, [best_of(results)])]
    drawn = [each.chart() for each in trade_offs(results)]
    drawn += [chart for each in panels for chart in each.charts]
    stream = BytesIO()
    with charts.style(charts.FILE):
        from matplotlib.backends.backend_pdf import PdfPages

        fixed = {"Creator": "seqgen", "Producer": None, "CreationDate": None}
        with PdfPages(stream, metadata=fixed) as pages:
            for each in drawn:
                pages.savefig(each.draw(charts.FILE))
    return stream.getvalue()


def _panel(
    measure: Measure, option: str, lines: Sequence[Line], reference: Result | None = None
) -> Chart:
    """A measure against an option. Intervals, or spreads over seeds, are bands."""
    shown = [line for line in lines if line.points]
    names, changes = {}, []
    for line in shown:
        for place, (at, found) in enumerate(line.points):
            value = in_words(measure, found.value)
            names[f"point{line.place}-{place}"] = f"{line.name}, {option} {at:g}: {value}"
        ends = dict.fromkeys((line.points[0], line.points[-1]))
        said = [f"{in_words(measure, found.value)} at {at:g}" for at, found in ends]
        changes.append(f"{line.name} {' to '.join(said)}")

    def draw(layout: Layout) -> Figure:
        figure, axes = _new_figure(layout)
        axes.grid(visible=True, axis="y")
        for line in shown:
            _draw_line(axes, line, _factor(measure))
        if reference:
            ends = [abs(shown[0].points[end][1].value - reference.value) for end in (0, -1)]
            _reference(axes.yaxis, _factor(measure) * reference.value, int(ends[1] > ends[0]))
        values = [end for line in shown for _, each in line.points for end in each.range]
        _scale(axes.yaxis, measure, [_factor(measure) * each for each in values], layout)
        _option_axis(axes, [at for line in shown for at, _ in line.points], option)
        if layout is charts.FILE:
            axes.set_ylabel(drawable(_axis_title(axes.yaxis, measure), 44))
            if len(lines) > 1:
                figure.legend(loc="outside upper left", ncols=2)
        return figure

    title = header(measure)
    return Chart(title, f"{title} against {option}: {'; '.join(changes)}", draw, names)


def _new_figure(layout: Layout) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(layout.width, layout.height), layout="constrained")
    axes = figure.subplots()
    axes.margins(0.08)
    return figure, axes


def _draw_line(axes: Axes, line: Line, factor: float) -> None:
    places, found = zip(*line.points, strict=True)
    color = SERIES[line.place % len(SERIES)]
    marker = MARKERS[line.place % len(MARKERS)]
    look: dict[str, Any] = {"color": color, "marker": marker, "ms": 5, "clip_on": False}
    values = [factor * each.value for each in found]
    axes.plot(places, values, label=drawable(line.name, 40, 1), **look)
    for place, point in enumerate(zip(places, values, strict=True)):  # what a pointer finds
        axes.plot(*([each] for each in point), gid=f"point{line.place}-{place}", **look)
    if any(each.interval or each.spread for each in found):
        lows, highs = ([factor * each.range[end] for each in found] for end in (0, 1))
        axes.fill_between(places, lows, highs, color=color, alpha=0.15, lw=0)


def _reference(axis: Axis, value: float, end: int = 1) -> None:
    """A dashed line at the value of the references, with their name at its `end`, 0 or 1."""
    axes = axis.axes
    look: dict[str, Any] = {"color": MUTED, "size": "small", "textcoords": "offset points"}
    if axis is axes.xaxis:
        axes.axvline(value, color=MUTED, ls="--", lw=1)
        look |= {"xycoords": axes.get_xaxis_transform(), "xytext": (-4, 4), "rotation": 90}
        axes.annotate("references", (value, 0), ha="right", **look)
    else:
        axes.axhline(value, color=MUTED, ls="--", lw=1)
        look |= {"xycoords": axes.get_yaxis_transform(), "xytext": (0 if end else 4, 3)}
        axes.annotate("references", (end, value), ha="right" if end else "left", **look)


def _scale(axis: Axis, measure: Measure, values: Sequence[float], layout: Layout) -> None:
    """Round ticks, where values can be; speed and work on a log scale."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    axes, name = axis.axes, axis.axis_name
    log = measure.group in {"speed", "work"} and min(values) > 0
    axes.set(**{f"{name}scale": "log" if log else "linear"})
    low, high = axis.get_view_interval()
    if 0 <= min(values) < 0.15 * max(values) and not log:
        low = 0
    if measure.unit == "share":
        low, high = max(low, 0), min(high, 100) if max(values) <= 100 else high
    axes.set(**{f"{name}lim": (low, high)})
    if log and max(values) > 8 * min(values):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=layout.ticks))
    else:
        axis.set_major_locator(MaxNLocator(layout.ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_minor_locator(NullLocator())
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    axis.set_major_formatter(formatter)


def _option_axis(axes: Axes, places: Sequence[float], option: str) -> None:
    """The axis of an option: its own values are the ticks, on a log scale where they go far."""
    own = sorted(set(places))
    far = own[0] > 0 and own[-1] >= 8 * own[0]
    axes.set_xscale("log" if far else "linear")
    to_axes = axes.transScale + axes.transLimits
    ticks: list[float] = []
    for each in own:
        here, before = (to_axes.transform((at, 1))[0] for at in (each, (ticks or own)[-1]))
        if not ticks or here - before > 0.09:  # else its number runs into the one before
            ticks.append(each)
    axes.set_xticks(ticks, [f"{each:g}" for each in ticks])
    axes.minorticks_off()
    axes.set_xlabel(drawable(f"{option}, log scale" if far else option, 44))


def _axis_title(axis: Axis, measure: Measure) -> str:
    """The title of a measure with its unit, which way is better, and what its scale is."""
    title = f"{measure.title}, {unit(measure)}" if unit(measure) else measure.title
    if measure.better:
        better = "more diverse" if measure.group == "diversity" else "better"
        title += f" ({measure.better} is {better})"
    return f"{title}, log scale" if axis.get_scale() == "log" else title


def _factor(measure: Measure) -> float:
    """What a value is multiplied by to be in the unit that is shown."""
    return {"share": 100.0, "bytes": 1e-6}.get(measure.unit or "", 1.0)


def _gid(system: SystemResult) -> str:
    return f"system {system.label}"
