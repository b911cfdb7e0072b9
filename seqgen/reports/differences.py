"""Marking where two texts differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rapidfuzz.distance import Levenshtein

from seqgen.reports.answers import Unit
from seqgen.reports.text import as_attribute, as_html, beginning

MOST = 800
"""How many characters of a text are shown."""
WORDS = 200
"""How many words with a tag are shown."""


def marked(output: str, reference: str, unit: Unit) -> tuple[str, str]:
    """Both texts as HTML: what the output should not have is marked in it, what it should have
    instead in the reference, and where it lacks something stands a gap."""
    ours, theirs = unit.split(output[:MOST]), unit.split(reference[:MOST])
    left: list[str] = []
    right: list[str] = []
    for found, wanted, equal in _runs(ours, theirs):
        if equal:
            left.append(as_html(unit.between.join(found)))
            right.append(as_html(unit.between.join(wanted)))
            continue
        left.append(_mark("wrong", found, unit) if found else _gap(wanted, unit))
        if wanted:
            right.append(_mark("missed", wanted, unit))
    between = as_html(unit.between)
    return (
        (between.join(left) or beginning("")) + _rest(len(output) - MOST),
        (between.join(right) or beginning("")) + _rest(len(reference) - MOST),
    )


def _runs(ours: list[str], theirs: list[str]) -> Iterator[tuple[list[str], list[str], bool]]:
    """What stands in both, alike or not, by turns."""
    changes = Levenshtein.opcodes(theirs, ours)
    for equal, group in groupby(changes, key=lambda change: change.tag == "equal"):
        first, *rest = group
        last = rest[-1] if rest else first
        yield (
            ours[first.dest_start : last.dest_end],
            theirs[first.src_start : last.src_end],
            equal,
        )


def _mark(kind: str, units: list[str], unit: Unit) -> str:
    return f'<mark class="{kind}">{as_html(unit.between.join(units))}</mark>'


def _gap(wanted: list[str], unit: Unit) -> str:
    lacks = as_attribute(unit.between.join(wanted))
    return f'<mark class="wrong gap" title="lacks: {lacks}"></mark>'


def _rest(left_out: int) -> str:
    return f' <span class="code">\u2026 {left_out:,} more</span>' if left_out > 0 else ""


def in_step(source: str, output: str, reference: str) -> str | None:
    """The words of `source`, the wrong ones with the tag that they got and the right one; None
    where there is not one of each for each word."""
    rows = list(map(str.split, (source, output, reference)))
    if len({len(row) for row in rows}) != 1:
        return None
    shown = " ".join(_steps(*rows))
    return f"{shown}{_rest(len(rows[0]) - WORDS)}"


def _steps(source: list[str], output: list[str], reference: list[str]) -> Iterator[str]:
    for word, got, right in zip(source[:WORDS], output, reference, strict=False):
        if got == right:
            yield as_html(word)
        else:
            yield (
                f'<span class="step"><b>{as_html(word)}</b> <mark class="wrong">{as_html(got)}'
                f'</mark> <mark class="missed">{as_html(right)}</mark></span>'
            )
