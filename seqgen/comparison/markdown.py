"""The comparison as Markdown that fits in a README: verdict, table, search errors, curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from seqgen.comparison.document import Measure
from seqgen.comparison.page import heading, searches, sentences
from seqgen.comparison.plots import CHOICES, best_of_measures, curve_measures
from seqgen.comparison.results import MARKS, PlainTable, Results, header, known, written
from seqgen.reports import decoder_label, render

SHOWN: Final = ("repeated_4", "looping", "rows_per_input", "sequences_per_second")
"""What stands in the table beside the leading measures and those of quality."""


def markdown(results: Results) -> str:
    """The whole file."""
    document = results.document
    return render(
        "compare.md",
        best_of=list(_best_of(results)),
        best_of_decoder=decoder_label(document.best_of.decoder) if document.best_of else "",
        curves=list(_curves(results)),
        document=document,
        heading=heading(document),
        marks=MARKS,
        method=sentences(results, "method"),
        results=results,
        search=searches(results),
        summary=sentences(results, "summary")[0],
        systems=results.plain_table(table_columns(results)),
    )


def table_columns(results: Results) -> list[Measure]:
    """The measures of the table: what fits a README and tells strategies apart."""
    chosen = {each.id for each in results.leading()} | set(SHOWN)
    found = [
        each
        for each in results.measures.values()
        if (each.id in chosen or each.group == "quality") and results.distinguishes(each)
    ]
    return sorted(found, key=lambda each: (each is not results.quality, each.group != "quality"))


def _curves(results: Results) -> Iterator[tuple[str, PlainTable]]:
    """The values along each curve, as far as they are known."""
    columns = curve_measures(results)
    for curve in sorted(results.document.curves, key=lambda each: (each.option, each.name)):
        of = f", {curve.run}" if len(results.document.runs) > 1 else ""
        rows = []
        for point in curve.points:
            values = results.values[point.label]
            rows.append([f"{point.at:g}", *(known(values, each) for each in columns)])
        headers = [curve.option, *map(header, columns)]
        yield f"{curve.option} of {curve.name}{of}", PlainTable(headers, rows)


def _best_of(results: Results) -> Iterator[tuple[str, PlainTable]]:
    columns = [(measure, way) for measure in best_of_measures(results) for way in CHOICES]
    headers = ["n", *(f"{header(measure)} {CHOICES[way]}" for measure, way in columns)]
    runs = results.document.best_of.by_run if results.document.best_of and columns else ()
    for run in runs:
        rows = []
        for point in run.points:
            values = ((measure, getattr(point, way)) for measure, way in columns)
            rows.append([str(point.n), *(written(each, own.get(each.id)) for each, own in values)])
        yield run.run, PlainTable(headers, rows)
