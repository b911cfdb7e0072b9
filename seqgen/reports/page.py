"""The page of a run: which sections it has, in which order, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

from seqgen.reports import (
    classes,
    curves,
    errors,
    generated,
    heat_maps,
    learning,
    lengths,
    svg,
    tables,
)
from seqgen.reports.fields import items
from seqgen.reports.measures import metric_label, metric_value
from seqgen.reports.quantities import count, figure
from seqgen.reports.run_files import RunFiles
from seqgen.reports.series import Curves, curves_of
from seqgen.reports.shell import Page, Section
from seqgen.reports.text import as_html


def page(run: RunFiles) -> str:
    """The whole page as HTML."""
    style = files("seqgen.reports").joinpath("style.css").read_text(encoding="utf-8")
    summary = f'<p class="summary">{tables.sentence(run)}</p>'
    return Page(
        kind="seqgen run",
        heading=run.name,
        lead=f"{summary}{tables.cards(run)}{_remarks(run)}",
        sections=[Section(name, title, make(run)) for name, title, make in SECTIONS],
        footer="The curves are beside this page as loss.png and loss.pdf.",
        style=style,
    ).html()


def _remarks(run: RunFiles) -> str:
    of_data = [remark for remark in items(run.manifest, "remarks") if isinstance(remark, str)]
    return _box("This report is not complete:", run.remarks) + _box("About the data:", of_data)


def _box(title: str, remarks: Sequence[str]) -> str:
    if not remarks:
        return ""
    listed = "".join(f"<li>{as_html(remark)}</li>" for remark in remarks)
    return f'<div class="remarks"><p>{title}</p><ul>{listed}</ul></div>'


def _curves(run: RunFiles) -> str:
    shown = curves_of(run)
    if not shown.train and not shown.valid:
        return f"<p>No losses were recorded.{_left_out(shown)}</p>"
    label = _in_words(shown)
    pictures = "".join(
        f'<div class="{name}">{svg.inline(curves.as_svg(shown, layout), name, label)}</div>'
        for name, layout in (("broad", curves.WIDE), ("slim", curves.NARROW))
    )
    caption = f"<figcaption>{as_html(label)}{_left_out(shown)}</figcaption>"
    return f'<figure class="curves">{pictures}{caption}</figure>'


def _in_words(shown: Curves) -> str:
    parts = []
    for name, points in (("Training", shown.smoothed), ("Validation", shown.valid)):
        if points:
            first, last = figure(points[0][1]), figure(points[-1][1])
            change = f"from {first} to {last}" if len(points) > 1 else first
            parts.append(f"{name} loss {change} nats per token.")
    if shown.measured:
        first, last = (metric_value(shown.metric, shown.measured[end][1]) for end in (0, -1))
        change = f"from {first} to {last}" if len(shown.measured) > 1 else first
        parts.append(f"Validation {metric_label(shown.metric)} {change}.")
    if shown.measured_best:
        step, value = shown.measured_best
        parts.append(f"Best {metric_value(shown.metric, value)} at step {count(step)}.")
    elif shown.best:
        step, loss = shown.best
        parts.append(f"Best validation {figure(loss)} at step {count(step)}.")
    return " ".join(parts)


def _left_out(shown: Curves) -> str:
    if not shown.left_out:
        return ""
    return f" {count(shown.left_out)} losses are left out: no finite numbers, or beyond drawing."


def _recipe(run: RunFiles) -> str:
    recipe = run.recipe.strip("\n")
    return f'<div class="listing">{as_html(recipe)}</div>' if recipe else ""


SECTIONS: tuple[tuple[str, str, Callable[[RunFiles], str]], ...] = (
    ("curves", "Learning curves", _curves),
    ("learning", "Watch it learn", learning.learning),
    ("temperatures", "Temperatures", generated.temperatures),
    ("samples", "Samples", generated.of_sources),
    ("attention", "Attention", heat_maps.heat_maps),
    ("errors", "Errors", errors.errors),
    ("lengths", "Errors by length", lengths.lengths),
    ("confusion", "Confusion", classes.confusion),
    ("results", "Results", tables.results),
    ("recipe", "Recipe", _recipe),
    ("manifest", "To run it again", tables.manifest),
)
