"""The table of a comparison as rows of plain text, for terminals and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from seqgen.reports.comparison.document import Change, Comparison, Row, comparison_of
from seqgen.reports.comparison.measures import Measure, Value, leading, span, written
from seqgen.reports.fields import Record
from seqgen.reports.text import visible

MARKS: Final = {"better": "\u25b2", "worse": "\u25bc", "different": "\u25c6"}
"""What stands behind a value that differs significantly from the baseline's."""


@dataclass(frozen=True)
class PlainTable:
    """Headers and cells as text; the cells of the first column are labels."""

    headers: list[str]
    rows: list[list[str]]


def terminal_rows(content: Record) -> tuple[list[str], list[list[str]]]:
    """The most telling columns of the document compare.json, best quality first.

    The last row is that of the references, where anything is known of them.
    """
    comparison = comparison_of(content)
    columns = leading(comparison.measures, comparison.quality, comparison.diversity)
    table = plain_table(comparison, columns)
    return table.headers, table.rows


def plain_table(comparison: Comparison, columns: Sequence[Measure]) -> PlainTable:
    """These columns of all systems, and of the references if they have any of them."""
    rows = [
        [named(comparison, row), *(_cell(comparison, row, each) for each in columns)]
        for row in comparison.best_first()
    ]
    if any(each.name in comparison.references for each in columns):
        rows.append(["references", *_plain_cells(comparison.references, columns)])
    return PlainTable(["strategy", *map(header, columns)], rows)


def header(measure: Measure) -> str:
    """The title of a column with its unit and which way is better."""
    unit = f", {measure.shown_unit}" if measure.shown_unit else ""
    return visible(f"{measure.title}{unit}{measure.arrow}")


def named(comparison: Comparison, row: Row) -> str:
    """The label, and what is special about it."""
    notes = {"take": row.label == comparison.take, "baseline": row.label == comparison.baseline}
    said = ", ".join(note for note, holds in notes.items() if holds)
    return visible(row.label) + (f" ({said})" if said else "")


def verdict_on(change: Change | None, measure: Measure, alpha: float) -> str:
    """Whether a difference from the baseline is significant, and then "better", "worse", or
    "different" where neither way is better; else empty."""
    if change is None or change.p_holm is None or change.p_holm >= alpha or not change.delta:
        return ""
    if not measure.better:
        return "different"
    return "better" if (change.delta > 0) == (measure.better == "higher") else "worse"


def _cell(comparison: Comparison, row: Row, measure: Measure) -> str:
    value = row.values.get(measure.name)
    if value is None:
        return "\u2013"
    found = verdict_on(row.changes.get(measure.name), measure, comparison.alpha)
    mark = f" {MARKS[found]}" if found else ""
    return written(measure, value.value) + mark + _interval(measure, value)


def _interval(measure: Measure, value: Value) -> str:
    if value.low is not None and value.high is not None:
        return f" ({span(measure, value.low, value.high)})"
    return ""


def _plain_cells(values: Mapping[str, Value], columns: Sequence[Measure]) -> list[str]:
    found = ((each, values.get(each.name)) for each in columns)
    return [written(each, value.value if value else None) for each, value in found]
