"""Outputs side by side: for the same input what each strategy made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from seqgen.reports.answers import Answer, Unit, compare, output_unit
from seqgen.reports.comparison.document import Comparison
from seqgen.reports.comparison.measures import in_words
from seqgen.reports.differences import marked
from seqgen.reports.fields import Record, finite, items, record, records, string
from seqgen.reports.quantities import figure
from seqgen.reports.text import as_attribute, as_html, beginning

OPEN: Final = 5
"""How many inputs are open at first."""

LONGEST: Final = 800
"""How many characters of an output are shown."""


@dataclass(frozen=True)
class Made:
    """What some strategies made of an input, all of them the same."""

    text: str
    labels: tuple[str, ...]
    first: Record


def outputs(comparison: Comparison) -> str:
    """The section, empty where no outputs are shown."""
    shown = records(items(comparison.content, "outputs"))
    if not shown:
        return ""
    continues = record(comparison.content, "inputs").get("continues") is True
    unit = None if continues else _unit(comparison, shown)
    cards = "".join(_card(comparison, each, i < OPEN, unit) for i, each in enumerate(shown))
    marks = (
        ' Marked is <mark class="wrong">what differs from the nearest reference</mark>; a bar is '
        "where something is lacking."
        if unit and any(items(each, "references") for each in shown)
        else ""
    )
    return (
        "<p>The best output of each strategy, by its first seed. Strategies with the same output "
        f"stand together.{marks}</p>"
        '<div class="tools"><label class="filter">Strategies <input type="search" '
        'id="outputs-filter" placeholder="greedy" autocomplete="off"></label>'
        '<button type="button" id="open-all">open all</button></div>'
        f'<div id="compared-outputs" class="{"continuing" if continues else ""}">{cards}</div>'
    )


def grouped(comparison: Comparison, shown: Record) -> list[Made]:
    """The different outputs for an input, in the order of the best strategy that made each."""
    order = {row.label: place for place, row in enumerate(comparison.best_first())}
    by = records(items(shown, "by"))
    by.sort(key=lambda each: order.get(string(each, "label"), len(order)))
    found: dict[str, list[Record]] = {}
    for each in by:
        found.setdefault(string(each, "text"), []).append(each)
    return [
        Made(text, tuple(string(each, "label") for each in same), same[0])
        for text, same in found.items()
    ]


def _unit(comparison: Comparison, shown: Sequence[Record]) -> Unit | None:
    """In what outputs are compared with references, None where there are none."""
    answers = [answer for each in shown if (answer := _answer(each, ""))]
    qualities = [each.name for each in comparison.measures.values() if each.group == "quality"]
    return output_unit(answers, {"metrics": dict.fromkeys(qualities)}) if answers else None


def _answer(shown: Record, output: str) -> Answer | None:
    references = tuple(each for each in items(shown, "references") if isinstance(each, str))
    return Answer(string(shown, "input"), output, references, None, True) if references else None


def _card(comparison: Comparison, shown: Record, opened: bool, unit: Unit | None) -> str:
    text = string(shown, "input")
    references = [each for each in items(shown, "references") if isinstance(each, str)]
    told = "".join(
        f'<div class="generated" dir="auto">{beginning(each, LONGEST)}</div>' for each in references
    )
    if told:
        plural = "s" if len(references) > 1 else ""
        told = (
            f'<li class="reference"><div class="who">reference{plural}</div><div>{told}</div></li>'
        )
    made = grouped(comparison, shown)
    rows = "".join(_row(comparison, shown, each, unit) for each in made)
    summary = beginning(text, 200)
    whole = ""
    if record(comparison.content, "inputs").get("continues") is True and len(text) > 60:
        summary = f"\u2026{as_html(text[-60:])}"
        whole = f'<div class="generated source" dir="auto">{beginning(text, LONGEST)}</div>'
    return (
        f'<details class="input"{" open" if opened else ""}><summary dir="auto">{summary} '
        f"<small>{_different(len(made))}</small></summary>{whole}"
        f'<ul class="by">{told}{rows}</ul></details>'
    )


def _different(many: int) -> str:
    return "all alike" if many == 1 else f"{many} different outputs"


def _row(comparison: Comparison, shown: Record, made: Made, unit: Unit | None) -> str:
    chips = "".join(
        f'<span class="chip" data-label="{as_attribute(label)}">{as_html(label)}</span>'
        for label in made.labels
    )
    answer = _answer(shown, made.text)
    text, right = beginning(made.text, LONGEST), ""
    if answer and unit:
        if answer.wrong:
            text, _ = marked(made.text, compare(answer, unit).reference, unit)
        else:
            right = ' <span class="right" title="this is a reference">\u2713</span>'
    notes = "; ".join(_notes(comparison, made.first))
    note = f'<p class="note">{as_html(notes)}</p>' if notes else ""
    return (
        f'<li><div class="who">{chips}</div><div><div class="generated" dir="auto">{text}{right}'
        f"</div>{note}</div></li>"
    )


def _notes(comparison: Comparison, found: Record) -> Iterator[str]:
    """What is known of an output, in a few words each."""
    log_prob = finite(found, "log_prob")
    if log_prob is not None:
        yield f"log-probability {figure(log_prob)}"
    values = record(found, "values")
    for name in values:
        measure, value = comparison.measures.get(name), finite(values, name)
        if measure and value is not None:
            yield f"{measure.title} {in_words(measure, value)}"
    if found.get("finished") is False and record(comparison.content, "inputs").get("ends"):
        yield "cut at the largest length"
