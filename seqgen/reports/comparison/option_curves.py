"""What an option does: quality, score and length as it goes up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from seqgen.reports.comparison.document import Comparison
from seqgen.reports.comparison.measures import Measure, Value
from seqgen.reports.comparison.panels import Line, legend, panel
from seqgen.reports.fields import Record, finite, items, records, string
from seqgen.reports.text import as_html

FURTHER: Final = (("log_prob_per_token",), ("length_ratio", "mean_length"), ("finished",))
"""What is shown beside quality and diversity: of each the first that is known."""


@dataclass(frozen=True)
class OptionCurve:
    """An option of a decoder, and for each run the values of it and the labels that have them."""

    option: str
    decoder: str
    runs: tuple[tuple[str, tuple[tuple[float, str], ...]], ...]


def curves_of(comparison: Comparison) -> list[OptionCurve]:
    """The curves of compare.json that have two points or more, those of all runs together."""

    def key(found: Record) -> tuple[str, str]:
        return string(found, "option"), string(found, "name")

    found = sorted(records(items(comparison.content, "curves")), key=key)
    curves = []
    for (option, decoder), group in groupby(found, key=key):
        runs = tuple((string(each, "run"), _points(each)) for each in group)
        long = tuple((run, points) for run, points in runs if len(points) > 1)
        if long:
            curves.append(OptionCurve(option, decoder, long))
    return curves


def _points(curve: Record) -> tuple[tuple[float, str], ...]:
    found = (
        (finite(each, "at"), string(each, "label")) for each in records(items(curve, "points"))
    )
    return tuple(sorted((at, label) for at, label in found if at is not None))


def option_curves(comparison: Comparison) -> str:
    """The section: a row of panels for each option."""
    parts = []
    for curve in curves_of(comparison):
        panels = "".join(_panels(comparison, curve))
        if not panels:
            continue
        title = f"{as_html(curve.option)} <small>of {as_html(curve.decoder)}</small>"
        lines = legend([run for run, _ in curve.runs])
        parts.append(f'<h3>{title}</h3>{lines}<div class="panels">{panels}</div>')
    if not parts:
        return ""
    about = "<p>One option goes up, all else stays the same. Bands are intervals, or the spread "
    return f"{about}over seeds.</p>{''.join(parts)}"


def curve_measures(comparison: Comparison) -> list[Measure]:
    """Which measures are drawn against an option."""
    wishes = [(comparison.quality,), (comparison.diversity,), *FURTHER]
    names = [next((name for name in wish if name in comparison.measures), "") for wish in wishes]
    return [comparison.measures[name] for name in names if name]


def values_along(
    comparison: Comparison, points: tuple[tuple[float, str], ...], measure: Measure
) -> list[tuple[float, Value]]:
    """The values of a measure along a curve, of the points that have one."""
    rows = ((at, comparison.row(label)) for at, label in points)
    found = ((at, row.values.get(measure.name)) for at, row in rows if row)
    return [(at, value) for at, value in found if value]


def _panels(comparison: Comparison, curve: OptionCurve) -> Iterator[str]:
    for measure in curve_measures(comparison):
        lines = [
            Line(run, place, values_along(comparison, points, measure))
            for place, (run, points) in enumerate(curve.runs)
        ]
        values = {value.value for line in lines for _, value in line.points}
        # What an option leaves as it is would be a picture of nothing, but for the quality.
        if any(len(line.points) > 1 for line in lines) and (
            len(values) > 1 or measure.name == comparison.quality
        ):
            known = comparison.references.get(measure.name)
            yield panel(measure, curve.option, lines, known.value if known else None)
