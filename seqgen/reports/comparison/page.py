"""The page of a comparison: which sections it has, in which order."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from seqgen.reports.comparison import (
    best_of,
    method,
    option_curves,
    outputs,
    plots,
    search,
    table,
    traced,
    traces,
    verdict,
)
from seqgen.reports.comparison.document import Comparison
from seqgen.reports.shell import Page, Section
from seqgen.reports.text import as_html

SECTIONS: tuple[tuple[str, str, Callable[[Comparison], str]], ...] = (
    ("strategies", "All strategies", table.table),
    ("trade-offs", "Trade-offs", plots.plots),
    ("curves", "What an option does", option_curves.option_curves),
    ("search", "Search errors and model errors", search.search),
    ("best-of", "The best of n", best_of.best_of),
    ("outputs", "Outputs side by side", outputs.outputs),
    ("traces", "Traces", traced.traced),
    ("method", "Method", method.method),
)


def page(comparison: Comparison) -> str:
    """The whole page as HTML."""
    styles = (
        files("seqgen.reports").joinpath("style.css"),
        files("seqgen.reports.comparison").joinpath("style.css"),
    )
    script = files("seqgen.reports.comparison").joinpath("script.js")
    summary = f'<p class="summary">{as_html(verdict.summary(comparison))}</p>'
    return Page(
        kind="seqgen comparison",
        heading=verdict.heading(comparison),
        lead=f"{summary}{verdict.verdict(comparison)}",
        sections=[Section(name, title, make(comparison)) for name, title, make in SECTIONS],
        footer="All values are beside this page in compare.json, the table in compare.md.",
        style="".join(each.read_text(encoding="utf-8") for each in styles) + traces.style(),
        script=script.read_text(encoding="utf-8"),
    ).html()
