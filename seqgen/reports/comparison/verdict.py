"""The verdict: which strategy to take and why, as the first thing of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seqgen.reports.comparison.document import Comparison, Row
from seqgen.reports.comparison.measures import Measure, in_words, leading, span, written
from seqgen.reports.comparison.rows import MARKS, verdict_on
from seqgen.reports.fields import items, number, record, string
from seqgen.reports.quantities import count, counted
from seqgen.reports.text import as_html

MOST_CARDS = 6
"""How many figures of what is taken stand beside the verdict."""

PARTS = {"test": "test", "valid": "validation"}


def heading(comparison: Comparison) -> str:
    """What the comparison is called."""
    named = string(comparison.content, "description")
    return named or ", ".join(comparison.runs) or "Decoding strategies"


def summary(comparison: Comparison) -> str:
    """What was compared on what, in a sentence."""
    runs = comparison.runs
    of = f" of {counted(len(runs), 'run')}" if len(runs) > 1 else ""
    if len(runs) == 1 and heading(comparison) != runs[0]:
        of = f" of {runs[0]}"
    strategies = counted(len(comparison.rows), "strategy", "strategies")
    return f"{strategies}{of} on {inputs_in_words(comparison)}."


def inputs_in_words(comparison: Comparison) -> str:
    """Which inputs were decoded, and how many of them."""
    inputs = record(comparison.content, "inputs")
    many, of = number(inputs, "count"), number(inputs, "of")
    origin = string(inputs, "origin")
    if many is None:
        return "the same inputs"
    name = "prompt" if origin == "prompts" or inputs.get("continues") is True else "input"
    number_of = counted(round(many), name)
    if of is not None and of > many:
        number_of = f"{count(many)} of {counted(round(of), name)}"
    if origin in PARTS:
        return f"{number_of} of the {PARTS[origin]} part"
    return f"{number_of} of {'a file' if origin in {'rows', 'file'} else 'the plan'}"


def take(comparison: Comparison) -> str:
    """The strategy to take, in one line of plain text."""
    return f"Take {comparison.take}" if comparison.take else "No strategy stands out"


def reasons(comparison: Comparison) -> list[str]:
    """Why, in sentences of plain text."""
    why = items(record(comparison.content, "verdict"), "why")
    return [each for each in why if isinstance(each, str)]


def verdict(comparison: Comparison) -> str:
    """The box at the top of the page."""
    said = "".join(f"<li>{_spoken(comparison, each)}</li>" for each in reasons(comparison))
    why = f'<ul class="why">{said}</ul>' if said else ""
    taken = comparison.row(comparison.take)
    name = as_html(take(comparison))
    if comparison.take:
        name = f"Take <strong>{as_html(comparison.take)}</strong>"
    cards = "".join(_cards(comparison, taken)) if taken else ""
    shown = f'<ul class="cards">{cards}</ul>' if cards else ""
    return f'<div class="verdict"><p class="take">{name}</p>{why}{shown}</div>'


def _spoken(comparison: Comparison, sentence: str) -> str:
    """A sentence as HTML in which the labels of strategies stand out."""
    labels = sorted((row.label for row in comparison.rows), key=len, reverse=True)
    if not labels:
        return as_html(sentence)
    either = "|".join(map(re.escape, labels))
    parts = re.split(rf"((?<!\w)(?:{either})(?![\w.]*\w))", sentence)
    return "".join(
        f"<b>{as_html(part)}</b>" if i % 2 else as_html(part) for i, part in enumerate(parts)
    )


def _cards(comparison: Comparison, taken: Row) -> Iterator[str]:
    """The leading figures of what is taken, as far as they tell strategies apart."""
    shown = leading(comparison.measures, comparison.quality, comparison.diversity)
    telling = [each for each in shown if each.name in taken.values and tells(comparison, each)]
    for measure in telling[:MOST_CARDS]:
        value = taken.values[measure.name]
        amount, _, unit = in_words(measure, value.value).partition(" ")
        unit = f"<i> {as_html(unit)}</i>" if unit else ""
        label = as_html(f"{measure.title}{measure.arrow}")
        notes = "".join(f"<small>{each}</small>" for each in _notes(comparison, taken, measure))
        yield f"<li><b>{as_html(amount)}{unit}</b><span>{label}</span>{notes}</li>"


def tells(comparison: Comparison, measure: Measure) -> bool:
    """Whether it is what strategies are chosen by, or not the same for all of them."""
    found = [each.values[measure.name] for each in comparison.rows if measure.name in each.values]
    several = len({each.value for each in found}) > 1
    return several or len(comparison.rows) == 1 or measure.name == comparison.quality


def _notes(comparison: Comparison, taken: Row, measure: Measure) -> Iterator[str]:
    """What a figure is compared with, as HTML: its interval, the baseline's, the references'."""
    value = taken.values[measure.name]
    if value.low is not None and value.high is not None:
        yield as_html(f"[{span(measure, value.low, value.high)}]")
    baseline = comparison.row(comparison.baseline)
    if baseline and baseline is not taken and measure.name in baseline.values:
        found = verdict_on(taken.changes.get(measure.name), measure, comparison.alpha)
        mark = f' <span class="mark {found}">{MARKS[found]}</span>' if found else ""
        other = as_html(written(measure, baseline.values[measure.name].value))
        yield f"{as_html(baseline.label)} {other}{mark}"
    if measure.name in comparison.references:
        yield as_html(f"references {written(measure, comparison.references[measure.name].value)}")
