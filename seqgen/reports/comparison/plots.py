"""The trade-offs: quality against diversity and against speed, with the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from seqgen.reports.comparison import axes, drawing, labels
from seqgen.reports.comparison.axes import Axis
from seqgen.reports.comparison.document import Comparison, Row
from seqgen.reports.comparison.drawing import Frame
from seqgen.reports.comparison.front import front
from seqgen.reports.comparison.measures import Measure, in_words
from seqgen.reports.text import as_html

SIZES: Final = (("broad", 590, 430), ("slim", 360, 380))
"""The pictures are drawn twice: for wide pages and for narrow ones."""

MOST_NAMED: Final = 12
"""How many strategies of a front are named below a plot."""

SCALES: Final = {"share": axes.SHARE, "bytes": 1e-6}
"""What values of a unit are multiplied by to be written at ticks."""


@dataclass(frozen=True)
class _Trade:
    """Quality upwards against a measure to the right, of the rows that have both."""

    comparison: Comparison
    quality: Measure
    other: Measure
    rows: tuple[Row, ...]

    def at(self, row: Row) -> tuple[float, float]:
        """The other measure's value and the quality of a row."""
        return row.values[self.other.name].value, row.values[self.quality.name].value

    def front(self) -> list[Row]:
        """The rows on the Pareto front, the best quality last."""
        signs = [-1 if each.better == "lower" else 1 for each in (self.other, self.quality)]
        points = [(signs[0] * x, signs[1] * y) for x, y in map(self.at, self.rows)]
        return [self.rows[i] for i in sorted(front(points), key=lambda i: points[i][::-1])]


def plots(comparison: Comparison) -> str:
    """The section: up to two plots side by side, with what is on their fronts in words."""
    pairs = _pairs(comparison)
    figures = [_figure(trade) for trade in pairs if len(trade.rows) > 1]
    if not figures:
        return ""
    return (
        "<p>Up is better; to the right is more diverse, or costs less. Filled marks are on the "
        "Pareto front: nothing else is as good at one thing and better at the other. What is to be "
        "taken is green. The names of the other marks show when a pointer rests on them.</p>"
        f'{_shapes(comparison)}<div class="plots">'
        f"{''.join(figures)}</div>"
    )


def _pairs(comparison: Comparison) -> list[_Trade]:
    quality = comparison.measures.get(comparison.quality)
    if quality is None:
        return []
    speeds = ("sequences_per_second", "rows_per_input")
    known = [name for name in speeds if len(_rows_with(comparison, quality.name, name)) > 1]
    return [
        _Trade(comparison, quality, comparison.measures[name], rows)
        for name in (comparison.diversity, *known[:1])
        if (rows := _rows_with(comparison, quality.name, name))
    ]


def _rows_with(comparison: Comparison, quality: str, other: str) -> tuple[Row, ...]:
    """The rows that have both values."""
    return tuple(row for row in comparison.rows if {quality, other} <= row.values.keys())


def _figure(trade: _Trade) -> str:
    title = f"{trade.quality.title} and {trade.other.title}"
    found = trade.front()
    names = ", ".join(as_html(row.label) for row in found[::-1][:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    pictures = "".join(
        f'<div class="{name}">{_picture(trade, found, (width, height))}</div>'
        for name, width, height in SIZES
    )
    return (
        f"<figure><h3>{as_html(title[:1].upper() + title[1:])}</h3>{pictures}"
        f"<figcaption>On the front, the best quality first: {names}{more}.</figcaption></figure>"
    )


def _picture(trade: _Trade, found: Sequence[Row], size: tuple[int, int]) -> str:
    comparison = trade.comparison
    known = {
        each.name: comparison.references[each.name].value
        for each in (trade.quality, trade.other)
        if each.name in comparison.references
    }
    xs, ys = ([pair[i] for pair in map(trade.at, trade.rows)] for i in (0, 1))
    x_all = [*xs, *([known[trade.other.name]] if trade.other.name in known else [])]
    y_all = [*ys, *([known[trade.quality.name]] if trade.quality.name in known else [])]
    frame = Frame(*size, axis(trade.other, x_all, size[0] // 75), axis(trade.quality, y_all, 6))
    places = {row.label: (frame.across(x), frame.up(y)) for row, x, y in _triples(trade, xs, ys)}
    on_front = {row.label for row in found}
    through = [places[row.label] for row in found]
    first = sorted(found, key=lambda row: row.label != comparison.take)
    take = comparison.row(comparison.take)
    if take is not None and take.label in places and take.label not in on_front:
        first = [take, *first]
    boxes = [labels.around(at) for at in places.values()]
    inner = (
        _reference_lines(frame, trade, known)
        + drawing.path(through, "front-line")
        + "".join(_mark(trade, row, places[row.label], row.label in on_front) for row in trade.rows)
        + labels.placed(frame, [(row.label, places[row.label]) for row in first], boxes)
    )
    said = f"{trade.quality.title} against {trade.other.title} of {len(trade.rows)} strategies"
    return drawing.picture(frame, inner, said)


def _triples(
    trade: _Trade, xs: Sequence[float], ys: Sequence[float]
) -> Sequence[tuple[Row, float, float]]:
    return list(zip(trade.rows, xs, ys, strict=True))


def axis(measure: Measure, values: Sequence[float], most: int) -> Axis:
    """The axis of a measure, its better end up, or right; speed and work on a log scale."""
    title = f"{measure.title}{', ' + measure.shown_unit if measure.shown_unit else ''}"
    falling = measure.better == "lower"
    if measure.better:
        is_what = "more diverse" if measure.group == "diversity" else "better"
        title += f" ({measure.better} is {is_what})"
    make: Callable[..., Axis] = axes.linear
    if measure.group in {"speed", "work"} and min(values) > 0:
        make, title = axes.logarithmic, f"{title}, log scale"
    return make(values, title, SCALES.get(measure.unit, 1.0), falling, most)


def _mark(trade: _Trade, row: Row, at: tuple[float, float], on_front: bool) -> str:
    x, y = trade.at(row)
    kinds = ["point", *(["front"] if on_front else [])]
    kinds += ["take"] if row.label == trade.comparison.take else []
    title = (
        f"{row.label}: {trade.quality.title} {in_words(trade.quality, y)}, "
        f"{trade.other.title} {in_words(trade.other, x)}"
    )
    runs = trade.comparison.runs
    shape = runs.index(row.run) if row.run in runs else 0
    return drawing.mark(at, shape, " ".join(kinds), title)


def _reference_lines(frame: Frame, trade: _Trade, known: dict[str, float]) -> str:
    """A line where one of the two is known of the references, or two that cross."""
    base, right = frame.height - frame.bottom, frame.width - frame.right
    found = ""
    if trade.other.name in known:
        x = frame.across(known[trade.other.name])
        anchor = "end" if x > (frame.left + right) / 2 else "start"
        found += drawing.line((x, frame.top), (x, base), "reference")
        aside = -5 if anchor == "end" else 5
        found += drawing.text((x + aside, base - 6), "references", "reference-name", anchor)
    if trade.quality.name in known:
        y = frame.up(known[trade.quality.name])
        found += drawing.line((frame.left, y), (right, y), "reference")
        found += drawing.text((right, y - 5), "references", "reference-name", "end")
    return found


def _shapes(comparison: Comparison) -> str:
    """Which shape is which run, where there are several."""
    runs = comparison.runs
    if len(runs) < 2:
        return ""
    shown = "".join(
        f'<li><svg viewBox="0 0 16 16" class="plot key" aria-hidden="true">'
        f"{drawing.mark((8, 8), i, 'point front', run)}</svg> {as_html(run)}</li>"
        for i, run in enumerate(runs)
    )
    return f'<ul class="keys">{shown}</ul>'
