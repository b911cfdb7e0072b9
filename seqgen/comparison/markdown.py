"""The comparison as Markdown that fits in a README: verdict, table, search errors, curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from seqgen.comparison.document import Measure
from seqgen.comparison.page import heading, search_table, sentences
from seqgen.comparison.plots import CHOICES, best_of_measures, curve_measures
from seqgen.comparison.results import MARKS, PlainTable, Results, header, known, written
from seqgen.reports import decoder_label, render

SHOWN: Final = ("repeated_4", "looping", "rows_per_input", "sequences_per_second")
"""What stands in the table beside the leading measures and those of quality."""


def markdown(results: Results) -> str:
    """The whole file."""
    document = results.document
    search = document.search.by_run if document.search else ()
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
        search=[
            (each, sentences(results, "search", each), search_table(results, each))
            for each in search
        ],
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
        rows = [
            [f"{point.at:g}", *(known(results.values[point.label], each) for each in columns)]
            for point in curve.points
        ]
        of = f", {curve.run}" if len(results.document.runs) > 1 else ""
        title = f"{curve.option} of {curve.name}{of}"
        yield title, PlainTable([curve.option, *map(header, columns)], rows)


def _best_of(results: Results) -> Iterator[tuple[str, PlainTable]]:
    for run in results.document.best_of.by_run if results.document.best_of else ():
        columns = [(measure, way) for measure in best_of_measures(results) for way in CHOICES]
        headers = [f"{header(measure)} {CHOICES[way]}" for measure, way in columns]
        rows = [
            [
                str(each.n),
                *(written(measure, getattr(each, way).get(measure.id)) for measure, way in columns),
            ]
            for each in run.points
        ]
        if columns:
            yield run.run, PlainTable(["n", *headers], rows)
