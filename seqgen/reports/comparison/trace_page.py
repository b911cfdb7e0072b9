"""The page of `seqgen generate --trace`: how each output was found, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from seqgen.reports.comparison.traces import about_traces, style, trace_html
from seqgen.reports.fields import Record, record, string
from seqgen.reports.quantities import counted
from seqgen.reports.shell import Page, Section
from seqgen.reports.text import as_html, beginning, token_label

MOST_TRACES = 100
"""How many traces a page shows."""

TITLE = 32
"""How many characters of an input stand in the title of its section."""


def trace_page(run: str, traces: Sequence[Mapping[str, object]], every: int) -> str:
    """The page for traces of the run called `run`, the first of `every` that there are."""
    own = files("seqgen.reports").joinpath("style.css").read_text(encoding="utf-8")
    said = "".join(f'<p class="summary">{_decoder(each)}</p>' for each in traces[:1])
    more = every - len(traces)
    left_out = f" {counted(more, 'input')} more had no room here." if more else ""
    return Page(
        kind="seqgen traces",
        heading=run,
        lead=f"{said}{about_traces()}",
        sections=[_section(place, each) for place, each in enumerate(traces, 1)],
        footer=f"With another name than .html, the traces are written as JSON.{left_out}",
        style=f"{own}{style()}",
    ).html()


def _section(place: int, trace: Record) -> Section:
    text = string(trace, "input")
    short = text if len(text) <= TITLE else f"{text[: TITLE - 1]}\u2026"
    whole = (
        "" if short == text else f'<div class="generated source" dir="auto">{beginning(text)}</div>'
    )
    return Section(f"trace-{place}", token_label(short), f"{whole}{trace_html(trace)}")


def _decoder(trace: Record) -> str:
    """The decoder with its options, as HTML."""
    spec = record(trace, "decoder")
    options = [f"{name}={value}" for name, value in spec.items() if name != "name" and value != []]
    return as_html(f"{string(spec, 'name')} {', '.join(options)}".strip())
