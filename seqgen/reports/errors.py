"""Showing wrong answers beside their sources: the worst ones, and some drawn at random."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final

from seqgen.reports.answers import CLASSES, TAGS, Compared, Unit, compare, output_unit
from seqgen.reports.differences import in_step, marked
from seqgen.reports.held_out import concluded
from seqgen.reports.quantities import count, counted, figure, percent, share
from seqgen.reports.run_files import RunFiles
from seqgen.reports.text import as_html, beginning

WORST: Final = 8
DRAWN: Final = 12
SEED: Final = 1
"""The same answers are drawn each time."""
OTHERS: Final = 3
"""How many further references are shown."""


def errors(run: RunFiles) -> str:
    """The wrong answers of the last held-out part."""
    if not run.answers:
        return ""
    measured, name = concluded(run)
    unit = output_unit(run.answers, measured)
    wrong = [compare(each, unit) for each in run.answers if each.wrong]
    told = _in_words(len(wrong), len(run.answers), name)
    if not wrong:
        return f"<p>{told}</p>"
    ends = any(each.finished for each in run.answers)
    worst = _list(sorted(wrong, key=lambda each: _rank(each, unit))[:WORST], unit, ends)
    lists = f"<h3>{_heading(unit)}</h3>{worst}"
    if len(wrong) > WORST:
        drawn = random.Random(SEED).sample(wrong, min(DRAWN, len(wrong)))
        lists += f"<h3>Drawn at random</h3>{_list(drawn, unit, ends)}"
    return f"<p>{told} {_legend(unit)}</p>{lists}"


def _in_words(wrong: int, every: int, name: str) -> str:
    of = f" of the {name} part" if name else ""
    if not wrong:
        return f"Wrong answers{of}: none of {count(every)}."
    return f"Wrong answers{of}: {count(wrong)} of {count(every)} ({share(wrong / every)})."


def _legend(unit: Unit) -> str:
    if unit is CLASSES:
        return ""
    if unit is TAGS:
        return (
            'Behind a word that has a wrong tag stands <mark class="wrong">what it got</mark> and '
            '<mark class="missed">what would be right</mark>.'
        )
    return (
        'Marked is <mark class="wrong">what should not be there</mark>, and '
        '<mark class="missed">what should</mark>.'
    )


def _heading(unit: Unit) -> str:
    if unit is CLASSES:
        return "The surest <small>wrong, with the highest probability of the output</small>"
    return (
        f"The worst <small>most wrong {unit.name}s for the length of the right answer; "
        "of equals the least probable</small>"
    )


def _rank(each: Compared, unit: Unit) -> tuple[float, float]:
    """For sorting: a class is just right or wrong, so the worst mistake is the surest."""
    score = each.answer.score or 0.0
    return (-score, 0.0) if unit is CLASSES else (-each.edits / max(each.size, 1), score)


def _list(shown: Sequence[Compared], unit: Unit, ends: bool) -> str:
    if unit is CLASSES:
        return _class_table(shown)
    entries = "".join(_entry(each, unit, ends) for each in shown)
    return f'<ol class="errors">{entries}</ol>'


def _class_table(shown: Sequence[Compared]) -> str:
    """A class is wrong as a whole, so nothing in it need be marked."""
    rows = "".join(
        f'<tr><th scope="row">{beginning(each.answer.source)}</th><td>{as_html(each.answer.output)}'
        f"</td><td>{as_html(', '.join(each.answer.references))}</td>"
        f"<td>{_probability(each.answer.score)}</td></tr>"
        for each in shown
    )
    names = ("source", "output", "right", "probability")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<div class="wide" tabindex="0"><table class="sources"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _probability(score: float | None) -> str:
    return as_html(percent(None if score is None else math.exp(min(score, 0.0))))


def _entry(each: Compared, unit: Unit, ends: bool) -> str:
    answer = each.answer
    step = in_step(answer.source, answer.output, each.reference) if unit is TAGS else None
    note = f'<p class="note">{_note(each, unit, ends)}</p>'
    if step is not None:
        return f'<li class="whole"><div class="generated" dir="auto">{step}</div>{note}</li>'
    output, reference = marked(answer.output, each.reference, unit)
    others = [other for other in answer.references if other != each.reference][:OTHERS]
    rows = [("output", output), ("right", reference), *(("or", beginning(each)) for each in others)]
    lines = "".join(
        f'<dt>{name}</dt><dd class="generated" dir="auto">{text}</dd>' for name, text in rows
    )
    return (
        f'<li><div class="generated source" dir="auto">{beginning(answer.source)}</div>'
        f"<div><dl>{lines}</dl>{note}</div></li>"
    )


def _note(each: Compared, unit: Unit, ends: bool) -> str:
    if unit is TAGS:
        told = f"{count(each.edits)} of {count(each.size)} tags"
    else:
        told = f"{counted(each.edits, 'edit')} in {counted(each.size, unit.name)}"
    if each.answer.score is not None:
        told += f", log-probability {figure(each.answer.score)}"
    return told + ("" if each.answer.finished or not ends else ", cut at the length limit")
