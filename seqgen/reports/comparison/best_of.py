"""The best of n: what more draws give, chosen by the model's score or by the references."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from seqgen.reports.comparison.document import Comparison, by_run
from seqgen.reports.comparison.measures import Measure, Value
from seqgen.reports.comparison.panels import Line, Points, legend, panel
from seqgen.reports.fields import Record, finite, items, number, record, records, string
from seqgen.reports.quantities import count
from seqgen.reports.text import as_html

WAYS: Final = (("by_score", "by the model's score"), ("oracle", "by the references"))


def best_of(comparison: Comparison) -> str:
    """The section, empty where it was not measured."""
    part = record(comparison.content, "best_of")
    runs = by_run(part)
    panels = "".join(_panels(comparison, runs))
    if not panels:
        return ""
    inputs = number(part, "inputs")
    of = f", on {count(inputs)} inputs" if inputs is not None else ""
    about = (
        f"<p>Of n outputs of <code>{as_html(spec_of(record(part, 'decoder')))}</code> for an input "
        f"the best{of}. Chosen by the model's own score, which any user can do, and by the "
        "references, which nobody has: an upper bound, the oracle. What is between the two is what "
        "a better judge of outputs could gain.</p>"
    )
    names = [name for name, _ in _named(runs)]
    return f'{about}{legend(names)}<div class="panels">{panels}</div>'


def spec_of(decoder: Record) -> str:
    """A decoder with those of its options that are set, on one line."""
    rest = (
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in decoder.items()
        if key != "name" and value not in (None, [], {})
    )
    return " ".join([string(decoder, "name"), *rest])


def _named(runs: Sequence[Record]) -> list[tuple[str, tuple[Record, str]]]:
    """The lines by their names: a run, and a way of choosing."""
    several = len(runs) > 1
    return [
        (f"{string(run, 'run')}, {said}" if several else said, (run, way))
        for run in runs
        for way, said in WAYS
    ]


def best_of_points(run: Record, way: str, measure: Measure) -> Points:
    """The values of a measure for each n."""
    found = []
    for point in records(items(run, "points")):
        n, value = finite(point, "n"), finite(record(point, way), measure.name)
        if n is not None and value is not None:
            found.append((n, Value(value)))
    return sorted(found, key=lambda point: point[0])


def best_of_measures(comparison: Comparison) -> list[Measure]:
    """The measures that any point has, the one for the verdict first."""
    points = (
        point
        for run in by_run(record(comparison.content, "best_of"))
        for point in records(items(run, "points"))
    )
    names = {name for point in points for way, _ in WAYS for name in record(point, way)}
    known = [each for each in comparison.measures.values() if each.name in names]
    return sorted(known, key=lambda each: each.name != comparison.quality)


def _panels(comparison: Comparison, runs: Sequence[Record]) -> Iterator[str]:
    for measure in best_of_measures(comparison):
        lines = [
            Line(name, place, best_of_points(run, way, measure))
            for place, (name, (run, way)) in enumerate(_named(runs))
        ]
        if any(line.points for line in lines):
            yield panel(measure, "n", lines)
