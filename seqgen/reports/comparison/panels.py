"""Small plots of lines beside each other, one for each measure, on the same axis to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from seqgen.reports.comparison import axes, drawing
from seqgen.reports.comparison.axes import Axis
from seqgen.reports.comparison.drawing import Frame
from seqgen.reports.comparison.measures import Measure, Value, in_words
from seqgen.reports.comparison.plots import axis
from seqgen.reports.text import as_html

SIZE: Final = (310, 215)
COLOURS: Final = 6
"""How many colours lines have; the next ones begin again, with other marks."""

Points = Sequence[tuple[float, Value]]


@dataclass(frozen=True)
class Line:
    """A line of a panel, by its name and its place among the lines of all panels."""

    name: str
    place: int
    points: Points


def panel(measure: Measure, option: str, lines: Sequence[Line], level: float | None = None) -> str:
    """A plot of a measure against an option; `level` is what the references have of it.

    Where values have an interval it is drawn as a band.
    """
    shown = [line for line in lines if line.points]
    values = [
        each
        for line in shown
        for _, value in line.points
        for each in (value.value, *_bounds(value))
    ]
    if level is not None:
        values.append(level)
    upward = replace(axis(measure, values, 5), title="", falling=False)
    places = [at for line in shown for at, _ in line.points]
    frame = Frame(*SIZE, option_axis(places, option), upward, left=46, top=10)
    inner = "" if level is None else _level(frame, level)
    inner += "".join(_band(frame, line) + _line(frame, line, measure, option) for line in shown)
    title = f"{measure.title}{', ' + measure.shown_unit if measure.shown_unit else ''}"
    said = f"{title} against {option}: " + "; ".join(_in_words(line, measure) for line in shown)
    heading = f"<h4>{as_html(title + measure.arrow)}</h4>"
    return f"<figure>{heading}{drawing.picture(frame, inner, said)}</figure>"


def option_axis(places: Sequence[float], option: str) -> Axis:
    """The axis of an option: its own values are the ticks, on a log scale where they go far."""
    own = tuple(sorted(set(places)))
    far = own[0] > 0 and own[-1] >= 8 * own[0]
    make = axes.logarithmic if far else axes.linear
    name = f"{option}, log scale" if far else option
    made = make(own, name)
    if not far and made.low == 0 < own[0]:
        made = replace(made, low=own[0] - 0.07 * (own[-1] - own[0] or own[0]))
    return replace(made, ticks=own, texts=tuple(map(axes.plainly, own)))


def legend(names: Sequence[str]) -> str:
    """The names of the lines with their colours, where there is more than one."""
    if len(names) < 2:
        return ""
    shown = "".join(
        f'<li><svg viewBox="0 0 26 16" class="plot key" aria-hidden="true">'
        f"{drawing.line((0, 8), (26, 8), f'curve s{i % COLOURS}')}"
        f"{drawing.mark((13, 8), i, f'dot s{i % COLOURS}', name)}</svg> {as_html(name)}</li>"
        for i, name in enumerate(names)
    )
    return f'<ul class="keys">{shown}</ul>'


def _line(frame: Frame, line: Line, measure: Measure, option: str) -> str:
    kind = f"s{line.place % COLOURS}"
    at = [(frame.across(x), frame.up(value.value)) for x, value in line.points]
    marks = "".join(
        drawing.mark(
            pixel,
            line.place,
            f"dot {kind}",
            f"{line.name}, {option} {axes.plainly(x)}: {in_words(measure, value.value)}",
        )
        for pixel, (x, value) in zip(at, line.points, strict=True)
    )
    return drawing.path(at, f"curve {kind}") + marks


def _band(frame: Frame, line: Line) -> str:
    """From the lows to the highs of the intervals, or of the spreads over seeds."""
    bounds = [(x, value, _bounds(value)) for x, value in line.points]
    if not any(value.low is not None or value.spread for _, value, _ in bounds):
        return ""
    lows = [(frame.across(x), frame.up(low)) for x, _, (low, _) in bounds]
    highs = [(frame.across(x), frame.up(high)) for x, _, (_, high) in bounds]
    return drawing.area([*lows, *reversed(highs)], f"band s{line.place % COLOURS}")


def _bounds(value: Value) -> tuple[float, float]:
    if value.low is not None and value.high is not None:
        return value.low, value.high
    return value.spread or (value.value, value.value)


def _level(frame: Frame, level: float) -> str:
    y, right = frame.up(level), frame.width - frame.right
    # Below the line where there is no room above it.
    aside = -5 if y > frame.top + 16 else 14
    drawn = drawing.line((frame.left, y), (right, y), "reference")
    return drawn + drawing.text((right, y + aside), "references", "reference-name", "end")


def _in_words(line: Line, measure: Measure) -> str:
    ends = [line.points[0], *([line.points[-1]] if len(line.points) > 1 else [])]
    said = " to ".join(
        f"{in_words(measure, value.value)} at {axes.plainly(x)}" for x, value in ends
    )
    return f"{line.name} {said}"
