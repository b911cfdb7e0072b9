"""The page of a run: which sections it has, in which order, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from seqgen.reports import curves, generated, svg, tables
from seqgen.reports.quantities import count, figure
from seqgen.reports.run_files import RunFiles
from seqgen.reports.series import Curves, curves_of
from seqgen.reports.text import as_attribute, as_html


def page(run: RunFiles) -> str:
    """The whole page as HTML."""
    style = files("seqgen.reports").joinpath("style.css").read_text(encoding="utf-8")
    shown = [(name, title, body) for name, title, make in SECTIONS if (body := make(run))]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
    sections = "".join(
        f'<section id="{name}"><h2>{title}</h2>{body}</section>\n' for name, title, body in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{as_attribute(run.name)} \u2013 seqgen run</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header><p class="kind">seqgen run</p><h1>{as_html(run.name)}</h1>'
        f'<p class="summary">{tables.sentence(run)}</p>{tables.cards(run)}{_remarks(run)}'
        f"<nav>{links}</nav></header>\n<main>\n{sections}</main>\n"
        "<footer>The curves are beside this page as loss.png and loss.pdf.</footer>\n"
        "</body>\n</html>\n"
    )


def _remarks(run: RunFiles) -> str:
    if not run.remarks:
        return ""
    listed = "".join(f"<li>{as_html(remark)}</li>" for remark in run.remarks)
    return f'<div class="remarks"><p>This report is not complete:</p><ul>{listed}</ul></div>'


def _curves(run: RunFiles) -> str:
    shown = curves_of(run)
    if not shown.train and not shown.valid:
        return f"<p>No losses were recorded.{_left_out(shown)}</p>"
    label = _in_words(shown)
    pictures = "".join(
        f'<div class="{name}">{svg.inline(curves.as_svg(shown, layout), name, label)}</div>'
        for name, layout in (("broad", curves.WIDE), ("slim", curves.NARROW))
    )
    caption = f"<figcaption>{label}{_left_out(shown)}</figcaption>"
    return f'<figure class="curves">{pictures}{caption}</figure>'


def _in_words(shown: Curves) -> str:
    parts = []
    for name, points in (("Training", shown.smoothed), ("Validation", shown.valid)):
        if points:
            first, last = figure(points[0][1]), figure(points[-1][1])
            change = f"from {first} to {last}" if len(points) > 1 else first
            parts.append(f"{name} loss {change} nats per token.")
    if shown.best:
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
    ("learning", "Watch it learn", generated.learning),
    ("temperatures", "Temperatures", generated.temperatures),
    ("results", "Results", tables.results),
    ("recipe", "Recipe", _recipe),
    ("manifest", "To run it again", tables.manifest),
)
