"""The page of a comparison: what each of its sections shows, which templates/comparison.html draws,
and the reports as files."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup, escape

from seqgen.comparison import plots
from seqgen.comparison.document import (
    Document,
    Measure,
    RunSearch,
    ShownInput,
    ShownOutput,
    SystemSearch,
    read_document,
)
from seqgen.comparison.results import (
    MARKS,
    PlainTable,
    Results,
    header,
    in_words,
    span,
    unit,
    written,
)
from seqgen.files import write_file
from seqgen.reports import (
    ARROWS,
    Answer,
    Marked,
    Unit,
    compare,
    decoder_label,
    figure,
    mark_differences,
    output_unit,
    render,
    share,
    trace_html,
    visible,
)

MAIN: Final = 9
"""How many columns are shown at first, at most."""

MOST_TILES: Final = 6
"""How many figures of the recommended strategy stand in the verdict."""

TRACES_SIZE: Final = 500_000
"""How many characters all traces may take: a larger page is slow to open."""

LAYOUTS: Final = {
    "half": plots.HALF,
    "slim": plots.SLIM,
    "panel": plots.PANEL,
    "most_named": plots.MOST_NAMED,
}


@dataclass(frozen=True)
class Made:
    """What some strategies made of an input, all of them the same.

    `right` is whether it is a reference; `marked` is the text with its differences from the nearest
    one, where it is compared with references and differs.
    """

    text: str
    labels: Sequence[str]
    first: ShownOutput
    right: bool
    marked: Marked | None


@dataclass(frozen=True)
class Card:
    """An input with its references and all that was made of it."""

    input: str
    references: Sequence[str]
    made: Sequence[Made]

    @property
    def marked(self) -> bool:
        """Whether some output is compared with a reference."""
        return any(each.right or each.marked for each in self.made)


@dataclass(frozen=True)
class TraceView:
    """A trace of the strategy `label` as HTML; it is `open`, or folded and compressed."""

    label: str
    html: Markup
    open: bool

    @property
    def packed(self) -> str:
        """The HTML as the page's script unpacks it; the traces of many searches are alike."""
        return b64encode(zlib.compress(self.html.encode(), 9)).decode("ascii")


def write_comparison(folder: Path) -> None:
    """Write `compare.html` and `compare.md` from `compare.json` in `folder`, any number of times.

    Raises CheckpointError if the document is missing or damaged, SetupError if nothing can be
    written.
    """
    from seqgen.comparison.markdown import markdown

    results = Results(read_document(folder))
    write_file(folder / "compare.html", page(results))
    write_file(folder / "compare.md", markdown(results))


def write_charts(folder: Path) -> None:
    """Write all charts of the comparison in `folder` as `compare.pdf`, one a page; raises as
    `write_comparison` does."""
    (folder / "compare.pdf").write_bytes(plots.as_pdf(Results(read_document(folder))))


def page(results: Results) -> str:
    """The whole page as HTML."""
    document = results.document
    traces, left_out = shown_traces(results)
    leading = [each for each in results.leading() if results.distinguishes(each)]
    taken = results.values.get(results.take or "", {})
    parts: dict[str, Any] = {
        "strategies": document.systems,
        "trade-offs": plots.trade_offs(results),
        "curves": plots.option_curves(results),
        "search": [
            (run, sentences(results, "search", run), search_table(results, run), _most_wrong(run))
            for run in (document.search.by_run if document.search else ())
        ],
        "best-of": plots.best_of(results),
        "outputs": cards(results),
        "traces": traces,
        "method": sentences(results, "method"),
    }
    functions = (as_json, breakable, decoder_label, in_words, span, unbroken, unit, written)
    return render(
        "comparison.html",
        arrows=ARROWS,
        best=best_values(results),
        document=document,
        heading=heading(document),
        labels_apart=lambda sentence: labels_apart(sentence, list(results.values)),
        layouts=LAYOUTS,
        main=main_columns(results),
        marks=MARKS,
        parts=parts,
        results=results,
        summary=sentences(results, "summary")[0],
        tiles=[each for each in leading if each.id in taken][:MOST_TILES],
        traces_left_out=left_out,
        wrong_share=wrong_share,
        **{each.__name__: each for each in functions},
    )


def heading(document: Document) -> str:
    """The description of the comparison, else its runs."""
    return document.description or ", ".join(each.name for each in document.runs)


def sentences(results: Results, part: str, run: RunSearch | None = None) -> list[str]:
    """What page and Markdown say alike: the `summary`, the `method`, or the `search` of a run."""
    values = {"document": results.document, "results": results, "in_words": in_words}
    text = render("comparison.txt", part=part, run=run, **values)
    return [line.strip() for line in text.splitlines() if line.strip()]


def main_columns(results: Results) -> list[str]:
    """The ids of the columns that are shown at first."""
    chosen = [each.id for each in results.leading()]
    more = [each.id for each in results.measures.values() if each.group == "quality"]
    if "rows_per_input" in results.measures:
        more.insert(0, "rows_per_input")
    more = [name for name in more if name not in chosen]
    return [*chosen, *more[: max(0, MAIN - len(chosen))]]


def best_values(results: Results) -> dict[str, str]:
    """The best values as they are written, of measures for which the strategies differ and one way
    is better; the most diverse is not the best."""
    found = {}
    for name, measure in results.measures.items():
        values = [own[name].value for own in results.values.values() if name in own]
        different = len({written(measure, each) for each in values}) > 1
        if measure.better and measure.group != "diversity" and different:
            best = max(values) if measure.better == "higher" else min(values)
            found[name] = written(measure, best)
    return found


def labels_apart(sentence: str, labels: Sequence[str]) -> list[str]:
    """The sentence cut where the labels of strategies begin and end: every second part is one."""
    either = "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
    return re.split(rf"((?<!\w)(?:{either})(?![\w.]*\w))", sentence)


def search_table(results: Results, run: RunSearch) -> PlainTable:
    """What the systems of a run missed, with their qualities on these inputs alone."""
    names = {name for each in run.systems for name in each.quality}
    columns = [each for each in results.measures.values() if each.id in names]
    headers = ["strategy", "most probable missed", "mean gap, nats", "largest gap, nats"]
    rows = [
        [
            each.label,
            share(each.missed),
            figure(each.mean_gap),
            figure(each.largest_gap),
            *(written(column, each.quality.get(column.id)) for column in columns),
        ]
        for each in run.systems
    ]
    return PlainTable([*headers, *map(header, columns)], rows)


def wrong_share(system: SystemSearch, key: str = "wrong") -> float | None:
    """What part of all outputs is wrong, or another count; None where it is unknown."""
    part = getattr(system, key)
    return part / system.outputs if part is not None and system.outputs else None


def _most_wrong(run: RunSearch) -> float:
    return max((wrong_share(each) or 0.0 for each in run.systems), default=0.0)


def cards(results: Results) -> list[Card]:
    """The outputs to be shown, beside their references."""
    document = results.document
    answers = [answer for each in document.outputs if (answer := _answer(each, ""))]
    qualities = [each.id for each in results.measures.values() if each.group == "quality"]
    unit = None
    if answers and not document.inputs.continues:
        unit = output_unit(answers, qualities)
    return [
        Card(each.input, each.references, grouped(results, each, unit)) for each in document.outputs
    ]


def grouped(results: Results, shown: ShownInput, unit: Unit | None) -> list[Made]:
    """The different outputs for an input, in the order of the best strategy that made each;
    compared in `unit` with its references."""
    order = {system.label: place for place, system in enumerate(results.systems)}
    alike: dict[str, list[ShownOutput]] = {}
    for each in sorted(shown.by, key=lambda each: order[each.label]):
        alike.setdefault(each.text, []).append(each)
    found = []
    for text, same in alike.items():
        answer, difference = _answer(shown, text), None
        if answer and unit and answer.wrong:
            difference, _ = mark_differences(text, compare(answer, unit).reference, unit)
        right = bool(answer and unit and not answer.wrong)
        found.append(Made(text, [each.label for each in same], same[0], right, difference))
    return found


def _answer(shown: ShownInput, output: str) -> Answer | None:
    references = tuple(shown.references)
    return Answer(shown.input, output, references, None, True) if references else None


def shown_traces(results: Results) -> tuple[list[tuple[str, list[TraceView]]], int]:
    """The inputs with the traces of each, of which the first one of the recommended strategy is
    open; and how many traces there is no room for."""
    found: dict[tuple[str, int], list[TraceView]] = {}
    seen: Counter[tuple[str, str]] = Counter()  # inputs may be alike; a strategy has one trace each
    size, opened, traces = 0, False, results.document.traces
    for place, each in enumerate(traces):
        is_open = not opened and each.label == results.take
        shown = TraceView(each.label, trace_html(each.trace), is_open)
        size += len(shown.html if is_open else shown.packed)
        if size > TRACES_SIZE:
            return [(text, views) for (text, _), views in found.items()], len(traces) - place
        opened = opened or is_open
        seen[each.input, each.label] += 1
        found.setdefault((each.input, seen[each.input, each.label]), []).append(shown)
    return [(text, views) for (text, _), views in found.items()], 0


def unbroken(measure: Measure) -> str:
    """The title with its arrow, of which no line begins with the arrow or with the n of n-grams."""
    title = re.sub(r"-(?=\d)", "\u2011", measure.title)
    return title + ARROWS[measure.better or ""].replace(" ", "\u00a0")


def breakable(label: str) -> Markup:
    """A label that may be broken where its words end."""
    return Markup(re.sub(r"([_=.])(?=\w)", r"\1<wbr>", str(escape(visible(label)))))


def as_json(value: Mapping[str, Any], indent: int | None = None) -> str:
    """Plain data as JSON."""
    return json.dumps(value, indent=indent, ensure_ascii=False)
