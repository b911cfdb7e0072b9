"""The comparison as Markdown that fits in a README: verdict, table, search errors, curves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from seqgen.reports.comparison import method, verdict
from seqgen.reports.comparison.best_of import (
    WAYS,
    best_of_measures,
    best_of_points,
    spec_of,
)
from seqgen.reports.comparison.document import Comparison, by_run
from seqgen.reports.comparison.measures import Measure, leading, written
from seqgen.reports.comparison.option_curves import curve_measures, curves_of, values_along
from seqgen.reports.comparison.rows import MARKS, header, plain_table
from seqgen.reports.comparison.search import (
    in_sentences,
    search_columns,
    search_headers,
    search_row,
)
from seqgen.reports.fields import Record, items, record, records, string
from seqgen.reports.text import visible

TOLD = ("repeated_4", "looping", "rows_per_input", "sequences_per_second")
"""What stands in the table beside the leading measures and those of quality."""

_ACTING = re.compile(r"([\\`*\[\]<>|#~&]|(?<![^\W_])_|_(?![^\W_]))")


def markdown(comparison: Comparison) -> str:
    """The whole file."""
    parts = [
        f"# {escaped(verdict.heading(comparison))}",
        escaped(verdict.summary(comparison)),
        _verdict(comparison),
        _table(comparison),
        *_search(comparison),
        *_curves(comparison),
        *_best_of(comparison),
        "## Method",
        "\n".join(f"- {escaped(each)}" for each in method.in_sentences(comparison)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """The text as Markdown in which nothing acts, on one line."""
    plain = visible(text).replace("\r", " ").replace("\n", " ").replace("\t", " ")
    return _ACTING.sub(r"\\\1", plain)


def _verdict(comparison: Comparison) -> str:
    said = [f"**{escaped(verdict.take(comparison))}.**", ""]
    said += [f"- {escaped(each)}" for each in verdict.reasons(comparison)]
    return "\n".join(said).strip()


def _rows(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is labels, and whose others are numbers."""
    lines = [
        f"| {' | '.join(map(escaped, headers))} |",
        f"| --- |{' ---: |' * (len(headers) - 1)}",
        *(f"| {' | '.join(map(escaped, row))} |" for row in rows),
    ]
    return "\n".join(lines)


def _table(comparison: Comparison) -> str:
    if not comparison.rows:
        return ""
    found = plain_table(comparison, table_columns(comparison))
    note = "\u2193 lower is better, \u2191 higher is better; intervals in brackets."
    if any(row.changes for row in comparison.rows):
        note += (
            f" {MARKS['better']} significantly better than {escaped(comparison.baseline)}, "
            f"{MARKS['worse']} worse (paired test, p < {comparison.alpha:.3g} after Holm)."
        )
    return f"{_rows(found.headers, found.rows)}\n\n{note}"


def table_columns(comparison: Comparison) -> list[Measure]:
    """The measures of the table: what fits a README and tells strategies apart."""
    known = comparison.measures
    first = leading(known, comparison.quality, comparison.diversity)
    more = [each for each in known.values() if each.group == "quality" or each.name in TOLD]
    others = [each for each in (*first, *more) if each.name != comparison.quality]
    telling = [each for each in others if verdict.tells(comparison, each)]
    order = {name: place for place, name in enumerate(known)}
    telling.sort(key=lambda each: (each.group != "quality", order[each.name]))
    quality = known.get(comparison.quality)
    return list(dict.fromkeys([*([quality] if quality else []), *telling]))


def _search(comparison: Comparison) -> Iterator[str]:
    runs = by_run(record(comparison.content, "search"))
    if runs:
        yield "## Search errors and model errors"
    for run in runs:
        if len(runs) > 1:
            yield f"### {escaped(string(run, 'run'))}"
        yield "\n".join(f"- {escaped(each)}" for each in in_sentences(comparison, run))
        systems = records(items(run, "systems"))
        if systems:
            columns = search_columns(comparison, run)
            headers = ["strategy", *search_headers(columns)]
            rows = [[string(each, "label"), *search_row(each, columns)] for each in systems]
            yield _rows(headers, rows)


def _curves(comparison: Comparison) -> Iterator[str]:
    columns = curve_measures(comparison)
    for curve in curves_of(comparison):
        for run, points in curve.runs:
            of = f"{curve.decoder}, {run}" if len(comparison.runs) > 1 else curve.decoder
            yield f"## {escaped(curve.option)} of {escaped(of)}"
            known = {each.name: dict(values_along(comparison, points, each)) for each in columns}
            rows = []
            for at, _ in points:
                values = [known[each.name].get(at) for each in columns]
                cells = (
                    written(each, value.value if value else None)
                    for each, value in zip(columns, values, strict=True)
                )
                rows.append([f"{at:g}", *cells])
            yield _rows([curve.option, *map(header, columns)], rows)


def _best_of(comparison: Comparison) -> Iterator[str]:
    part = record(comparison.content, "best_of")
    runs = by_run(part)
    measures = best_of_measures(comparison)
    if not runs or not measures:
        return
    yield f"## Best of n by {escaped(spec_of(record(part, 'decoder')))}"
    for run in runs:
        if len(runs) > 1:
            yield f"### {escaped(string(run, 'run'))}"
        yield _best_of_table(run, measures)


def _best_of_table(run: Record, measures: Sequence[Measure]) -> str:
    columns = [
        (f"{header(each)} {said}", each, dict(best_of_points(run, way, each)))
        for each in measures
        for way, said in WAYS
    ]
    columns = [each for each in columns if each[2]]
    sizes = sorted({n for _, _, values in columns for n in values})
    rows = [
        [
            f"{n:g}",
            *(
                written(each, values[n].value if n in values else None)
                for _, each, values in columns
            ),
        ]
        for n in sizes
    ]
    return _rows(["n", *(name for name, _, _ in columns)], rows)
