"""The tables of the decoding benchmarks in Markdown, and where in pages they are written to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from decoding_facts import Document, System, systems, with_more
from pydantic import TypeAdapter

from seqgen.comparison import Document as Comparison
from seqgen.comparison import Results
from seqgen.reports import share

TASKS = {"g2p": "pronunciation", "translation": "translation"}
"""The models that answer a source, and what they are called."""

COLUMNS = ("unlikeness", "log_prob_per_token", "distinct_2", "repeated_4", "looping")

NOTHING = "\u2013"

_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def tables(documents: Mapping[str, Document]) -> dict[str, str]:
    """All tables that can be made of the comparisons that are there, by name.

    `documents` may have `language_model`, `g2p` and `translation`; what needs both of the last two
    is left out without them.
    """
    found: dict[str, str] = {}
    if "language_model" in documents:
        found |= {name: make(documents["language_model"]) for name, make in OF_TEXT.items()}
    if documents.keys() >= TASKS.keys():
        found |= {name: make(documents) for name, make in OF_ANSWERS.items()}
    return found


def fill(page: Path, made: Mapping[str, str]) -> None:
    """Write each table to where the page says `<!-- figures: NAME -->`; the rest stays."""

    def block(place: re.Match[str]) -> str:
        start, name, end = place.groups()
        return f"{start}{made[name]}\n{end}" if name in made else place[0]

    text = page.read_text(encoding="utf-8")
    page.write_text(_BLOCK.sub(block, text), encoding="utf-8", newline="\n")


def _temperatures(document: Document) -> str:
    rows = [*systems(document, "greedy"), *systems(document, "multinomial")]
    return _table(document, rows, COLUMNS, references=True)


def _truncations(document: Document) -> str:
    names = ("top_k", "top_p", "min_p", "typical")
    rows = [each for name in names for each in systems(document, name)]
    return _table(document, rows, COLUMNS, references=True)


def _combined(document: Document) -> str:
    """Thresholds by themselves; two truncations, and a high temperature before and after one."""
    names = ("epsilon", "eta", "top_n_sigma")
    rows = [each for name in names for each in systems(document, name)]
    plain = [systems(document, "multinomial", temperature=each) for each in (1.0, 1.5)]
    rows += [*plain[0], *plain[1], *with_more(document, "truncations")]
    return _table(document, rows, COLUMNS, references=True)


def _penalties(document: Document) -> str:
    cold = systems(document, "multinomial", temperature=0.5)
    rows = [*systems(document, "greedy"), *cold, *with_more(document, "constraints")]
    return _table(document, rows, COLUMNS, references=True)


def _circles(document: Document) -> str:
    rows = [*systems(document, "greedy"), *systems(document, "beam")]
    columns = ("log_prob_per_sequence", "distinct_2", "looping", "rows_per_input")
    return _table(document, rows, columns, references=True)


def _all_of_text(document: Document) -> str:
    columns = (*COLUMNS, "self_bleu", "rows_per_input", "tokens_per_second", "peak_bytes")
    return _table(document, _best_first(document), columns, references=True)


def _beams(documents: Mapping[str, Document]) -> str:
    def rows(document: Document) -> list[System]:
        beams = systems(document, "beam", length_normalisation="none")
        return [*systems(document, "greedy"), *beams, *systems(document, "exact")]

    return _both(documents, rows, ("quality", "length_ratio", "missed", "rows_per_input"))


def _normalisations(documents: Mapping[str, Document]) -> str:
    def rows(document: Document) -> list[System]:
        wide = [each for size in (5, 10, 50) for each in systems(document, "beam", beam_size=size)]
        return sorted(wide, key=lambda each: each["decoder"]["beam_size"])

    return _both(documents, rows, ("quality", "length_ratio"))


def _many(documents: Mapping[str, Document]) -> str:
    def rows(document: Document) -> list[System]:
        names = ("multinomial", "stochastic_beam", "minimum_bayes_risk", "diverse_beam")
        found = [each for name in names for each in systems(document, name)]
        beam = systems(document, "beam", beam_size=5, length_normalisation="none")
        return [*found, *systems(document, "greedy"), *beam]

    return _both(documents, rows, ("quality", "log_prob_per_sequence", "rows_per_input"))


def _search(documents: Mapping[str, Document]) -> str:
    """What an exact search says of both models."""
    own = {name: documents[name]["search"]["by_run"][0] for name in TASKS}
    said: list[tuple[str, Callable[[str], str]]] = [
        ("inputs searched", lambda name: str(documents[name]["search"]["inputs"])),
        ("of these the most probable output is certain", lambda name: str(own[name]["certain"])),
        ("it is the empty one", lambda name: share(own[name]["empty"]["best"])),
        (
            "mean probability of the empty output",
            lambda name: f"{own[name]['empty']['mean_probability']:.2g}",
        ),
        ("it is right", lambda name: share(own[name]["best_is_reference"])),
        (
            "it is wrong, and the model prefers it to all that is right",
            lambda name: share(own[name]["best_beats_reference"]),
        ),
        ("quality of the most probable outputs", lambda name: _best_quality(documents[name])),
        *(
            (f"{label}: wrong by the search, wrong by the model", _faults(own, label))
            for label in _labels(documents["g2p"])
        ),
    ]
    rows = [[what, *(make(name) for name in TASKS)] for what, make in said]
    return _markdown(["", *TASKS.values()], rows)


def _labels(document: Document) -> Iterable[str]:
    beams = systems(document, "beam", length_normalisation="none")
    return [each["label"] for each in [*systems(document, "greedy"), *beams]]


def _faults(own: Mapping[str, Any], label: str) -> Callable[[str], str]:
    def said(name: str) -> str:
        found = _of_label(own[name]["systems"], label)
        return f"{found['search_errors']}, {found['model_errors']}"

    return said


def _best_quality(document: Document) -> str:
    name = document["quality"]
    measure = _results(document).measures[name]
    best = document["search"]["by_run"][0]["quality_of_best"][name]
    return f"{measure.title} {measure.in_words(best)}"


def _best_of(documents: Mapping[str, Document]) -> str:
    """Quality by n, as the model chooses and as who knows the references would."""
    headers, columns = ["n"], []
    for name, title in TASKS.items():
        document = documents[name]
        measure = _results(document).measures[document["quality"]]
        points = document["best_of"]["by_run"][0]["points"]
        for way, said in (("by_score", "by the model's score"), ("oracle", "by the references")):
            headers.append(f"{title}: {measure.header}, {said}")
            columns.append([measure.written(each[way][measure.id]) for each in points])
    sizes = [str(each["n"]) for each in documents["g2p"]["best_of"]["by_run"][0]["points"]]
    return _markdown(headers, [list(row) for row in zip(sizes, *columns, strict=True)])


def _all_of(name: str) -> Callable[[Mapping[str, Document]], str]:
    def table(documents: Mapping[str, Document]) -> str:
        document = documents[name]
        quality = [key for key, each in document["measures"].items() if each["group"] == "quality"]
        columns = (*quality, "log_prob_per_sequence", "length_ratio", "missed", "rows_per_input")
        speed = ("sequences_per_second", "peak_bytes")
        return _table(document, _best_first(document), (*columns, *speed))

    return table


OF_TEXT: Mapping[str, Callable[[Document], str]] = {
    "temperatures": _temperatures,
    "truncations": _truncations,
    "combined": _combined,
    "penalties": _penalties,
    "circles": _circles,
    "language_model": _all_of_text,
}
OF_ANSWERS: Mapping[str, Callable[[Mapping[str, Document]], str]] = {
    "beams": _beams,
    "normalisations": _normalisations,
    "many": _many,
    "search": _search,
    "best_of": _best_of,
    "g2p": _all_of("g2p"),
    "translation": _all_of("translation"),
}


def _results(document: Document) -> Results:
    measures = {name: {**each, "id": name} for name, each in document["measures"].items()}
    return Results(TypeAdapter(Comparison).validate_python({**document, "measures": measures}))


def _best_first(document: Document) -> list[System]:
    order = [system.label for system in _results(document).systems]
    return sorted(document["systems"], key=lambda each: order.index(each["label"]))


def _table(
    document: Document, rows: Iterable[System], columns: Sequence[str], references: bool = False
) -> str:
    """A row for each system; `references` adds what the held-out text has."""
    labels = [each["label"] for each in rows]
    cells = [[f"`{each}`", *_cells(document, each, columns, spans=True)] for each in labels]
    if references:
        results = _results(document)
        own = results.references
        cells.append(["held-out text"])
        for name in columns:
            known = name in own and name in results.measures
            cells[-1].append(results.measures[name].written(own[name].value) if known else NOTHING)
    return _markdown(["strategy", *_headers(document, columns)], cells)


def _both(
    documents: Mapping[str, Document],
    choose: Callable[[Document], Iterable[System]],
    columns: Sequence[str],
) -> str:
    """The same strategies of both models, side by side."""
    labels = [each["label"] for each in choose(documents["g2p"])]
    headers, rows = ["strategy"], [[f"`{label}`"] for label in labels]
    for name, title in TASKS.items():
        document = documents[name]
        own = [document["quality"] if each == "quality" else each for each in columns]
        headers += [f"{title}: {each}" for each in _headers(document, own)]
        for row, label in zip(rows, labels, strict=True):
            row.extend(_cells(document, label, own))
    return _markdown(headers, rows)


def _headers(document: Document, columns: Sequence[str]) -> list[str]:
    measures = _results(document).measures
    return ["missed, %" if each == "missed" else measures[each].header for each in columns]


def _cells(
    document: Document, label: str, columns: Sequence[str], spans: bool = False
) -> list[str]:
    """What was measured of a system, with intervals where `spans` are wanted."""
    results = _results(document)
    values = results.values[label]
    cells = []
    for name in columns:
        if name == "missed":
            [run] = document["search"]["by_run"]
            cells.append(share(_of_label(run["systems"], label)["missed"]).removesuffix(" %"))
            continue
        measure, value = results.measures[name], values.get(name)
        text = NOTHING if value is None else measure.written(value.value)
        if spans and value and value.interval:
            text += f" ({measure.span(value.interval)})"
        cells.append(text)
    return cells


def _of_label(entries: Iterable[Mapping[str, Any]], label: str) -> Mapping[str, Any]:
    return next(each for each in entries if each["label"] == label)


def _markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] + ["---:"] * (len(headers) - 1), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)
