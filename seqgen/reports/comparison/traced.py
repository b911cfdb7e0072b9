"""Traces: what some strategies considered, kept and dropped for the same inputs."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Final

from seqgen.reports.comparison.document import Comparison
from seqgen.reports.comparison.traces import about_traces, trace_html
from seqgen.reports.fields import Record, items, record, records, string
from seqgen.reports.quantities import counted
from seqgen.reports.text import as_html, beginning

MOST: Final = 4_000_000
"""How many characters of HTML all traces may take: a page of more is slow to open."""


def traced(comparison: Comparison) -> str:
    """The section, empty where nothing was traced: the traces of an input together, folded but for
    the first one of the strategy to take."""
    found = records(items(comparison.content, "traces"))
    if not found:
        return ""
    shown = _shown(found)
    opened = next((each for each, _ in shown if string(each, "label") == comparison.take), None)
    seen: Counter[tuple[str, str]] = Counter()

    def turn(pair: tuple[Record, str]) -> tuple[str, int]:
        """Its input, and which of the inputs that are alike; a strategy has one trace for each."""
        text, label = string(pair[0], "input"), string(pair[0], "label")
        seen[text, label] += 1
        return text, seen[text, label]

    parts = "".join(
        f'<div class="traced"><h3 dir="auto">{beginning(text, 200)}</h3>'
        + "".join(_folded(each, inner, each is opened) for each, inner in group)
        + "</div>"
        for (text, _), group in groupby(shown, turn)
    )
    more = len(found) - len(shown)
    rest = f'<p class="note">{counted(more, "more trace")} in compare.json.</p>' if more else ""
    return f"{about_traces()}{parts}{rest}"


def _shown(found: list[Record]) -> list[tuple[Record, str]]:
    """The traces with their HTML, as many as there is room for."""
    shown = []
    room = MOST
    for each in found:
        inner = trace_html(record(each, "trace"))
        room -= len(inner)
        if room < 0:
            break
        shown.append((each, inner))
    return shown


def _folded(found: Record, inner: str, opened: bool) -> str:
    label = as_html(string(found, "label"))
    return f"<details{' open' if opened else ''}><summary>{label}</summary>{inner}</details>"
