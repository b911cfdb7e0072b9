"""Plots of a comparison: trade-offs with their Pareto fronts, and panels of measures against an
option or a number of draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from markupsafe import Markup

from seqgen.comparison.document import Curve, Measure, SystemResult
from seqgen.comparison.measures import DRAWN
from seqgen.comparison.results import Result, Results
from seqgen.reports import charts, visible
from seqgen.reports.charts import BLUE, GREEN, MARKERS, MUTED, PAPER, SERIES, Layout, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HALF: Final = Layout(6.4, 4.7, letters=9.5, ticks=7)
SLIM: Final = Layout(4.1, 4.3, letters=9, ticks=5)
PANEL: Final = Layout(3.3, 2.3, letters=9, ticks=5)

MOST_NAMED: Final = 12
"""How many strategies of a front are numbered and named."""

MOST_DRAWN: Final = 6
"""How many strategies have a line in what is drawn from."""

SPEEDS: Final = ("sequences_per_second", "rows_per_input")
ALONG: Final = ("log_prob_per_token", "length_ratio", "mean_length", "finished")
"""What is drawn against an option beside quality and diversity."""

CHOICES: Final = {"by_score": "by the model's score", "oracle": "by the references"}
"""How the best of n draws is chosen."""

Points = Sequence[tuple[float, Result]]


class Chart(NamedTuple):
    """A chart, what it shows in words, and what its marks say on hover, by their gids."""

    title: str
    about: str
    draw: charts.Draw
    titles: Mapping[str, str]

    def svg(self, layout: Layout) -> Markup:
        titles = {gid: visible(title) for gid, title in self.titles.items()}
        return charts.svg(self.draw, visible(self.about), layout=layout, titles=titles)


class Panels(NamedTuple):
    """Small charts of several measures with the same lines, called `names`."""

    title: str
    names: Sequence[str]
    charts: Sequence[Chart]


class Line(NamedTuple):
    """A line of a panel; its place among the lines of all panels tells its colour and marker."""

    name: str
    points: Points


class Spot(NamedTuple):
    """Systems with the same two values, as they are drawn; `number` is their place on the front,
    from 1, or 0."""

    x: float
    y: float
    systems: list[SystemResult]
    number: int


class TradeOff:
    """Quality against another measure, of the systems that have both values."""

    def __init__(self, results: Results, quality: Measure, other: Measure) -> None:
        self.results, self.quality, self.other = results, quality, other
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
        self.systems = [system for spot in self.spots for system in spot.systems]
        self.front = sorted((each for each in self.spots if each.number), key=lambda each: each[3])

    def chart(self) -> Chart:
        """The chart, in which the front is numbered and the recommended system green."""
        names: dict[str, str] = {}
        for system in self.systems:
            own = self.results.values[system.label]
            both = (self.quality, self.other)
            said = ", ".join(f"{each.title} {each.in_words(own[each.id].value)}" for each in both)
            names[f"system{len(names)}"] = f"{system.label}: {said}"
        title = f"{self.quality.title} and {self.other.title}"
        about = f"{self.quality.title} against {self.other.title} of {len(names)} strategies"
        return Chart(title[:1].upper() + title[1:], about, self._draw, names)

    def _draw(self, layout: Layout) -> Figure:
        figure, axes = _blank(layout, grid="both")
        front = self.front
        axes.plot([each.x for each in front], [each.y for each in front], color=BLUE, alpha=0.5)
        for spot in sorted(self.spots, key=lambda each: bool(each.number)):
            self._mark(axes, spot)
        for name, measure in (("x", self.other), ("y", self.quality)):
            _reference(axes, name, measure, self.results)
            _scale(axes, name, measure, [getattr(each, name) for each in self.spots], layout)
            getattr(axes, f"{name}axis").set_inverted(measure.better == "lower")
        if layout is charts.FILE:
            for each in front[:MOST_NAMED]:
                label = f"{each.number}  {', '.join(system.label for system in each.systems)}"
                axes.plot([], [], " ", label=drawable(label, 90, 1))
            figure.legend(loc="outside lower left", handlelength=0)
        return figure

    def _mark(self, axes: Axes, spot: Spot) -> None:
        """Draw the systems of a spot, with its number on the front."""
        runs = [each.name for each in self.results.document.runs]
        centre: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 5}
        for system in spot.systems:
            taken = system.label == self.results.take
            color = GREEN if taken else BLUE if spot.number else MUTED
            marker = MARKERS[runs.index(system.run) % len(MARKERS)]
            [mark] = axes.plot([spot.x], [spot.y], marker, color=color, clip_on=False)
            mark.set_gid(f"system{self.systems.index(system)}")
            mark.set(ms=14 if taken else 11 if spot.number else 7, zorder=4 if taken else 3)
            mark.set_markerfacecolor(color if taken or spot.number else PAPER)
            if taken:
                look = {**centre, "color": GREEN, "weight": "bold", "xytext": (0, 13)}
                axes.annotate("recommended", spot[:2], textcoords="offset points", **look)
        if 0 < spot.number <= MOST_NAMED:
            axes.text(spot.x, spot.y, str(spot.number), size=7.5, color=PAPER, **centre)


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
    found, key = [], attrgetter("option", "name")
    for (option, decoder), group in groupby(sorted(results.document.curves, key=key), key=key):
        curves, shown = list(group), []
        for measure in curve_measures(results):
            lines = [Line(each.run, curve_points(results, each, measure)) for each in curves]
            values = {result.value for line in lines for _, result in line.points}
            # An option that leaves a measure as it is would make an empty chart.
            if len(values) > 1 or (values and measure is results.quality):
                shown.append(_panel(measure, option, lines, results))
        if shown:
            found.append(Panels(f"{option} of {decoder}", [each.run for each in curves], shown))
    return found


def curve_measures(results: Results) -> list[Measure]:
    """The measures that are drawn against an option."""
    wishes = (results.quality, results.diversity, *map(results.measures.get, ALONG))
    found = {each.id: each for each in wishes if each}
    if "length_ratio" in found:
        found.pop("mean_length", None)
    return list(found.values())


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
        for name, (run, way) in zip(names, lines, strict=True):
            values = [(each.n, getattr(each, way).get(measure.id)) for each in run.points]
            points = [(n, Result(value)) for n, value in values if value is not None]
            drawn.append(Line(name, points))
        if any(line.points for line in drawn):
            shown.append(_panel(measure, "n", drawn))
    return Panels("The best of n", names, shown)


def best_of_measures(results: Results) -> list[Measure]:
    """The measures of the best of n draws, the one that systems are ranked by first."""
    part = results.document.best_of
    points = [point for run in part.by_run for point in run.points] if part else []
    known = {name for each in points for name in each.oracle}
    found = [each for each in results.measures.values() if each.id in known]
    return sorted(found, key=lambda each: each is not results.quality)


def drawn_from(results: Results) -> Panels | None:
    """What the highest-ranked strategies draw from, against the position in the output."""
    by_label = {each.label: each.points for each in results.document.drawn}
    labels = [each.label for each in results.systems if each.label in by_label][:MOST_DRAWN]
    shown = []
    for measure in (each for each in results.measures.values() if each.id in DRAWN):
        lines = [
            Line(label, [(each.position, Result(getattr(each, measure.id))) for each in points])
            for label in labels
            if len(points := by_label[label]) > 1
        ]
        if lines:
            shown.append(_panel(measure, "position", lines, logarithmic=False))
    return Panels("What is drawn from", labels, shown) if shown else None


def every_chart(results: Results) -> dict[str, Chart]:
    """All charts of a comparison, by titles that tell them apart."""
    panels = [*option_curves(results), *filter(None, [drawn_from(results), best_of(results)])]
    drawn = [each.chart() for each in trade_offs(results)]
    named = {f"{each.title}: {chart.title}": chart for each in panels for chart in each.charts}
    return {each.title: each for each in drawn} | named


def as_pdf(results: Results) -> bytes:
    """All charts of a comparison, one a page; equal documents give equal bytes."""
    stream = BytesIO()
    with charts.style(charts.FILE):
        from matplotlib.backends.backend_pdf import PdfPages

        fixed = {"Creator": "seqgen", "Producer": None, "CreationDate": None}
        with PdfPages(stream, metadata=fixed) as pages:
            for each in every_chart(results).values():
                pages.savefig(each.draw(charts.FILE))
    return stream.getvalue()


def _panel(
    measure: Measure,
    option: str,
    lines: Sequence[Line],
    references: Results | None = None,
    *,
    logarithmic: bool = True,
) -> Chart:
    """A measure against an option, on a log scale where that goes far. Intervals, or spreads over
    seeds, are bands."""
    shown = [(place, line) for place, line in enumerate(lines) if line.points]
    names, changes = {}, []
    for place, line in shown:
        said = [f"{measure.in_words(found.value)} at {at:g}" for at, found in line.points]
        changes.append(f"{line.name} {' to '.join(dict.fromkeys((said[0], said[-1])))}")
        for point, each in enumerate(said):
            names[f"point{place}-{point}"] = f"{line.name}, {option}: {each}"

    def draw(layout: Layout) -> Figure:
        figure, axes = _blank(layout, grid="y")
        for place, line in shown:
            _draw_line(axes, line, place, _factor(measure))
        if references:
            _reference(axes, "y", measure, references)
        points = [point for _, line in shown for point in line.points]
        values = [end for _, each in points for end in each.range]
        _scale(axes, "y", measure, [_factor(measure) * each for each in values], layout)
        own = sorted({at for at, _ in points})
        far = logarithmic and own[0] > 0 and own[-1] >= 8 * own[0]
        axes.set_xscale("log" if far else "linear")
        ticks = own[:: -(-len(own) // 7)]  # more would run into each other
        axes.set_xticks(ticks, [f"{each:g}" for each in ticks])
        axes.minorticks_off()
        axes.set_xlabel(drawable(f"{option}, log scale" if far else option, 44))
        if layout is not charts.FILE:
            axes.set_ylabel("")  # it is above the panel
        elif len(lines) > 1:
            figure.legend(loc="outside upper left", ncols=2)
        return figure

    title = measure.header
    return Chart(title, f"{title} against {option}: {'; '.join(changes)}", draw, names)


def _blank(layout: Layout, grid: Any) -> tuple[Figure, Axes]:
    figure = charts.blank(layout)
    axes = figure.subplots()
    axes.margins(0.08)
    axes.grid(visible=True, axis=grid)
    return figure, axes


def _draw_line(axes: Axes, line: Line, place: int, factor: float) -> None:
    option, found = zip(*line.points, strict=True)
    color, marker = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
    look: dict[str, Any] = {"color": color, "marker": marker, "ms": 5, "clip_on": False}
    values = [factor * each.value for each in found]
    axes.plot(option, values, label=drawable(line.name, 40, 1), **look)
    for point, (x, y) in enumerate(zip(option, values, strict=True)):  # what a pointer finds
        axes.plot([x], [y], gid=f"point{place}-{point}", **look)
    if any(each.interval or each.spread for each in found):
        lows, highs = ([factor * each.range[end] for each in found] for end in (0, 1))
        axes.fill_between(option, lows, highs, color=color, alpha=0.15, lw=0)


def _reference(axes: Axes, name: str, measure: Measure, results: Results) -> None:
    """A dashed line at the value of the references, where it is known."""
    if measure.id not in results.references:
        return
    value = _factor(measure) * results.references[measure.id].value
    look: dict[str, Any] = {"color": MUTED, "size": "small", "ha": "right", "va": "bottom"}
    dashed: dict[str, Any] = {"color": MUTED, "ls": "--", "lw": 1, "zorder": 1}
    if name == "x":
        axes.axvline(value, **dashed)
        look |= {"transform": axes.get_xaxis_transform(), "rotation": 90}
        axes.text(value, 0.02, "references", **look)
    else:
        axes.axhline(value, **dashed)
        axes.text(1, value, "references", transform=axes.get_yaxis_transform(), **look)


def _scale(
    axes: Axes, name: str, measure: Measure, values: Sequence[float], layout: Layout
) -> None:
    """The title and round ticks of the axis `name`; speed and work are on a log scale."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    axis = getattr(axes, f"{name}axis")
    log = measure.group in {"speed", "work"} and min(values) > 0
    axes.set(**{f"{name}scale": "log" if log else "linear"})
    low, high = axis.get_view_interval()
    if 0 <= min(values) < 0.15 * max(values) and not log:
        low = 0
    if measure.unit == "share":  # no ticks where no value can be
        low, high = max(low, 0), min(high, 100) if max(values) <= 100 else high
    axes.set(**{f"{name}lim": (low, high)})
    if log and max(values) > 8 * min(values):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=layout.ticks))
    else:
        axis.set_major_locator(MaxNLocator(layout.ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(ScalarFormatter(useOffset=False))
    axis.get_major_formatter().set_scientific(False)
    title = measure.titled
    if measure.better:
        better = "more diverse" if measure.group == "diversity" else "better"
        title += f" ({measure.better} is {better})"
    axis.set_label_text(drawable(f"{title}, log scale" if log else title, int(9.4 * layout.width)))


def _factor(measure: Measure) -> float:
    """What a value is multiplied by to be in the unit that is shown."""
    return {"share": 100.0, "bytes": 1e-6}.get(measure.unit, 1.0)
