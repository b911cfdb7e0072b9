"""The page of `seqgen generate --trace`: how each output was found, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from seqgen.reports.comparison.traces import about_traces, style, trace_html
from seqgen.reports.fields import Record, record, string
from seqgen.reports.quantities import counted
from seqgen.reports.shell import Page, Section
from seqgen.reports.text import as_html, beginning

MOST_TRACES = 100
"""How many traces a page shows."""

TITLE = 32
"""How many characters of an input stand in the title of its section."""


def trace_page(run: str, traces: Sequence[Mapping[str, object]], every: int) -> str:
    """The page for traces of the run called `run`, the first of `every` that there are."""
    own = files("seqgen.reports").joinpath("style.css").read_text(encoding="utf-8")
    said = as_html(_said(record(traces[0], "decoder"))) if traces else ""
    more = every - len(traces)
    left_out = f" {counted(more, 'input')} more had no room here." if more else ""
    return Page(
        kind="seqgen traces",
        heading=run,
        lead=f'<p class="summary">{said}</p>{about_traces()}',
        sections=[_section(place, each) for place, each in enumerate(traces, 1)],
        footer=f"With another name than .html, the traces are written as JSON.{left_out}",
        style=f"{own}{style()}",
    ).html()


def _section(place: int, trace: Record) -> Section:
    text = string(trace, "input")
    short = text if len(text) <= TITLE else f"{text[: TITLE - 1]}\u2026"
    whole = ""
    if short != text or "\n" in text:
        whole = f'<div class="generated source" dir="auto">{beginning(text)}</div>'
    title = beginning(short.replace("\n", "\u21b5"))
    return Section(f"trace-{place}", title, f"{whole}{trace_html(trace)}")


def _said(spec: Record) -> str:
    """A decoder with its options, without those that are empty."""
    options = []
    for name, value in spec.items():
        inner = f"({_said(value)})" if isinstance(value, dict) else value
        if name != "name" and value not in (None, []):
            options.append(f"{name}={inner}")
    return f"{string(spec, 'name')} {', '.join(options)}".strip()
