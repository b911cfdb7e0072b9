"""The table of all systems and measures, which a person sorts, filters and takes columns out of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from seqgen.reports.comparison.document import Comparison, Row
from seqgen.reports.comparison.measures import (
    Measure,
    Value,
    in_words,
    leading,
    span,
    written,
)
from seqgen.reports.comparison.rows import MARKS, verdict_on
from seqgen.reports.quantities import counted, figure
from seqgen.reports.text import as_attribute, as_html

MAIN: Final = 9
"""How many columns are shown at first, at most."""

TALL: Final = 16
"""From so many rows on the table scrolls in a box of its own, so that its head stays in sight."""


def table(comparison: Comparison) -> str:
    """The section with the table and what belongs to it."""
    if not comparison.rows:
        return "<p>Nothing was compared.</p>"
    columns = list(comparison.measures.values())
    main = main_columns(comparison)
    rows = comparison.best_first()
    best = {each.name: _best(each, rows) for each in columns}
    taken = ' class="taken"'
    head = "".join(_head(comparison, each, each.name in main) for each in columns)
    body = "".join(
        f'<tr data-place="{comparison.rows.index(row)}"'
        f"{taken if row.label == comparison.take else ''}>{_label(comparison, row)}"
        + "".join(_cell(comparison, row, each, best[each.name], main) for each in columns)
        + "</tr>"
        for row in rows
    )
    tall = " tall" if len(rows) >= TALL else ""
    return (
        f'{_tools(columns, main, len(rows))}<div class="wide compared{tall}" tabindex="0" '
        'role="region" aria-label="All strategies and what was measured of them">'
        '<table id="systems"><thead><tr><th scope="col" class="label" aria-sort="none">'
        f'<button type="button">strategy</button></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody>{_references(comparison, columns, main)}</table></div>"
        '<p id="no-match" class="note" hidden>No strategy has all of these words in its name.</p>'
        f"{_legend(comparison)}"
    )


def main_columns(comparison: Comparison) -> list[str]:
    """The names of the columns that are shown at first."""
    known = comparison.measures
    chosen = [each.name for each in leading(known, comparison.quality, comparison.diversity)]
    more = [name for name in ("rows_per_input",) if name in known]
    more += [each.name for each in known.values() if each.group == "quality"]
    more = [name for name in more if name not in chosen]
    return [*chosen, *more[: max(0, MAIN - len(chosen))]]


def _best(measure: Measure, rows: Sequence[Row]) -> str:
    """The best value as it is written, empty where all are the same or none is better; the most
    diverse is not the best."""
    values = [row.values[measure.name].value for row in rows if measure.name in row.values]
    different = len({written(measure, each) for each in values}) > 1
    if not measure.better or measure.group == "diversity" or not different:
        return ""
    return written(measure, max(values) if measure.better == "higher" else min(values))


def _head(comparison: Comparison, measure: Measure, shown: bool) -> str:
    sort = "none"
    if measure.name == comparison.quality and measure.better:
        sort = "descending" if measure.better == "higher" else "ascending"
    about = f' title="{as_attribute(measure.about)}"' if measure.about else ""
    unit = f"<small>{as_html(measure.shown_unit)}</small>" if measure.shown_unit else ""
    return (
        f'<th scope="col" data-name="{as_attribute(measure.name)}" '
        f'data-group="{as_attribute(measure.group)}" data-better="{as_attribute(measure.better)}" '
        f'aria-sort="{sort}"{"" if shown else " hidden"}><button type="button"{about}>'
        f"{as_html(_glued(measure))}{unit}</button></th>"
    )


def _glued(measure: Measure) -> str:
    """The title with its arrow, of which no line begins with the arrow or with the n of n-grams."""
    title = re.sub(r"-(?=\d)", "\u2011", measure.title)
    return title + measure.arrow.replace(" ", "\u00a0")


def _label(comparison: Comparison, row: Row) -> str:
    badges = ""
    if row.label == comparison.take:
        badges += ' <b class="tag take">take</b>'
    if row.label == comparison.baseline:
        badges += ' <span class="tag">baseline</span>'
    run = f"<small>{as_html(row.run)}</small>" if len(comparison.runs) > 1 else ""
    name = as_attribute(f"{row.label} {row.run}")
    return f'<th scope="row" data-label="{name}">{breakable(row.label)}{badges}{run}</th>'


def breakable(label: str) -> str:
    """A label as HTML that may be broken where its words end."""
    return re.sub(r"([_=.])(?=\w)", r"\1<wbr>", as_html(label))


def _cell(
    comparison: Comparison, row: Row, measure: Measure, best: str, main: Sequence[str]
) -> str:
    value = row.values.get(measure.name)
    hidden = "" if measure.name in main else " hidden"
    if value is None:
        return f"<td{hidden}>\u2013</td>"
    shown = written(measure, value.value)
    strongest = f"<b>{as_html(shown)}</b>" if best and shown == best else as_html(shown)
    return (
        f'<td data-value="{value.value!r}"{hidden}>{strongest}{_mark(comparison, row, measure)}'
        f"{_around(measure, value)}</td>"
    )


def _mark(comparison: Comparison, row: Row, measure: Measure) -> str:
    """The symbol of a significant difference; the numbers of any difference are in its title."""
    change = row.changes.get(measure.name)
    if change is None:
        return ""
    found = verdict_on(change, measure, comparison.alpha)
    said = f"{in_words(measure, change.delta)} against {comparison.baseline}"
    if change.low is not None and change.high is not None:
        said += f", {span(measure, change.low, change.high)}"
    if change.p_holm is not None:
        said += f"; p = {figure(change.p_holm)} by Holm"
    if change.p_value is not None:
        said += f", {figure(change.p_value)} alone"
    symbol = MARKS[found] if found else "\u00b7"
    name = found or "alike"
    return f' <span class="mark {name}" title="{as_attribute(said)}">{symbol}</span>'


def _around(measure: Measure, value: Value) -> str:
    """The interval, and the spread over seeds or repeats, small below the value."""
    lines = ""
    if value.low is not None and value.high is not None:
        lines += f"<small>[{as_html(span(measure, value.low, value.high))}]</small>"
    if value.spread and value.spread[0] < value.spread[1]:
        title = as_attribute(f"smallest and largest of {value.spread_of}")
        spread = as_html(span(measure, *value.spread))
        lines += f'<small class="spread" title="{title}">{spread}</small>'
    return lines


def _references(comparison: Comparison, columns: Sequence[Measure], main: Sequence[str]) -> str:
    if not comparison.references:
        return ""
    cells = []
    for each in columns:
        value = comparison.references.get(each.name)
        hidden = "" if each.name in main else " hidden"
        cells.append(f"<td{hidden}>{as_html(written(each, value.value if value else None))}</td>")
    return f'<tfoot><tr><th scope="row">references</th>{"".join(cells)}</tr></tfoot>'


def _tools(columns: Sequence[Measure], main: Sequence[str], rows: int) -> str:
    groups, single = "", ""
    for name in dict.fromkeys(each.group for each in columns):
        group = as_attribute(name)
        groups += f'<label><input type="checkbox" data-group="{group}"> {as_html(name)}</label>'
        boxes = "".join(
            f'<label><input type="checkbox" data-name="{as_attribute(each.name)}"'
            f"{' checked' if each.name in main else ''}> {as_html(each.title)}</label>"
            for each in columns
            if each.group == name
        )
        single += f"<fieldset><legend>{as_html(name)}</legend>{boxes}</fieldset>"
    return (
        '<div class="tools"><label class="filter">Filter <input type="search" id="filter" '
        'placeholder="beam 5" autocomplete="off"></label>'
        f'<fieldset id="groups"><legend>Columns</legend>{groups}'
        '<button type="button" id="main-columns">main ones</button></fieldset>'
        f'<output id="count">{counted(rows, "strategy", "strategies")}</output>'
        f'<details id="columns"><summary>Choose single columns</summary><div>{single}</div>'
        "</details></div>"
    )


def _legend(comparison: Comparison) -> str:
    share = f"{100 * (1 - comparison.alpha):.4g} %"
    said = ["A click on a title sorts: the best first, then the worst, then as in the plan."]
    said.append(
        "\u2193 lower is better, \u2191 higher is better; of diversity it is the more diverse, "
        "which can be too much. <b>Bold</b> is the best of all."
    )
    values = [value for row in comparison.rows for value in row.values.values()]
    if any(value.low is not None for value in values):
        said.append(f"[In brackets] the {share} interval, by bootstrap over the inputs.")
    if any(value.spread for value in values):
        said.append("In the line below, the smallest and largest of the seeds or repeats.")
    if any(row.changes for row in comparison.rows):
        said.append(
            f'<span class="mark better">{MARKS["better"]}</span> significantly better than '
            f'{as_html(comparison.baseline)}, <span class="mark worse">{MARKS["worse"]}</span> '
            f"worse, \u00b7 neither: paired test, p &lt; {comparison.alpha:.3g} after Holm's "
            "correction. A symbol's title has the numbers."
        )
    return f'<p class="note legend-line">{" ".join(said)}</p>'
