"""The reports of a comparison, which templates/comparison.html and compare.md draw: what each of
their sections shows, and both as files."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from seqgen import reports
from seqgen.comparison import document, plots
from seqgen.comparison.document import Measure, RunSearch, ShownInput, ShownOutput
from seqgen.comparison.results import MARKS, PlainTable, Results, known
from seqgen.files import write_file

SHOWN: Final = ("repeated_4", "looping", "rows_per_input", "sequences_per_second")
"""What stands in the table of the Markdown beside the leading measures and those of quality."""

MAIN: Final = 9
"""How many columns are shown at first, at most."""

TRACES_SIZE: Final = 500_000
"""How many characters all traces may take: a larger page is slow to open."""


class Made(NamedTuple):
    """What some strategies made of an input, all of them the same.

    `right` is whether it is a reference; `marked` is the text with its differences from the nearest
    one, where it is compared with references and differs.
    """

    text: str
    labels: Sequence[str]
    first: ShownOutput
    right: bool
    marked: reports.Marked | None


def write_comparison(folder: Path) -> None:
    """Write `compare.html` and `compare.md` from `compare.json` in `folder`, any number of times.

    Raises CheckpointError if the document is missing or damaged, SetupError if nothing can be
    written.
    """
    results = Results(document.read_document(folder))
    write_file(folder / document.PAGE, page(results))
    write_file(folder / document.TEXT, markdown(results))


def write_charts(folder: Path) -> None:
    """Write all charts of the comparison in `folder` as `compare.pdf`, one a page; raises as
    `write_comparison` does."""
    results = Results(document.read_document(folder))
    write_file(folder / document.CHARTS, plots.as_pdf(results))


def page(results: Results) -> str:
    """The whole page as HTML."""
    traces, left_out = shown_traces(results)
    shared = _shared(results)
    parts = {
        "strategies": results.systems,
        "trade-offs": plots.trade_offs(results),
        "curves": plots.option_curves(results),
        "drawn": plots.drawn_from(results),
        "search": shared["search"],
        "best-of": plots.best_of(results),
        "outputs": outputs(results),
        "traces": traces,
        "method": shared["method"],
    }
    return reports.render(
        "comparison.html",
        arrows=reports.ARROWS,
        as_json=partial(json.dumps, ensure_ascii=False),
        best=best_values(results),
        labels_apart=partial(labels_apart, labels=list(results.values)),
        main=main_columns(results),
        parts=parts,
        traces_left_out=left_out,
        **shared,
    )


def markdown(results: Results) -> str:
    """The comparison as Markdown that fits in a README: verdict, table, search errors, curves."""
    table = results.plain_table(table_columns(results))
    return reports.render("compare.md", systems=table, **_shared(results))


def _shared(results: Results) -> dict[str, Any]:
    """What both reports show."""
    return {
        "decoder_label": reports.decoder_label,
        "document": results.document,
        "known": known,
        "marks": MARKS,
        "method": sentences(results, "method"),
        "plots": plots,
        "results": results,
        "search": searches(results),
        "summary": sentences(results, "summary")[0],
    }


def sentences(results: Results, part: str, run: RunSearch | None = None) -> list[str]:
    """What page and Markdown say alike: the `summary`, the `method`, or the `search` of a run."""
    values = {"document": results.document, "results": results}
    text = reports.render("comparison.txt", part=part, run=run, **values)
    return [line.strip() for line in text.splitlines() if line.strip()]


def main_columns(results: Results) -> list[str]:
    """The ids of the columns that are shown at first."""
    leading = [each.id for each in results.leading()]
    qualities = [each.id for each in results.measures.values() if each.group == "quality"]
    found = dict.fromkeys([*leading, "rows_per_input", *qualities])
    return [name for name in found if name in results.measures][: max(MAIN, len(leading))]


def table_columns(results: Results) -> list[Measure]:
    """The measures of the Markdown: what fits a README and tells strategies apart."""
    chosen = {each.id for each in results.leading()} | set(SHOWN)
    found = [each for each in results.measures.values() if results.distinguishes(each)]
    found = [each for each in found if each.id in chosen or each.group == "quality"]
    return sorted(found, key=lambda each: (each is not results.quality, each.group != "quality"))


def best_values(results: Results) -> dict[str, str]:
    """The best values as they are written, of measures for which the strategies differ and one way
    is better; the most diverse is not the best."""
    found = {}
    for name, measure in results.measures.items():
        values = [own[name].value for own in results.values.values() if name in own]
        different = len({measure.written(each) for each in values}) > 1
        if measure.better and measure.group != "diversity" and different:
            best = max(values) if measure.better == "higher" else min(values)
            found[name] = measure.written(best)
    return found


def labels_apart(sentence: str, labels: Sequence[str]) -> list[str]:
    """The sentence cut where the labels of strategies begin and end: every second part is one."""
    either = "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
    return re.split(rf"((?<!\w)(?:{either})(?![\w.]*\w))", sentence)


def searches(results: Results) -> list[tuple[RunSearch, list[str], PlainTable]]:
    """What is said of the exact search of each run, and what its systems missed, with their
    qualities on these inputs alone."""
    search, found = results.document.search, []
    for run in search.by_run if search else ():
        names = {name for each in run.systems for name in each.quality}
        columns = [each for each in results.measures.values() if each.id in names]
        headers = ["strategy", "most probable missed", "mean gap, nats", "largest gap, nats"]
        rows = []
        for each in run.systems:
            nats = map(reports.figure, (each.mean_gap, each.largest_gap))
            qualities = (column.written(each.quality.get(column.id)) for column in columns)
            rows.append([each.label, reports.share(each.missed), *nats, *qualities])
        table = PlainTable([*headers, *(each.header for each in columns)], rows)
        found.append((run, sentences(results, "search", run), table))
    return found


def outputs(results: Results) -> list[tuple[ShownInput, list[Made]]]:
    """The inputs that are shown, each with the different outputs for it in the order of the best
    strategy that made each. Where text is continued they are not compared with references."""
    document = results.document
    referenced = (each for each in document.outputs if each.references)
    answers = [reports.Answer(each.input, "", tuple(each.references)) for each in referenced]
    compared = bool(answers) and not document.inputs.continues
    unit = reports.output_unit(answers, results.measures) if compared else None
    order = {system.label: place for place, system in enumerate(results.systems)}
    found = []
    for each in document.outputs:
        alike: dict[str, list[ShownOutput]] = {}
        for output in sorted(each.by, key=lambda output: order[output.label]):
            alike.setdefault(output.text, []).append(output)
        made = []
        for text, same in alike.items():
            answer = reports.Answer(each.input, text, tuple(each.references))
            right, marked = False, None
            if unit and each.references:
                right = not answer.wrong
                reference = reports.compare(answer, unit).reference
                marked = None if right else reports.mark_differences(text, reference, unit)[0]
            made.append(Made(text, [one.label for one in same], same[0], right, marked))
        found.append((each, made))
    return found


def shown_traces(results: Results) -> tuple[list[tuple[str, list[tuple[str, Markup, str]]]], int]:
    """The inputs with the traces of each: the label and the HTML, of the first one of the
    recommended strategy as it is, of all others compressed, as the page's script unpacks it; and
    how many traces there is no room for."""
    found: dict[tuple[str, int], list[tuple[str, Markup, str]]] = {}
    seen: Counter[tuple[str, str]] = Counter()  # inputs may be alike; a strategy has one trace each
    size, opened, traces = 0, False, results.document.traces
    for each in traces:
        html, packed = reports.trace_html(each.trace), ""
        if opened or each.label != results.take:
            packed = b64encode(zlib.compress(html.encode(), 9)).decode("ascii")
        size += len(packed or html)
        if size > TRACES_SIZE:
            break
        opened = opened or not packed
        seen[each.input, each.label] += 1
        turn = each.input, seen[each.input, each.label]
        found.setdefault(turn, []).append((each.label, html, packed))
    shown = sum(map(len, found.values()))
    return [(text, own) for (text, _), own in found.items()], len(traces) - shown
